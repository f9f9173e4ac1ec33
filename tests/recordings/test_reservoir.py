"""The published reservoir on recordings: conductances of chips are as good as drawn numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytestmark = [pytest.mark.data, pytest.mark.slow]


def test_chips_are_within_two_points_of_software(data_dir: Path, examples_dir: Path) -> None:
    """Three chips, with wires and converters, each against its own draw; chance is 10 %."""
    spec = importlib.util.spec_from_file_location("reservoir", examples_dir / "reservoir.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    found = example.main([str(data_dir / "nmnist" / "train"), "--seeds", "3"])
    software, chip = found.mean(axis=0)
    assert abs(chip - software) <= 0.02
    assert min(software, chip) > 0.75
