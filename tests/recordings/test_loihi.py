"""Trained networks on Loihi 2: accuracy over all samples, and every spike as Lava computes it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.api import build, emulate, verify, verify_reference
from snnstack.board import load_board
from snnstack.building import Build, build_steps
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.report.readout import accuracy, aligned, classes
from snnstack.samples import as_data, run_float
from tests.loihi.test_netx import gray_to_spikes
from tests.recordings.test_nmnist import digits, network  # noqa: F401 (fixtures)

pytestmark = pytest.mark.data

BOARD = "oheo-gulch"
BRAILLE = {
    "zero": ("braille_noDelay_bias_zero.nir", 0.955),
    "subtract": ("braille_noDelay_noBias_subtract.nir", 0.965),
}
"""File and least accuracy by kind of reset."""
EXAMPLES = Path(__file__).parents[2] / "examples"


def reached(built: Build, data: Any) -> float:
    trace = aligned(emulate(built.program, data), data.spikes.steps)
    found = accuracy(classes(trace, built.program.outputs), data.labels)
    assert found is not None
    return found


@pytest.fixture(scope="module", params=BRAILLE)
def braille(request: pytest.FixtureRequest, data_dir: Path) -> Any:
    """(build, data, least accuracy), calibrated on the first 128 samples."""
    file, least = BRAILLE[request.param]
    graph = load(data_dir / "nir" / file, Options(dt=1e-4, reset=request.param))
    steps = discretised(graph)
    with np.load(data_dir / "braille" / "braille_validation.npz") as arrays:
        data = as_data({"x": arrays["x"], "y": arrays["y"]}, steps.inputs[0])
    return build_steps(graph, steps, load_board(BOARD), data), data, least


def test_braille_networks_keep_their_accuracy(braille: Any) -> None:
    built, data, least = braille
    assert data.spikes.batch == 1158
    assert reached(built, data) >= least


def test_the_conversion_report_says_what_each_register_got(braille: Any) -> None:
    built, _, _ = braille
    registers = built.program.settings["registers"]
    assert set(registers) == {layer.name for layer in built.conversion.layers}
    for found in registers.values():
        assert 0 < found["vth_mant"] < 2**17
        assert all(0 <= value <= 4096 for value in (*found["i_decay"], *found["v_decay"]))
        assert all("x 2^" in text for text in found["weights"].values())
        assert 0 <= found["cost"]["v_decay"] < 0.01


@pytest.mark.needs_lava
def test_braille_networks_run_alike_in_lava(braille: Any) -> None:
    built, data, _ = braille
    found = verify(built.program, data, samples=4)
    assert found.differences == ()
    assert found.against.startswith("Lava")
    assert found.spikes_compared > 40_000


def mnist(folder: Path, samples: int) -> dict[str, Any]:
    """The first test images for 32 steps, and their classes."""
    with gzip.open(folder / "mnist" / "t10k-images-idx3-ubyte.gz") as images:
        pixels = np.frombuffer(images.read(), np.uint8, 784 * samples, 16).reshape(samples, 784)
    with gzip.open(folder / "mnist" / "t10k-labels-idx1-ubyte.gz") as labels:
        wanted = np.frombuffer(labels.read(), np.uint8, samples, 8)
    return {"x": gray_to_spikes(pixels, 32), "y": wanted.astype(np.int64)}


def test_the_mnist_netx_file_recognises_95_percent(data_dir: Path) -> None:
    built = build(data_dir / "netx" / "mnist.net", BOARD)
    assert reached(built, as_data(mnist(data_dir, 1000), built.program.port)) >= 0.95


@pytest.mark.needs_lava
def test_the_mnist_netx_file_runs_alike_in_lava(data_dir: Path) -> None:
    built = build(data_dir / "netx" / "mnist.net", BOARD)
    found = verify(built.program, mnist(data_dir, 12))
    assert found.differences == ()
    assert found.against.startswith("Lava")


@pytest.mark.needs_lava
def test_the_demo_network_runs_alike_in_lava() -> None:
    train = EXAMPLES / "digits_train.npz"
    built = build(EXAMPLES / "digits.nir", BOARD, train)
    found = verify(built.program, EXAMPLES / "digits_test.npz", samples=20)
    assert found.differences == ()
    assert found.against.startswith("Lava")


@pytest.mark.slow
def test_the_event_camera_network_is_within_a_point_of_its_floats(
    network: Any,  # noqa: F811
    digits: Any,  # noqa: F811
) -> None:
    graph, steps = network
    built = build_steps(graph, steps, load_board(BOARD), digits)
    real = accuracy(classes(run_float(steps, digits), steps.outputs), digits.labels)
    assert real is not None
    assert digits.spikes.batch == 600
    assert reached(built, digits) >= real - 0.01
    assert verify_reference(built.program, built.network, digits, samples=1).differences == ()
