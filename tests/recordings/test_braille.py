"""Trained recurrent networks on tactile recordings: what their authors measured must survive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.api import emulate, verify, verify_reference
from snnstack.board import load_board
from snnstack.building import Build, build_steps
from snnstack.frontends.data import Data
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.report.readout import accuracy, classes
from snnstack.samples import as_data, run_float

pytestmark = pytest.mark.data

BOARD = "nucleo-l4r5zi"
LOSS = 0.005
"""What int8 weights may cost: half a point."""


@dataclass(frozen=True)
class Case:
    """A network and what is published about it."""

    file: str
    reset: Any
    accuracy: float


CASES = {
    "zero": Case("braille_noDelay_bias_zero.nir", "zero", 0.9637),
    "subtract": Case("braille_noDelay_noBias_subtract.nir", "subtract", 0.9732),
}


@pytest.fixture(scope="session")
def recordings(data_dir: Path) -> dict[str, Any]:
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        return {"x": file["x"], "y": file["y"]}


@pytest.fixture(scope="session", params=CASES)
def case(request: pytest.FixtureRequest, data_dir: Path, recordings: Any) -> Any:
    """(case, graph, step graph, data)."""
    found = CASES[request.param]
    graph = load(data_dir / "nir" / found.file, Options(dt=1e-4, reset=found.reset))
    steps = discretised(graph)
    return found, graph, steps, as_data(recordings, steps.inputs[0])


@pytest.fixture(scope="session", params=["assumed", "calibrated"])
def built(request: pytest.FixtureRequest, case: Any) -> tuple[Case, Build, Data]:
    found, graph, steps, data = case
    calibrate = data if request.param == "calibrated" else None
    return found, build_steps(graph, steps, load_board(BOARD), calibrate), data


def test_floats_reach_the_published_accuracy(case: Any) -> None:
    found, _, steps, data = case
    reached = accuracy(classes(run_float(steps, data), steps.outputs), data.labels)
    assert reached is not None
    assert round(reached, 4) == found.accuracy


def test_eight_bit_weights_cost_less_than_half_a_point(built: tuple[Case, Build, Data]) -> None:
    found, build, data = built
    trace = emulate(build.program, data)
    reached = accuracy(classes(trace, build.program.outputs), data.labels)
    assert reached is not None
    assert reached >= found.accuracy - LOSS


def test_emulator_equals_the_reference_on_100_samples(built: tuple[Case, Build, Data]) -> None:
    _, build, data = built
    equality = verify_reference(build.program, build.network, data, samples=100)
    assert equality.differences == ()
    assert (equality.samples, equality.steps) == (100, 256)


def test_the_conversion_report_agrees_with_the_emulator(case: Any) -> None:
    _, graph, steps, data = case
    build = build_steps(graph, steps, load_board(BOARD), data)
    report = build.conversion
    assert report is not None
    part = data.first(report.samples)
    trace = emulate(build.program, part)
    assert report.accuracy == accuracy(classes(trace, build.program.outputs), part.labels)
    assert [layer.name for layer in report.layers] == [p.name for p in steps.populations]
    for layer in report.layers:
        assert layer.spikes == trace.spikes[layer.name].total
        assert 0 < layer.weight_error < 0.02
        assert layer.saturated == 0


@pytest.mark.needs_qemu
def test_firmware_equals_the_emulator_on_100_samples(case: Any) -> None:
    _, graph, steps, data = case
    build = build_steps(graph, steps, load_board(BOARD), data)
    equality = verify(build.program, data, samples=100)
    assert equality.differences == ()
    assert equality.samples == 100
    assert equality.spikes_compared > 1_000_000
