"""The page that holds predictions against measurements is what its script says today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration", ROOT / "scripts/calibration.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    return module


def test_rows_that_take_little_time_are_still_true(script: ModuleType) -> None:
    """`python scripts/calibration.py --check` compares all of them."""
    written = (ROOT / "docs" / "calibration.md").read_text()
    cases = [case for case in script.cases() if case.graph.inputs[0].shape == (390,)]
    assert len(cases) == 4
    for case in cases:
        (row,) = script.page([script.run(case)]).split("| --- ")[-1].splitlines()[1:2]
        assert row in written


def test_thresholds_are_found_for_a_rate(script: ModuleType) -> None:
    graph = script.firing(script.chain((50, 30, 20)), _spikes(), 0.2)
    from snnstack.engine.steps import run_step_graph

    found = run_step_graph(graph, _spikes()).spikes
    assert all(0.1 < script._rate(spikes) < 0.3 for spikes in found.values())


def _spikes() -> object:
    import numpy as np

    from snnstack.trace import Spikes

    random = np.random.default_rng(0)
    return Spikes.from_dense((random.random((1, 100, 50)) < 0.2).astype(np.uint8))
