"""`--readout`: every verb that judges accuracy by the read-out that was said, float and board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import bench_program
from snnstack.frontends.nir import from_nir, read, to_nir, write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, LI, Input, Linear, Output
from tests.cli.calls import Refused, Run

BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")


def network(weight: np.ndarray, fires: bool = True) -> Graph:
    """Inputs straight to outputs: neurons that fire at 0.5, or that leak half a step."""
    n = len(weight)
    one = np.ones(n)
    out: Any
    zero = np.zeros(n)
    if fires:
        out = IF(r=one, v_threshold=one * 0.5, v_reset=zero)
    else:
        out = LI(tau=one * 2, r=one * 2, v_leak=zero)
    nodes = {"in": Input((weight.shape[1],), events="binary"), "fc": Linear(weight), "n": out}
    edges = (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out"))
    return Graph({**nodes, "out": Output((n,))}, edges, dt=1.0, integrator="euler")


def late_and_often(folder: Path) -> Path:
    """The right neuron fires first, the wrong one more often: the first spike is right."""
    x, y = np.zeros((6, 20, 2), dtype=np.uint8), np.arange(6) % 2
    x[np.arange(6), 1, y], x[np.arange(6), 6::2, 1 - y] = 1, 1
    np.savez(folder / "late.npz", x=x, y=y)
    return folder / "late.npz"


def last_and_most(folder: Path) -> Path:
    """The right membrane is largest at the end, the wrong one for most of the time."""
    x, y = np.zeros((6, 20, 2), dtype=np.uint8), np.arange(6) % 2
    x[np.arange(6), 2:12, 1 - y] = 1
    x[np.arange(6), 18:, y] = 1
    np.savez(folder / "last.npz", x=x, y=y)
    return folder / "last.npz"


@pytest.mark.parametrize("board", BOARDS)
def test_first_spike_on_every_target(tmp_path: Path, board: str) -> None:
    data, model = str(late_and_often(tmp_path)), network(np.eye(2))
    for readout, right in ((None, 0.0), ("first-spike", 1.0)):
        (row,) = snnstack.bench(
            model, [board], data, options=snnstack.Options(readout=readout), verify_samples=1
        )
        assert (row.accuracy, row.accuracy_float) == (right, right), readout


@pytest.mark.parametrize("board", BOARDS)
def test_last_membrane_on_every_target(tmp_path: Path, board: str) -> None:
    data, model = str(last_and_most(tmp_path)), network(np.eye(2), fires=False)
    for readout, right in (("sum", 0.0), ("last", 1.0)):
        (row,) = snnstack.bench(
            model, [board], data, options=snnstack.Options(readout=readout), verify_samples=1
        )
        assert (row.accuracy, row.accuracy_float) == (right, right), readout


def test_a_read_out_is_kept_by_files_and_programs(run: Run, tmp_path: Path) -> None:
    data = late_and_often(tmp_path)
    said = snnstack.load(network(np.eye(2)), snnstack.Options(readout="first-spike"))
    write(said, tmp_path / "m.nir")
    for kept in (from_nir(to_nir(said)), read(tmp_path / "m.nir")):
        assert kept.metadata["readout"] == "first-spike"

    made = run(
        "compile", tmp_path / "m.nir", "--board", "microbit-v1", "--calibrate", data, "--json",
        "-o", tmp_path / "p",
    ).json  # fmt: skip
    assert (made["conversion"]["accuracy_float"], made["conversion"]["accuracy"]) == (1.0, 1.0)
    call = ("emulate", tmp_path / "p", "--data", data, "--json")
    assert run(*call).json["accuracy"] == 1.0
    assert run(*call, "--readout", "rate").json["accuracy"] == 0.0
    assert bench_program(tmp_path / "p", data).accuracy == 1.0
    assert bench_program(tmp_path / "p", data, readout="rate").accuracy == 0.0


def test_membranes_of_neurons_that_fire_are_compared_in_volts(run: Run, tmp_path: Path) -> None:
    """With a scale per neuron the integers of two neurons do not compare; volts do."""
    x, y = np.zeros((4, 6, 2), dtype=np.uint8), np.array([0, 1, 0, 1])
    x[[0, 2], :5, 0], x[[0, 2], :1, 1] = 1, 1  # 0: five times 0.02 against once 0.04
    x[[1, 3], :1, 0], x[[1, 3], :5, 1] = 1, 1
    np.savez(tmp_path / "d.npz", x=x, y=y)
    write(network(np.diag([0.02, 0.04])), tmp_path / "m.nir")
    run("compile", tmp_path / "m.nir", "--board", "microbit-v1", "-o", tmp_path / "p")
    call = ("emulate", tmp_path / "p", "--data", tmp_path / "d.npz", "--json")
    assert run(*call, "--readout", "max").json["accuracy"] == 1.0


def test_classes_of_a_population_limit_the_labels(refused: Refused, tmp_path: Path) -> None:
    x = np.ones((2, 5, 2), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=[1, 2])
    write(network(np.repeat(np.eye(2), 2, axis=0)), tmp_path / "m.nir")
    call = ("bench", tmp_path / "m.nir", "--board", "microbit-v1", "--data", tmp_path / "d.npz")
    assert "y has the class 2 at sample 1, the network has 2 outputs" in refused(
        *call, "--readout", "rate:2"
    )
    assert "are no 3 equal blocks (K must divide 4)" in refused(*call, "--readout", "rate:3")


def test_one_output_needs_to_be_told_what_class_one_is(
    run: Run, refused: Refused, tmp_path: Path
) -> None:
    x = np.zeros((2, 5, 1), dtype=np.uint8)
    x[1] = 1
    np.savez(tmp_path / "d.npz", x=x, y=[0, 1])
    write(network(np.ones((1, 1))), tmp_path / "m.nir")
    call = ("bench", tmp_path / "m.nir", "--board", "microbit-v1", "--data", tmp_path / "d.npz")
    assert "the network one output: the largest of one says nothing" in refused(*call)
    (row,) = run(*call, "--readout", "above:2", "--json").json
    assert (row["accuracy"], row["accuracy_float"]) == (1.0, 1.0)
