"""`--readout linear`: fitted to training samples only, kept, the same for float and board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snnstack
from snnstack.errors import DataError, ModelError
from snnstack.frontends.nir import read, write
from snnstack.report.linear import PENALTIES, fit, fixed_classes, linear_of
from tests.cli.calls import Refused, Run
from tests.cli.test_readout import BOARDS, network


def samples(file: Path, seed: int, shift: int = 1) -> str:
    """Input k fires most; the class is that of the next input: no single output says it."""
    rng, y = np.random.default_rng(seed), np.arange(30) % 3
    rate = np.full((30, 1, 3), 0.2)
    rate[np.arange(30), 0, y] = 0.7
    x = (rng.random((30, 40, 3)) < rate).astype(np.uint8)
    np.savez(file, x=x, y=(y + shift) % 3)
    return str(file)


def test_the_fit_is_ridge_with_the_least_leave_one_out_error() -> None:
    """Against refitting without each sample, for every penalty."""
    rng = np.random.default_rng(0)
    labels = np.arange(18) % 3
    features = rng.poisson(4, (18, 7)) + 2.0 * (np.arange(7) % 3 == labels[:, None])
    mean, spread = features.mean(0), features.std(0)
    x, y = (features - mean) / spread, np.eye(3)[labels]

    def solved(rows: np.ndarray, penalty: float) -> np.ndarray:
        one = np.column_stack([np.ones(len(rows)), x[rows]])
        square = one.T @ one + np.diag([0.0] + [penalty * len(x)] * 7)
        return np.linalg.solve(square, one.T @ y[rows])

    def error(penalty: float) -> float:
        total = 0.0
        for k in range(len(x)):
            weight = solved(np.delete(np.arange(len(x)), k), penalty)
            total += float(np.sum((y[k] - np.concatenate([[1.0], x[k]]) @ weight) ** 2))
        return total

    best = solved(np.arange(len(x)), min(PENALTIES, key=error))
    found = fit(features, labels)
    np.testing.assert_allclose(found.weight, best[1:].T / spread, atol=1e-9)
    np.testing.assert_allclose(found.bias, best[0] - found.weight @ mean, atol=1e-9)


def test_text_keeps_every_bit_and_integers_find_the_same_classes() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 4
    features = rng.poisson(3, (60, 9)) + 5.0 * (np.arange(9) % 4 == labels[:, None])
    found = fit(features, labels, "train.npz")
    again = linear_of(str(found))
    assert np.array_equal(found.weight, again.weight) and np.array_equal(found.bias, again.bias)
    assert (again.samples, again.source) == (60, "train.npz")
    same = fixed_classes(found, features) == found.scores(features).argmax(axis=1)
    assert found.moved == int(np.sum(~same)) <= 2


@pytest.mark.parametrize("fires", [True, False])
@pytest.mark.parametrize("board", BOARDS)
def test_float_and_board_are_judged_by_it(tmp_path: Path, board: str, fires: bool) -> None:
    train, test = samples(tmp_path / "train.npz", 0), samples(tmp_path / "test.npz", 1)
    for readout, right in ((None, 0.0), ("linear", 1.0)):
        (row,) = snnstack.bench(
            network(np.eye(3), fires), [board], test, calibrate=train,
            options=snnstack.Options(readout=readout), verify_samples=0,
        )  # fmt: skip
        assert (row.accuracy, row.accuracy_float) == (right, right)
    assert any(
        "linear read-out of 3 classes from 3 outputs, fitted on 30 samples of train.npz: on the "
        "target 9 multiply-accumulates an inference and 21 bytes" in note
        for note in row.notes
    )


def test_it_is_fitted_to_training_samples_only(tmp_path: Path) -> None:
    """Labels of the measured samples change nothing but the score."""
    train, test = samples(tmp_path / "train.npz", 0), samples(tmp_path / "test.npz", 1, shift=2)
    options = snnstack.Options(readout="linear")
    model = network(np.eye(3))
    (row,) = snnstack.bench(
        model, ["microbit-v1"], test, calibrate=train, options=options, verify_samples=0
    )
    assert (row.accuracy, row.accuracy_float) == (0.0, 0.0)
    with pytest.raises(ModelError) as error:
        snnstack.bench(model, ["microbit-v1"], test, options=options, verify_samples=0)
    assert str(error.value) == (
        "read-out 'linear': is not fitted, and nothing is told to fit it to (compile, bench: "
        "--calibrate with labelled training samples; train: its --data)"
    )


def test_it_is_kept_by_files_and_programs(run: Run, refused: Refused, tmp_path: Path) -> None:
    train, test = samples(tmp_path / "train.npz", 0), samples(tmp_path / "test.npz", 1)
    write(network(np.eye(3)), tmp_path / "m.nir")
    fitted = snnstack.load(tmp_path / "m.nir", snnstack.Options(readout="linear"), calibrate=train)
    write(fitted, tmp_path / "fitted.nir")
    assert read(tmp_path / "fitted.nir").metadata["readout_fit"] == fitted.metadata["readout_fit"]
    out = tmp_path / "p"
    made = run("compile", tmp_path / "fitted.nir", "--board", "microbit-v1", "-o", out)
    assert made.code == 0 and "linear read-out of 3 classes" in made.out
    assert run("emulate", out, "--data", test, "--json").json["accuracy"] == 1.0
    rate = run("emulate", out, "--data", test, "--readout", "rate", "--json")
    assert rate.json["accuracy"] == 0.0
    again = run("emulate", out, "--data", test, "--readout", "linear", "--json")
    assert again.json["accuracy"] == 1.0
    plain = tmp_path / "plain"
    run("compile", tmp_path / "m.nir", "--board", "microbit-v1", "-o", plain)
    assert "is not fitted" in refused("emulate", plain, "--data", test, "--readout", "linear")


def test_samples_without_labels_or_with_one_class_are_refused(tmp_path: Path) -> None:
    x = np.ones((4, 5, 3), np.uint8)
    options = snnstack.Options(readout="linear")
    with pytest.raises(DataError, match="has no labels"):
        snnstack.load(network(np.eye(3)), options, calibrate={"x": x})
    with pytest.raises(DataError, match="fewer than two classes"):
        snnstack.load(network(np.eye(3)), options, calibrate={"x": x, "y": np.zeros(4, int)})


@pytest.mark.needs_torch
def test_training_goes_on_by_it(run: Run, tmp_path: Path) -> None:
    train, test = samples(tmp_path / "train.npz", 0), samples(tmp_path / "test.npz", 1)
    write(network(np.eye(3)), tmp_path / "m.nir")
    made = run(
        "train", tmp_path / "m.nir", "--board", "spinnaker2-chip", "--data", train, "--epochs", 1,
        "--readout", "linear", "-o", tmp_path / "p",
    )  # fmt: skip
    assert made.code == 0
    assert run("emulate", tmp_path / "p", "--data", test, "--json").json["accuracy"] == 1.0
