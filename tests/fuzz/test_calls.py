"""Odd values are refused by us: `tests.fuzz.of_calls`, `of_objects`. `FUZZ_N=100` tries fewer."""

from __future__ import annotations

import pytest

from tests.fuzz import of_calls, of_objects
from tests.fuzz.checked import check

KINDS = {**of_calls.KINDS, **of_objects.KINDS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_refused_by_us(kind: str) -> None:
    check(kind, KINDS)
