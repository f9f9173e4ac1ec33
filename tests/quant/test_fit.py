"""`fit`: training for a target with the float network as teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snnstack
from snnstack.errors import DataError, TargetError
from snnstack.report.readout import aligned, classes
from snnstack.samples import as_data
from snnstack.training import Recipe, fit, qat, torch_module, trained
from snnstack.training.augment import varied

SAMPLES = 200


@pytest.fixture(scope="module")
def digits(examples_dir: Path) -> tuple[Path, dict[str, Any]]:
    with np.load(examples_dir / "digits_train.npz") as file:
        arrays = {"x": file["x"][:SAMPLES], "y": file["y"][:SAMPLES].astype(np.int64)}
    return examples_dir / "digits.nir", arrays


def right(built: Any, data: dict[str, Any]) -> float:
    samples = as_data({"x": data["x"]}, built.program.port)
    trace = aligned(snnstack.emulate(built.program, samples), samples.spikes.steps)
    return float(np.mean(classes(trace, built.program.outputs) == data["y"]))


def test_training_helps_and_the_module_ends_with_what_is_returned(digits: Any) -> None:
    model, data = digits
    module = qat(model, target="mcu", weight_bits=1)
    before = right(trained(module), data)
    told: list[tuple[int, int]] = []
    recipe = Recipe(epochs=4, rate=1e-2)
    built = fit(module, data, recipe, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert right(built, data) > before
    again = trained(module)
    one, other = (_output(b, data) for b in (built, again))
    assert np.array_equal(one, other)
    assert built.conversion is not None


def test_weights_that_are_rounded_to_zero_take_part(digits: Any) -> None:
    """With two bits most weights are rounded to 0 before training; that must not end them."""
    model, data = digits
    module = qat(model, target="mcu", weight_bits=2, calibrate=data)
    weights = [p.synapses.weight for p in module.step_graph().projections]
    module(torch.from_numpy(data["x"][:32])).sum().backward()
    for weight, parameter in zip(weights, module.weights, strict=True):
        assert float(parameter.grad.numpy()[weight == 0].std()) > 0


def test_the_same_seed_gives_the_same_program_and_labels_are_not_needed(digits: Any) -> None:
    model, data = digits
    found = []
    for _ in range(2):
        module = qat(model, target="spinnaker2", weight_bits=4, calibrate=data)
        built = fit(module, {"x": data["x"]}, Recipe(epochs=1, seed=3))
        found.append(_output(built, data))
    assert np.array_equal(*found)


def test_a_trained_crossbar_has_the_ranges_of_its_samples(digits: Any) -> None:
    """Converter ranges are fitted as `compile` does it; ideal cells compute the same spikes."""
    model, data = digits
    module = qat(model, target="neurram", weight_bits=4, calibrate=data)
    built = fit(module, data, Recipe(epochs=1))
    plain = trained(module)
    assert [r.blocks for r in built.program.routes] != [r.blocks for r in plain.program.routes]  # type: ignore[attr-defined]
    assert np.array_equal(_output(built, data), _output(plain, data))


def _output(built: Any, data: dict[str, Any]) -> Any:
    samples = as_data({"x": data["x"]}, built.program.port)
    return snnstack.emulate(built.program, samples).spikes[built.program.outputs[0]].dense()


def test_what_cannot_be_trained_is_said(digits: Any) -> None:
    model, data = digits
    with pytest.raises(TargetError, match=r"module: was not made for a target"):
        fit(torch_module(model), data)
    module = qat(model, target="mcu")
    with pytest.raises(DataError, match="no samples"):
        fit(module, {"x": data["x"][:0]})


def test_varied_samples_lose_and_move_events_and_gain_none() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (8, 100, 5)).astype(np.uint8)
    kept = x.copy()
    same = varied(x, 0.0, 0.0, rng)
    assert np.array_equal(same, x) and same is not x
    fewer = varied(x, 0.5, 0.0, rng)
    assert np.all(fewer <= x) and 0.5 * x.sum() < fewer.sum() < x.sum()
    moved = varied(x, 0.0, 0.05, rng)
    for before, after in zip(x, moved, strict=True):
        assert any(_is_shifted(before, after, by) for by in range(-5, 6))
    assert any(not np.array_equal(a, b) for a, b in zip(x, moved, strict=True))
    assert np.array_equal(x, kept), "the input is not changed"


def _is_shifted(before: Any, after: Any, by: int) -> bool:
    rolled = np.roll(before, by, axis=0)
    rolled[slice(0, by) if by >= 0 else slice(by, None)] = 0
    return np.array_equal(after, rolled)
