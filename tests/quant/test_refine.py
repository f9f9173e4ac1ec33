"""The stronger mode after training: smaller errors, and never a worse network on its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.board import all_boards
from snnstack.building import build
from snnstack.errors import TargetError
from snnstack.quant.compensate import compensated
from snnstack.report.readout import accuracy, aligned, classes
from snnstack.samples import as_data
from snnstack.target import emulator


def test_compensated_roundings_have_a_smaller_error_than_nearest_ones() -> None:
    rng = np.random.default_rng(0)
    z = rng.random((400, 30)) @ rng.normal(size=(30, 30)) * 0.3 + 1.0
    real, moments = rng.normal(size=(12, 30)), z.T @ z / len(z)

    def nearest(values: Any, column: int) -> Any:
        return np.clip(np.rint(values / 0.4), -7, 7) * 0.4

    found = compensated(real, moments, nearest)

    def error(weights: Any) -> float:
        return float(np.mean(((weights - real) @ z.T) ** 2))

    assert np.array_equal(found, nearest(found, 0))
    assert error(found) < 0.5 * error(nearest(real, 0))


def test_absent_weights_stay_absent() -> None:
    real = np.array([[0.0, 1.3, -0.7], [0.9, 0.0, 0.2]])
    found = compensated(real, np.eye(3) + 0.5, lambda values, column: np.rint(values))
    assert found[0, 0] == 0 == found[1, 1]


@pytest.mark.parametrize("target", ["mcu", "loihi", "spinnaker2"])
def test_the_best_is_not_worse_than_the_fast_one(examples_dir: Path, target: str) -> None:
    board = min((b for b in all_boards() if b.target == target), key=lambda b: b.name)
    model, data = examples_dir / "digits.nir", examples_dir / "digits_train.npz"
    scores = []
    for quality in ("fast", "best"):
        built = build(model, board, data, weight_bits=4, quality=quality)  # type: ignore[arg-type]
        assert built.steps is not None
        samples = as_data(data, built.program.port).first(128)
        trace = emulator(target).emulate(built.program, samples.spikes)
        trace = aligned(trace, samples.spikes.steps)
        scores.append(accuracy(classes(trace, built.program.outputs), samples.labels))
    fast, best = scores
    assert fast is not None and best is not None and best >= fast


def test_the_best_needs_samples(examples_dir: Path) -> None:
    with pytest.raises(TargetError) as error:
        build(examples_dir / "digits.nir", "nucleo-l4r5zi", quality="best")
    assert str(error.value) == (
        "--quality best: needs samples to judge by (--calibrate DATA names some)"
    )
