"""Networks of others on crossbars: exact with ideal cells, a statistical result per chip."""

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
from snnstack.samples import as_data
from tests.recordings.test_nmnist import binned

pytestmark = pytest.mark.data

BRAILLE = {
    "zero": "braille_noDelay_bias_zero.nir",
    "subtract": "braille_noDelay_noBias_subtract.nir",
}


def braille(data_dir: Path, reset: Any, board: str) -> tuple[Build, Data]:
    graph = load(data_dir / "nir" / BRAILLE[reset], Options(dt=1e-4, reset=reset))
    steps = discretised(graph)
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        data = as_data({"x": file["x"], "y": file["y"]}, steps.inputs[0])
    return build_steps(graph, steps, load_board(board), data), data


@pytest.mark.parametrize("board", ["neurram", "isaac"])
@pytest.mark.parametrize("reset", BRAILLE)
def test_recurrent_networks_are_exact_with_ideal_cells(
    data_dir: Path, reset: str, board: str
) -> None:
    build, data = braille(data_dir, reset, board)
    equality = verify_reference(build.program, build.network, data, samples=24)
    assert equality.differences == ()
    assert verify(build.program, data, samples=4).mismatches == 0
    reached = accuracy(classes(emulate(build.program, data), build.program.outputs), data.labels)
    assert reached is not None
    assert reached > 0.955


def test_a_chip_is_between_chance_and_the_exact_machine(data_dir: Path) -> None:
    build, data = braille(data_dir, "subtract", "pcm-hermes")
    part = data.first(200)
    found = [
        accuracy(classes(emulate(build.program, part, seed=s), build.program.outputs), part.labels)
        for s in (None, 0, 1)
    ]
    assert found[0] is not None and found[1] is not None and found[2] is not None
    assert 1 / 7 < min(found[1:]) <= max(found[1:]) <= found[0] + 0.02
    assert found[1] != found[2]


def test_the_convolutional_network_is_exact_with_ideal_cells(data_dir: Path) -> None:
    graph = load(data_dir / "nir" / "cnn_sinabs.nir", Options(dt=1.0, reset="subtract"))
    steps = discretised(graph)
    files = sorted((data_dir / "nmnist" / "train").glob("*/*.bin"))[::300]
    x = np.stack([binned(file)[40:65] for file in files])
    data = as_data({"x": x, "y": np.array([0, 5])}, steps.inputs[0])
    build = build_steps(graph, steps, load_board("neurram"))
    assert verify_reference(build.program, build.network, data, samples=1).differences == ()
    assert verify(build.program, data, samples=1).mismatches == 0
    exact, drawn = (emulate(build.program, data, seed=seed) for seed in (None, 0))
    last = build.program.outputs[0]
    assert exact.spikes[last].total > 0
    assert drawn.spikes[last].total != exact.spikes[last].total
