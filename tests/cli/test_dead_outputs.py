"""Every verb that evaluates names the output neurons that never spike."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import snnstack
from snnstack.frontends.nir import write
from snnstack.report.dead import Dead
from tests.cli.calls import Run
from tests.cli.test_readout import network

TEXT = "output n: 2 of 4 neurons never spike on these samples: 1, 3"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A network of four outputs, and samples in which two of its inputs stay silent."""
    write(network(np.eye(4)), tmp_path / "m.nir")
    x = np.ones((6, 10, 4), dtype=np.uint8)
    x[:, :, [1, 3]] = 0
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(6) % 4)
    return tmp_path / "m.nir", tmp_path / "d.npz"


def test_compile_emulate_and_report(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = files
    out = tmp_path / "p"
    made = run("compile", model, "--board", "spinnaker2-chip", "--calibrate", data, "-o", out)
    assert f"note: {TEXT}" in made.out.splitlines()
    shown = run("emulate", out, "--data", data)
    assert f"note: {TEXT}" in shown.out.splitlines()
    found = run("emulate", out, "--data", data, "--json").json["dead_outputs"]
    assert found == [{"output": "n", "of": 4, "neurons": [1, 3], "lost": []}]
    page = run("report", out, "--data", data, "-o", tmp_path / "page.html")
    assert f"note: {TEXT}" in page.out.splitlines()
    assert TEXT in (tmp_path / "page.html").read_text()


def test_bench_and_sweep(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = files
    (row,) = snnstack.bench(model, "neurram", data, verify_samples=0, figures=False)
    assert row.dead == (Dead("n", 4, (1, 3)),) and TEXT in row.notes
    call = ("sweep", model, "--data", data, "--vary", "board=neurram", "-o", tmp_path / "s")
    assert run(*call, "--workers", 1).code == 0
    (found,) = csv.DictReader((tmp_path / "s" / "results.csv").read_text().splitlines())
    assert found["dead_output_neurons"] == "2"


@pytest.mark.needs_torch
def test_train(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = files
    call = ("train", model, "--board", "spinnaker2-chip", "--data", data, "--epochs", 1)
    assert f"note: {TEXT}" in run(*call, "-o", tmp_path / "p").out.splitlines()


def test_a_neuron_that_only_the_board_silences_is_a_warning(run: Run, tmp_path: Path) -> None:
    """Beside a weight some thousand times as large, which is not used, its weight becomes 0."""
    weight = np.array([[200.0, 0.06], [0.0, 1.0]])
    x = np.zeros((3, 10, 2), np.uint8)
    x[:, :, 1] = 1
    np.savez(tmp_path / "d.npz", x=x, y=[0, 1, 0])
    write(network(weight), tmp_path / "m.nir")
    made = run(
        "compile", tmp_path / "m.nir", "--board", "neurram", "--calibrate", tmp_path / "d.npz",
        "-o", tmp_path / "p",
    )  # fmt: skip
    text = "warning: output n: 1 of 2 neurons never spike on these samples: 0; in float 0 do"
    assert made.code == 0 and text in made.err.splitlines()
