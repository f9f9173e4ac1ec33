"""Silent neurons as copies of busy ones: the float network stays, its integers get finer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snnstack.engine.steps import run_step_graph
from snnstack.ir.nodes import CubaLIF, Linear
from snnstack.ir.step import Dense, StepGraph
from snnstack.loading import discretised, load
from snnstack.quant.silent import reused
from snnstack.trace import Spikes
from tests.conformance.networks import (
    _neuron,
    _weight,
    chain,
    conv_example,
    dense_example,
    events,
    recurrent_example,
)


def counts(steps: StepGraph, spikes: Spikes) -> dict[str, Any]:
    trace = run_step_graph(steps, spikes)
    return {name: s.per_neuron().sum(axis=0) for name, s in trace.spikes.items()}


def with_idle(steps: StepGraph, name: str, idle: list[int]) -> StepGraph:
    """Thresholds that these neurons never reach."""
    p = next(p for p in steps.populations if p.name == name)
    threshold = p.threshold.copy()  # type: ignore[union-attr]
    threshold[idle] = 1e9
    changed = [p.with_lif(threshold=threshold) if o is p else o for o in steps.populations]
    return steps.with_(populations=tuple(changed))


@pytest.fixture
def idle() -> tuple[StepGraph, Spikes]:
    graph = chain(
        Linear(_weight(8, 10, 6)),
        _neuron(CubaLIF, (10,), reset="subtract", compare="ge"),
        Linear(_weight(9, 4, 10)),
        _neuron(CubaLIF, (4,)),
        shape=(6,),
        events="binary",
        rec=("n1", "n1", Linear(_weight(10, 10, 10, gain=0.2))),
        feedback=("n3", "n1", Linear(_weight(11, 10, 4, gain=0.2))),
    )
    steps = discretised(load(graph))
    spikes = events(steps.inputs[0], batch=6, steps=40)
    hidden = next(p.name for p in steps.populations if p.name not in steps.outputs)
    return with_idle(steps, hidden, [0, 2]), spikes


def test_the_float_network_stays_what_it_was(idle: tuple[StepGraph, Spikes]) -> None:
    steps, spikes = idle
    before = counts(steps, spikes)
    made = reused(steps, before)
    after = counts(made, spikes)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed
    assert not set(changed) & set(steps.outputs)
    for name in changed:
        busy = before[name] > 0
        assert np.array_equal(after[name][busy], before[name][busy])
        assert np.all(after[name] > 0), "every silent neuron is used"
    one, other = (run_step_graph(s, spikes).spikes[steps.outputs[0]] for s in (steps, made))
    assert np.array_equal(one.dense(), other.dense())


def test_the_largest_weights_are_shared_first() -> None:
    steps = discretised(load(dense_example()))
    hidden, readout = steps.populations[0].name, steps.projections[1]
    weight = np.ones_like(readout.synapses.weight)
    weight[:, 3], weight[:, 5] = 8.0, 3.0
    steps = steps.with_(
        projections=(steps.projections[0], replace(readout, synapses=Dense(weight)))
    )
    counts = np.ones(14)
    counts[[0, 1, 13]] = 0
    made = reused(steps, {hidden: counts})
    shared = made.projections[1].synapses.weight
    # 8 in four parts would be 2: the third copy goes to the neuron that sends 3.
    assert np.allclose(shared[0, [0, 1, 3]], 8 / 3) and np.allclose(shared[0, [5, 13]], 1.5)
    rows = made.projections[0].synapses.weight
    assert np.array_equal(rows[0], rows[3]) and np.array_equal(rows[13], rows[5])


def test_nothing_to_do_gives_the_same_graph() -> None:
    steps = discretised(load(recurrent_example()))
    busy = {p.name: np.ones(p.n) for p in steps.populations}
    dead = {p.name: np.zeros(p.n) for p in steps.populations}
    assert reused(steps, busy) is steps
    assert reused(steps, dead) is steps, "with no busy neuron there is nothing to copy"
    assert reused(steps, {}) is steps


def test_convolutions_are_left_alone() -> None:
    steps = discretised(load(conv_example()))
    into_conv = {
        name
        for q in steps.projections
        if not isinstance(q.synapses, Dense) or q.pool is not None
        for name in (q.source, q.target)
    }
    half = {p.name: np.arange(p.n) % 2 for p in steps.populations if p.name in into_conv}
    assert half and reused(steps, half) is steps
