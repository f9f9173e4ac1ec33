"""How far states and inputs of other models than the LIF family's go, in a float run."""

from __future__ import annotations

import numpy as np

from snnstack.dynamics.spans import Span
from snnstack.engine.steps import run_step_graph
from snnstack.ir.inputs import split
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph
from snnstack.quant.calibration import DEFAULT_RATE
from snnstack.quant.fixed import calibrated
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Spikes, Trace

SAMPLES, STEPS = 8, 256
"""Of random input, where no samples are given; and the most samples that are looked at."""


def cell_ranges(graph: StepGraph, spikes: Spikes, trace: Trace) -> dict[str, dict[str, Span]]:
    """(least, largest) by population and state or port; `trace`: the float run on `spikes`.

    ModelError for a state that grows without end.
    """
    batch = min(spikes.batch, SAMPLES)
    sent = split(spikes, graph.inputs) | {
        p.name: trace.spikes[p.name] for p in graph.populations if p.fires
    }
    dense = {name: _by_step(s.samples(0, batch)) for name, s in sent.items()}
    return {
        p.name: calibrated(p.neurons, _sums(graph, p, dense))
        for p in graph.populations
        if not p.is_lif
    }


def assumed_ranges(graph: StepGraph) -> dict[str, dict[str, Span]]:
    """The same on random input, in which every element spikes at the rate that is assumed."""
    port = graph.port
    random = np.random.default_rng(0).random((SAMPLES, STEPS, *port.shape))
    spikes = Spikes.from_dense((random < DEFAULT_RATE).astype(np.uint8))
    return cell_ranges(graph, spikes, run_step_graph(graph, spikes))


def _sums(graph: StepGraph, p: Population, sent: dict[str, Array]) -> dict[str, Array]:
    """What arrives at every port: float64 [step, sample, n]."""
    steps, batch = next(iter(sent.values())).shape[:2]
    found = {port: np.zeros((steps, batch, p.n)) for port in p.model.inputs}
    for projection in graph.into(p.name):
        for t in range(projection.delay, steps):
            seen = sent[projection.source][t - projection.delay]
            found[projection.port][t] += synaptic_input(projection, seen, p.n)
    return found


def _by_step(spikes: Spikes) -> Array:
    dense = spikes.dense().reshape(spikes.batch, spikes.steps, -1)
    return np.asarray(dense.transpose(1, 0, 2), dtype=np.float64)
