"""The network without spikes beside a spiking one: measured on the same samples, said plainly."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack import api
from snnstack.backends.mcu import ann
from snnstack.errors import ToolError
from snnstack.passes.options import Options
from snnstack.report.page import page
from tests.cli.calls import Refused, Run

BOARD = "nucleo-l4r5zi"


def labelled(path: Path, seed: int, samples: int = 120) -> Path:
    """Samples of which input 0, 1 or 2 fires most, or none: classes 0 to 3."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 4
    rate = np.full((samples, 1, 3), 0.05)
    rate[y < 3, 0, y[y < 3]] = 0.9
    np.savez(path, x=(rng.random((samples, 60, 3)) < rate).astype(np.uint8), y=y)
    return path


@pytest.mark.needs_qemu
def test_the_demo_shows_an_opponent_of_the_same_class(examples_dir: Path) -> None:
    (row,) = api.bench(
        examples_dir / "digits.nir", [BOARD], examples_dir / "digits_test.npz",
        calibrate=examples_dir / "digits_train.npz", verify_samples=1,
        ann=api.Ann(weights=examples_dir / "digits_ann.npz"),
    )  # fmt: skip
    assert row.ann is not None and row.accuracy is not None
    fit = row.ann.fit
    assert fit.accuracy is not None and fit.accuracy >= 0.96
    assert abs(fit.accuracy - row.accuracy) <= 0.01
    assert fit.verdict(row.accuracy) == "as accurate as the spiking network to within a point"
    assert fit.widths == "64-100-10" and "trained on the 1437 training images" in fit.trained
    assert (row.ann.verified_samples, row.ann.mismatches) == (4, 0)
    plain = json.loads(json.dumps(row.to_dict()))
    assert plain["ann"]["accuracy"] == fit.accuracy
    text = page([plain])
    assert "Beside a network without spikes" in text and "1437 training images" in text


@pytest.mark.needs_qemu
def test_an_opponent_without_training_has_no_accuracy(
    run: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    made = run("bench", model, "--board", BOARD, "--data", data, "--ann", "--csv",
               tmp_path / "b.csv")  # fmt: skip
    assert made.code == 0
    assert "not trained: accuracy unknown" in made.out and "unknown" in made.out
    head, line = (tmp_path / "b.csv").read_text().splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=False))
    assert cells["ann_accuracy"] == ""


@pytest.mark.needs_qemu
@pytest.mark.needs_torch
def test_an_opponent_is_trained_and_what_it_saw_is_said(model: Path, tmp_path: Path) -> None:
    test, train = labelled(tmp_path / "test.npz", 0), labelled(tmp_path / "train.npz", 1)
    seen, unseen = (
        api.bench(model, [BOARD], test, verify_samples=1, ann=api.Ann(train=samples))[0].ann
        for samples in (test, train)
    )
    assert seen is not None and unseen is not None
    assert unseen.fit.accuracy is not None and unseen.fit.accuracy > 0.95
    assert unseen.fit.trained == (
        "trained on 120 samples of train.npz, none of them among the samples measured here"
    )
    assert seen.fit.trained == (
        "trained on 120 samples of test.npz; 120 of the 120 samples measured here are among them, "
        "so this accuracy is not one of unseen samples"
    )
    assert (seen.mismatches, unseen.mismatches) == (0, 0)


@pytest.mark.needs_qemu
def test_a_saved_program_is_held_against_one_too(
    run: Run, program: Path, data: Path, tmp_path: Path
) -> None:
    made = run("report", program, "--data", data, "--ann", "-o", tmp_path / "p.html")
    assert made.code == 0
    assert "Not trained: accuracy unknown" in (tmp_path / "p.html").read_text()


def test_what_does_not_fit_is_said_before_anything_runs(
    refused: Refused, model: Path, data: Path, tmp_path: Path
) -> None:
    call = ("bench", model, "--board", BOARD, "--data", data)
    assert refused(*call, "--ann-weights", tmp_path / "w.npz") == (
        "error: w.npz: there is no such file (give an .npz with w1, b1, w2, b2, ... and largest)"
    )
    np.savez(tmp_path / "bare.npz", x=np.zeros((2, 10, 3), np.uint8))
    assert refused(*call, "--ann-train", tmp_path / "bare.npz") == (
        "error: bare.npz: holds no labels y (a network is trained on labelled samples)"
    )
    np.savez(tmp_path / "nine.npz", x=np.zeros((2, 10, 3), np.uint8), y=np.array([0, 9]))
    assert refused(*call, "--ann-train", tmp_path / "nine.npz") == (
        "error: nine.npz: has the class 9, the network 4 outputs"
    )
    both = ("--ann-train", data, "--ann-weights", tmp_path / "w.npz")
    assert refused(*call, *both) == (
        "error: opponent: both training samples and trained weights are given (give one of them)"
    )


def test_torch_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, model: Path, data: Path
) -> None:
    monkeypatch.setitem(sys.modules, "snnstack.frontends.train_opponent", None)
    with pytest.raises(ToolError) as error:
        api.bench(model, [BOARD], data, ann=api.Ann(train=data))
    hint = "(pip install torch, or give weights that are trained already)"
    assert str(error.value) == f"torch: is not installed {hint}"


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.needs_qemu
@pytest.mark.needs_torch
def test_a_braille_network_beats_counts_of_events(data_dir: Path, tmp_path: Path) -> None:
    """Recurrent, 256 steps: without spikes it reads eight windows, and is less accurate."""
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        order = np.random.default_rng(0).permutation(len(file["x"]))
        x, y = file["x"][order], file["y"][order]
    (row,) = api.bench(
        data_dir / "nir" / "braille_noDelay_bias_zero.nir", [BOARD],
        {"x": x[800:], "y": y[800:]}, options=Options(reset="zero"), verify_samples=1,
        ann=api.Ann(train={"x": x[:800], "y": y[:800]}),
    )  # fmt: skip
    assert row.ann is not None and row.accuracy is not None
    fit = row.ann.fit
    assert fit.widths == "96-38-7"
    assert "counted in 8 windows of 32 steps" in fit.given
    assert fit.left_out and fit.left_out[0].startswith("the synapses of ")
    assert fit.accuracy is not None and fit.accuracy_float is not None
    assert fit.accuracy > 0.8 and fit.accuracy > fit.accuracy_float - 0.03
    assert "none of them among the samples" in fit.trained
    assert row.ann.mismatches == 0


@pytest.mark.needs_qemu
def test_an_opponent_that_computes_something_else_is_told(
    run: Run, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ann.run_ann

    def wrong(*given: Any, **more: Any) -> Any:
        found = right(*given, **more)
        return replace(found, outputs=found.outputs + 1)

    monkeypatch.setattr(ann, "run_ann", wrong)
    made = run("bench", model, "--board", BOARD, "--data", data, "--ann")
    assert made.code == 1
    assert (
        f"{BOARD}: 16 of its outputs for 4 samples in QEMU differ from those of its definition"
        in made.out
    )
