"""The page that holds predictions against measurements is what its script says today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))  # as when it is run
    spec = importlib.util.spec_from_file_location("calibration", ROOT / "scripts/calibration.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


def test_rows_that_take_little_time_are_still_true(script: ModuleType) -> None:
    """`python scripts/calibration.py --check` compares all of them."""
    written = (ROOT / "docs" / "calibration.md").read_text()
    cases = [case for case in script.cases() if case.graph.inputs[0].shape == (390,)]
    assert len(cases) == 5
    for case in cases:
        row = script.network_table([script.run(case)]).splitlines()[-1]
        assert row in written


def test_the_crossbars_are_still_true(script: ModuleType) -> None:
    assert script.crossbar_table() in (ROOT / "docs" / "calibration.md").read_text()


def test_the_mac_array_takes_every_weight_in_every_step(script: ModuleType) -> None:
    """Its row is the software row with other synapses: the neurons cost the same."""
    software, array = (
        next(c for c in script.cases() if c.board == "spinnaker2-chip" and c.macs is macs)
        for macs in (False, True)
    )
    products = 10 * (390 * 256 + 256 * 256 + 256 * 29) * 10e-6
    rest = script.run(array).predicted.typical - products
    assert 0 < rest < script.run(software).predicted.typical


def test_thresholds_are_found_for_a_rate(script: ModuleType) -> None:
    graph = script.firing(script.chain((50, 30, 20)), _spikes(), 0.2)
    from snnstack.engine.steps import run_step_graph

    found = run_step_graph(graph, _spikes()).spikes
    assert all(0.1 < _rate(spikes) < 0.3 for spikes in found.values())


def _rate(spikes: Any) -> float:
    return float(spikes.total / (spikes.batch * spikes.steps * spikes.n))


def _spikes() -> object:
    import numpy as np

    from snnstack.trace import Spikes

    random = np.random.default_rng(0)
    return Spikes.from_dense((random.random((1, 100, 50)) < 0.2).astype(np.uint8))
