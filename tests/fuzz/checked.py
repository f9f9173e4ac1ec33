"""What a module of tests asks of its kinds."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from snnstack.errors import SnnstackError
from tests.fuzz.kind import Kind, generator
from tests.fuzz.tally import tallied

INPUTS = int(os.environ.get("FUZZ_N", "2000"))


def accepted(kind: str, kinds: Mapping[str, Kind], folder: Path) -> None:
    """Whole files are read in one of the ways that are tried: damage begins at what works."""
    needed(kinds[kind])
    for number, source in enumerate(kinds[kind].sources):
        place = folder / str(number)
        place.mkdir()
        source(place)
        assert any(_is_read(kinds[kind], place, seed) for seed in range(20)), f"source {number}"


def _is_read(kind: Kind, place: Path, seed: int) -> bool:
    try:
        kind.read(place, generator("whole", seed))
    except SnnstackError:
        return False
    return True


def check(kind: str, kinds: Mapping[str, Kind]) -> None:
    """No input ends in an exception that is not ours, hangs, takes 2 GB or leaks a warning."""
    needed(kinds[kind])
    found = tallied(kind, 0, INPUTS)
    assert found.counts.total() == INPUTS
    assert not found.failures, "\n".join(found.failures[:20])


def needed(kind: Kind) -> None:
    """Skip a kind whose reader is not installed."""
    for module in kind.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
