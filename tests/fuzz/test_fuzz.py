"""Damaged inputs of every kind, seeded: none may end in an exception that is not ours, hang, take
more than 2 GB or leak a warning. `make fuzz` tries more, `FUZZ_N=100 ` fewer."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.tally import tallied

INPUTS = int(os.environ.get("FUZZ_N", "300"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_refused_by_us(kind: str) -> None:
    for module in KINDS[kind].needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    found = tallied(kind, 0, INPUTS)
    assert not found.failures, "\n".join(found.failures[:20])
