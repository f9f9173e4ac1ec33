"""The stronger mode after training: smaller errors, and never a worse network on its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.api import emulate
from snnstack.board import all_boards, load_board
from snnstack.building import build
from snnstack.errors import CapacityError, Problem, TargetError
from snnstack.frontends.data import Data
from snnstack.integers import quantise_for
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.quant.compensate import compensated, ordered
from snnstack.refine import refined
from snnstack.report.readout import accuracy, aligned, classes, output_probes
from snnstack.samples import as_data, run_float
from snnstack.target import compiler, emulator
from tests.conformance.networks import EXAMPLES, events


def test_compensated_roundings_have_a_smaller_error_than_nearest_ones() -> None:
    rng = np.random.default_rng(0)
    z = rng.random((400, 30)) @ rng.normal(size=(30, 30)) * 0.3 + 1.0
    real, moments = rng.normal(size=(12, 30)), z.T @ z / len(z)

    def nearest(values: Any, column: int) -> Any:
        return np.clip(np.rint(values / 0.4), -7, 7) * 0.4

    found = compensated(real, ordered(moments), nearest)

    def error(weights: Any) -> float:
        return float(np.mean(((weights - real) @ z.T) ** 2))

    assert np.array_equal(found, nearest(found, 0))
    assert error(found) < 0.5 * error(nearest(real, 0))


def test_absent_weights_stay_absent() -> None:
    real = np.array([[0.0, 1.3, -0.7], [0.9, 0.0, 0.2]])
    found = compensated(real, ordered(np.eye(3) + 0.5), lambda values, column: np.rint(values))
    assert found[0, 0] == 0 == found[1, 1]


@pytest.mark.parametrize("target", ["mcu", "loihi", "spinnaker2", "crossbar"])
def test_the_best_is_not_worse_than_the_fast_one(examples_dir: Path, target: str) -> None:
    board = min((b for b in all_boards() if b.target == target), key=lambda b: b.name)
    model, data = examples_dir / "digits.nir", examples_dir / "digits_train.npz"
    scores = []
    with np.load(data) as file:
        some = {"x": file["x"][:64], "y": file["y"][:64]}
    for quality in ("fast", "best"):
        built = build(model, board, some, weight_bits=4, quality=quality)  # type: ignore[arg-type]
        assert built.steps is not None
        samples = as_data(some, built.program.port)
        trace = emulator(target).emulate(built.program, samples.spikes)
        trace = aligned(trace, samples.spikes.steps)
        scores.append(accuracy(classes(trace, built.program.outputs), samples.labels))
    fast, best = scores
    assert fast is not None and best is not None and best >= fast


@pytest.mark.parametrize("name", ["conv", "recurrent", "sequence", "sparse"])
def test_no_kind_of_synapse_gets_worse(name: str) -> None:
    """Without labels: the classes of the float network."""
    graph = EXAMPLES["dense" if name == "sparse" else name]()
    if name == "sparse":
        graph = load(graph, Options(prune=0.6))
    board, steps = load_board("nucleo-l4r5zi"), discretised(graph)
    data = Data(events(steps.inputs[0], batch=40, steps=20), None, "random")
    real = run_float(steps, data)

    def right(network: Any) -> float:
        program = compiler("mcu").compile(network, board)
        probes = output_probes(program.outputs, program.fires)
        found = classes(emulate(program, data, probes=probes), steps.outputs)
        return float(np.mean(found == classes(real, steps.outputs)))

    def quantised(given: Any, like: Any) -> Any:
        return quantise_for(given, board, None, "neuron", 2, like)

    assert right(refined(steps, board, data, real, quantised).network) >= right(
        quantised(steps, None)
    )


def test_the_best_needs_samples(examples_dir: Path) -> None:
    with pytest.raises(TargetError) as error:
        build(examples_dir / "digits.nir", "nucleo-l4r5zi", quality="best")
    assert str(error.value) == (
        "--quality best: needs samples to judge by (--calibrate DATA names some)"
    )


def task(examples_dir: Path) -> Any:
    """(steps, board, data, float run, quantiser) of the digits network at 4 bits."""
    steps = discretised(load(examples_dir / "digits.nir"))
    data = as_data(examples_dir / "digits_train.npz", steps.inputs[0]).first(48)
    board = load_board("nucleo-l4r5zi")

    def quantised(graph: Any, like: Any) -> Any:
        return quantise_for(graph, board, None, "neuron", 4, like)

    return steps, board, data, run_float(steps, data), quantised


def test_progress_counts_up_to_what_was_announced(examples_dir: Path) -> None:
    told: list[tuple[int, int]] = []
    refined(*task(examples_dir), lambda done, total: told.append((done, total)))
    done, totals = zip(*told, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == sorted(done)
    assert done[-1] == totals[0]


def test_a_scale_that_the_target_refuses_is_left_out(examples_dir: Path) -> None:
    steps, board, data, real, quantised = task(examples_dir)
    refused = []

    def strict(graph: Any, like: Any) -> Any:
        if like is not None:
            refused.append(graph)
            raise CapacityError([Problem("here", "is too large")])
        return quantised(graph, None)

    found = refined(steps, board, data, real, strict)
    assert refused
    assert all(
        np.array_equal(a.synapses.weight, b.synapses.weight)
        for a, b in zip(found.network.projections, quantised(steps, None).projections, strict=True)
    )


def test_the_same_scales_give_the_same_network_again(examples_dir: Path) -> None:
    steps, board, data, real, quantised = task(examples_dir)
    best = refined(steps, board, data, real, quantised)
    again = quantised(best.graph, best.like)
    for one, other in zip(best.network.projections, again.projections, strict=True):
        assert np.array_equal(one.synapses.weight, other.synapses.weight)
    for p, q in zip(best.network.populations, again.populations, strict=True):
        assert np.array_equal(p.threshold, q.threshold)  # type: ignore[arg-type]


@pytest.mark.data
@pytest.mark.slow
def test_four_bits_are_as_good_as_float_on_samples_never_seen(data_dir: Path) -> None:
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        x, y = file["x"], file["y"]
    order = np.random.default_rng(0).permutation(len(x))
    fit, test = order[: len(x) * 4 // 5], order[len(x) * 4 // 5 :]
    options = Options(dt=1e-4, reset="subtract", events="binary")
    model = data_dir / "nir" / "braille_noDelay_noBias_subtract.nir"
    built = build(model, "nucleo-l4r5zi", {"x": x[fit], "y": y[fit]}, options, weight_bits=4,
                  quality="best")  # fmt: skip
    samples = as_data({"x": x[test], "y": y[test]}, built.program.port)
    found = accuracy(classes(emulate(built.program, samples), built.program.outputs), y[test])
    assert found is not None and found > 0.96
