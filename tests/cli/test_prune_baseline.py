"""`--prune`: "float" in every report is the network before pruning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.frontends.nir import write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, Input, Linear, Output
from tests.cli.calls import Run


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """Right on every sample; the one weight that `--prune 0.9` leaves only inhibits."""
    one = np.ones(3)
    nodes = {
        "in": Input((3,), events="binary"),
        "fc": Linear(np.diag([0.6, 0.6, -5.0])),
        "n": IF(r=one, v_threshold=one * 0.5, v_reset=one * 0),
        "out": Output((3,)),
    }
    edges = (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out"))
    write(Graph(nodes, edges, dt=1.0, integrator="euler"), tmp_path / "m.nir")
    x, y = np.zeros((4, 6, 3), dtype=np.uint8), np.array([0, 1, 0, 1])
    x[np.arange(4), :, y] = 1
    np.savez(tmp_path / "d.npz", x=x, y=y)
    return tmp_path


def test_compile_names_pruning_and_a_silent_output(run: Run, spoilt: Path) -> None:
    call = (spoilt / "m.nir", "--board", "microbit-v1", "--calibrate", spoilt / "d.npz")
    result = run("compile", *call, "--prune", "0.9", "-o", spoilt / "p")
    assert "accuracy 100.00 % -> 50.00 % pruned -> 50.00 %" in result.out
    assert "first layer where accuracy is lost: pruning" in result.out
    assert "24 -> 0" in result.out
    assert "warning: output n never spikes on these samples" in result.err


def test_bench_compares_with_the_network_before_pruning(run: Run, spoilt: Path) -> None:
    call = (spoilt / "m.nir", "--board", "microbit-v1", "--data", spoilt / "d.npz")
    (row,) = run("bench", *call, "--prune", "0.9", "--json").json
    assert (row["accuracy"], row["accuracy_float"], row["class_agreement"]) == (0.5, 1.0, 0.5)


@pytest.mark.needs_torch
def test_train_reports_against_it(run: Run, spoilt: Path) -> None:
    call = (spoilt / "m.nir", "--board", "microbit-v1", "--data", spoilt / "d.npz")
    result = run("train", *call, "--prune", "0.9", "--epochs", "1", "-o", spoilt / "p")
    assert "accuracy 100.00 % -> 50.00 % pruned -> 50.00 %" in result.out
    assert "warning: output n never spikes on these samples" in result.err
