"""Damaged inputs are refused by us: `tests.fuzz.of_calls`. `FUZZ_N=100` tries fewer."""

from __future__ import annotations

import pytest

from tests.fuzz.checked import check
from tests.fuzz.of_calls import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_refused_by_us(kind: str) -> None:
    check(kind, KINDS)
