"""Damaged inputs are refused by us: `tests.fuzz.of_models`. `FUZZ_N=100` tries fewer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.checked import accepted, check
from tests.fuzz.of_models import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_refused_by_us(kind: str) -> None:
    check(kind, KINDS)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "options"])
def test_whole_files_are_read(kind: str, tmp_path: Path) -> None:
    accepted(kind, KINDS, tmp_path)
