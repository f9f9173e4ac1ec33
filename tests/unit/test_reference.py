"""The reference, checked by hand: small enough to follow with a pencil."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.quant.numerics import Numerics
from snnstack.reference import run_quantized, run_steps
from snnstack.trace import Spikes

NUMERICS = Numerics(
    weight_bits=8, weight_min=-127, weight_max=127, decay_bits=2, decay_rounding="floor",
    input_max=2**20, current_max=1000, state_max=127,
)  # fmt: skip
HALF, ONE = 2, 4
"""Decay factors with two fraction bits."""


def array(value: int) -> Any:
    return np.array([value], dtype=np.int64)


def neuron(**changes: Any) -> QuantizedPopulation:
    """One neuron that keeps its membrane, threshold 10."""
    values: dict[str, Any] = {
        "alpha": ONE, "beta": None, "bias": 0, "leak": 0, "threshold": 10, "v_reset": 0,
    }  # fmt: skip
    said = {k: v for k, v in changes.items() if k not in values}
    values |= {k: v for k, v in changes.items() if k in values}
    arrays = {k: None if v is None else array(v) for k, v in values.items()}
    return quantized_lif("n", (1,), scale=np.ones(1), **{"shift": 0, **said}, **arrays)


def run(population: QuantizedPopulation, weight: int, spikes: list[int], **changes: Any) -> Any:
    """(spikes, v, i) per step of one neuron behind one synapse."""
    delay, numerics = changes.pop("delay", 0), replace(NUMERICS, **changes)
    network = QuantizedNetwork(
        (StepInput("x", (1,), "count"),), (population,),
        (Projection("x", "n", Dense(np.array([[weight]])), delay),), ("n",), 1e-3, numerics,
    )  # fmt: skip
    dense = np.array(spikes, dtype=np.uint8).reshape(1, -1, 1)
    probes = [("n", "v"), ("n", "i")]
    trace = run_quantized(network, Spikes.from_dense(dense), probes)
    fired = trace.spikes["n"].dense().ravel().tolist() if "n" in trace.spikes else []
    return fired, *(trace.states[probe].ravel().tolist() for probe in probes)


def test_a_membrane_adds_up_and_is_set_back() -> None:
    fired, v, _ = run(neuron(v_reset=-2), 6, [1, 1, 0, 2])
    assert (fired, v) == ([0, 1, 0, 0], [6, -2, -2, 10])


def test_greater_or_equal_fires_at_the_threshold() -> None:
    assert run(neuron(), 10, [1, 1])[0] == [0, 1]
    assert run(neuron(compare="ge"), 10, [1, 1])[0] == [1, 1]


def test_subtraction_keeps_the_rest() -> None:
    fired, v, _ = run(neuron(reset="subtract"), 25, [1, 0, 0, 0])
    assert (fired, v) == ([1, 1, 0, 0], [15, 5, 5, 5])


def test_a_refractory_neuron_keeps_its_membrane_while_its_current_goes_on() -> None:
    fired, v, i = run(neuron(refractory=2, beta=0), 11, [1, 1, 1, 1])
    assert fired == [1, 0, 0, 1]
    assert v == [0, 0, 0, 0]
    assert i == [11, 11, 11, 11]


def test_decay_rounds_down_or_toward_zero() -> None:
    assert run(neuron(alpha=HALF), -3, [1, 0, 0, 0])[1] == [-3, -2, -1, -1]
    inward = run(neuron(alpha=HALF), -3, [1, 0, 0, 0], decay_rounding="toward_zero")
    assert inward[1] == [-3, -1, 0, 0]


def test_input_is_shifted_and_constants_are_not() -> None:
    _, v, _ = run(neuron(threshold=None, shift=3, bias=1, leak=-2), 2, [1, 0])
    assert v == [16 + 1 - 2, 15 + 1 - 2]


def test_a_current_decays_by_itself_and_feeds_the_membrane() -> None:
    _, v, i = run(neuron(threshold=None, beta=HALF, leak=1), 8, [1, 0, 0])
    assert i == [8, 4, 2]
    assert v == [9, 14, 17]


def test_a_membrane_saturates_or_wraps() -> None:
    assert run(neuron(threshold=None), 100, [1, 1, 1])[1] == [100, 127, 127]
    wrapped = run(neuron(threshold=None), 100, [1, 1], overflow="wrap")
    assert wrapped[1] == [100, 200 - 256]


def test_a_delayed_spike_arrives_so_many_steps_later() -> None:
    assert run(neuron(threshold=None), 5, [1, 0, 2, 0, 0], delay=2)[1] == [0, 0, 5, 5, 15]


def test_a_current_of_half_a_step_halves_exactly() -> None:
    """Known answer of a neuromorphic chip with 12-bit decays: 2**(13 - j)."""
    population = neuron(beta=2048, alpha=0, threshold=None, shift=6)
    _, _, i = run(population, 64, [2, *[0] * 13], decay_bits=12, current_max=2**23 - 1,
                  decay_rounding="toward_zero")  # fmt: skip
    assert i == [2 ** (13 - j) for j in range(14)]


def loop(delay: int) -> QuantizedNetwork:
    """A neuron that excites itself."""
    projections = (
        Projection("x", "n", Dense(np.array([[11]]))),
        Projection("n", "n", Dense(np.array([[11]])), delay),
    )
    port = StepInput("x", (1,), "binary")
    return QuantizedNetwork((port,), (neuron(),), projections, ("n",), 1e-3, NUMERICS)


@pytest.mark.parametrize("delay", [1, 3])
def test_a_recurrent_spike_comes_back_after_its_delay(delay: int) -> None:
    dense = np.zeros((1, 9, 1), np.uint8)
    dense[0, 0] = 1
    fired = run_quantized(loop(delay), Spikes.from_dense(dense)).spikes["n"].dense().ravel()
    assert np.flatnonzero(fired).tolist() == list(range(0, 9, delay))


def test_counts_hold_spikes_and_updates() -> None:
    dense = np.ones((2, 5, 1), np.uint8)
    counts = run_quantized(loop(1), Spikes.from_dense(dense)).counts["n"]
    assert counts.spikes.tolist() == [5, 5]
    assert counts.updates.tolist() == [5, 5]


def test_the_float_run_is_the_same_machine() -> None:
    one = np.ones(1)
    population = lif("n", (1,), one / 2, one / 4, 2 * one, 3 * one, 0 * one, one, 100 * one, -one)
    port = StepInput("x", (1,), "count")
    projection = Projection("x", "n", Dense(np.array([[4.0]])))
    graph = StepGraph((port,), (population,), (projection,), ("n",), 1e-3)
    dense = np.array([1, 0, 5], np.uint8).reshape(1, 3, 1)
    trace = run_steps(graph, Spikes.from_dense(dense), [("n", "v"), ("n", "i")])
    assert trace.states["n", "i"].ravel().tolist() == [8.0, 2.0, 40.5]
    assert trace.states["n", "v"].ravel().tolist() == [25.0, 19.5, -1.0]
    assert trace.spikes["n"].dense().ravel().tolist() == [0, 0, 1]
