"""A trained convolutional network on recordings of an event camera: 600 digits of N-MNIST."""

from __future__ import annotations

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
STEPS = 300
LOSS = 0.01
"""What int8 weights may cost: one point."""


def binned(file: Path) -> Any:
    """uint8 [300, polarity, y, x]: events of each millisecond.

    40 bits an event: x 8, y 8, polarity 1, time in microseconds 23.
    """
    raw = np.fromfile(file, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    step = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // 1000
    inside = step < STEPS
    frames = np.zeros((STEPS, 2, 34, 34), np.uint8)
    np.add.at(frames, (step[inside], polarity[inside], y[inside], x[inside]), 1)
    return frames


@pytest.fixture(scope="session")
def network(data_dir: Path) -> Any:
    """(graph, step graph)."""
    graph = load(data_dir / "nir" / "cnn_sinabs.nir", Options(dt=1.0, reset="subtract"))
    return graph, discretised(graph)


@pytest.fixture(scope="session")
def digits(data_dir: Path, network: Any) -> Data:
    files = sorted((data_dir / "nmnist" / "train").glob("*/*.bin"))
    order = np.random.default_rng(0).permutation(len(files))
    chosen = [files[k] for k in order]
    x = np.stack([binned(file) for file in chosen])
    y = np.array([int(file.parent.name) for file in chosen])
    return as_data({"x": x, "y": y}, network[1].inputs[0])


@pytest.fixture(scope="session")
def built(network: Any, digits: Data) -> Build:
    return build_steps(*network, load_board(BOARD), digits)


def test_eight_bit_weights_cost_less_than_a_point(network: Any, digits: Data, built: Build) -> None:
    _, steps = network
    real = accuracy(classes(run_float(steps, digits), steps.outputs), digits.labels)
    integer = accuracy(classes(emulate(built.program, digits), steps.outputs), digits.labels)
    assert digits.spikes.batch == 600
    assert real is not None
    assert integer is not None
    assert real > 0.97
    assert integer >= real - LOSS


def test_the_layer_where_accuracy_is_lost_is_looked_for(built: Build) -> None:
    report = built.conversion
    assert report is not None
    assert len(report.layers) == len(built.network.populations)
    assert all(layer.accuracy is not None for layer in report.layers)


def test_emulator_equals_the_reference_on_10_samples(built: Build, digits: Data) -> None:
    equality = verify_reference(built.program, built.network, digits, samples=10)
    assert equality.differences == ()
    assert (equality.samples, equality.steps) == (10, STEPS)


@pytest.mark.needs_qemu
def test_firmware_equals_the_emulator_on_2_samples(built: Build, digits: Data) -> None:
    equality = verify(built.program, digits, samples=2)
    assert equality.differences == ()
    assert equality.samples == 2
