"""The stronger mode after training: roundings that make up for each other, biases, thresholds.

Works for every target: the scales that its own quantiser chose are kept; weights, biases and
thresholds are moved in the float graph and quantised again. A change stays only if the emulated
network gets better on the calibration data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snnstack.board import Board
from snnstack.frontends.data import Data
from snnstack.ir.nodes import Array
from snnstack.ir.step import Dense, Population, Projection, StepGraph
from snnstack.quant.compensate import compensated
from snnstack.quant.inputs import filtered_moments
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.report.readout import accuracy, aligned, classes, output_probes, spike_agreement
from snnstack.target import compiler, emulator
from snnstack.trace import Spikes, Trace

Quantise = Callable[[StepGraph, QuantizedNetwork | None], QuantizedNetwork]
"""The target's quantiser; with a network, keeping its scales."""
ROUNDS = 4
"""Times that thresholds are moved."""
STRENGTH = 0.3
"""Power of the ratio of spike counts by which a threshold is moved."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """A float graph, its integers, what they do, and how good that is: larger is better."""

    graph: StepGraph
    network: QuantizedNetwork
    trace: Trace
    score: tuple[float, float]


def refined(
    steps: StepGraph, board: Board, data: Data, real: Trace, quantise: Quantise
) -> QuantizedNetwork:
    """The best network found for `board`; `real` is the float run of `steps` on `data`.

    Judged by accuracy (without labels: by classes as in float), then by equal spikes.
    """
    return refined_graph(steps, board, data, real, quantise)[1]


def refined_graph(
    steps: StepGraph, board: Board, data: Data, real: Trace, quantise: Quantise
) -> tuple[StepGraph, QuantizedNetwork, QuantizedNetwork]:
    """The float graph of the best network, that network, and the one whose scales it has."""

    def trial(graph: StepGraph, like: QuantizedNetwork | None) -> _Trial:
        network = quantise(graph, like)
        trace = _emulated(network, board, data)
        return _Trial(graph, network, trace, _score(steps, data, real, trace))

    best = first = trial(steps, None)
    sources = {steps.inputs[0].name: data.spikes, **real.spikes}
    means = {name: _mean(spikes) for name, spikes in sources.items()}
    rounded = _rounded(steps, first.network, sources)
    for graph in (rounded, _biased(steps, rounded, first.network, means)):
        best = max(best, trial(graph, first.network), key=lambda one: one.score)
    for _ in range(ROUNDS):
        like = first.network
        moved = trial(_moved(best, real), like)
        if moved.score <= best.score:
            break
        best = moved
    return best.graph, best.network, first.network


def _emulated(network: QuantizedNetwork, board: Board, data: Data) -> Trace:
    program = compiler(board.target).compile(network, board)
    probes = output_probes(program.outputs, program.fires)
    trace = emulator(board.target).emulate(program, data.spikes, probes=probes)
    return aligned(trace, data.spikes.steps)


def _score(steps: StepGraph, data: Data, real: Trace, trace: Trace) -> tuple[float, float]:
    found, expected = classes(trace, steps.outputs), classes(real, steps.outputs)
    right = accuracy(found, expected if data.labels is None else data.labels)
    return right or 0.0, spike_agreement(trace, real, [p.name for p in steps.populations])


def _mean(spikes: Spikes) -> Array:
    return np.asarray(spikes.per_neuron().sum(axis=0) / max(spikes.batch * spikes.steps, 1))


def _rounded(graph: StepGraph, network: QuantizedNetwork, sources: dict[str, Spikes]) -> StepGraph:
    """Weights on the target's grid, chosen so that their errors cancel; others as they are."""
    made: dict[int, Projection] = {}
    for p in graph.populations:
        moments = filtered_moments(graph, p, sources)
        if moments is None:
            continue
        into = [(k, q) for k, q in enumerate(graph.projections) if q.target == p.name]
        integers = network.into(p.name)
        weights = [np.asarray(q.synapses.weight) for _, q in into]
        volts = _volts(network.population(p.name))
        grids = [_grid(i.synapses.weight) for i in integers]
        starts = np.cumsum([0, *(w.shape[1] for w in weights)])
        column_of = np.repeat(np.arange(len(weights)), np.diff(starts))

        def nearest(
            values: Array, column: int, volts: Array = volts, grids: list[tuple[int, int]] = grids,
            column_of: Array = column_of,
        ) -> Array:  # fmt: skip
            step, most = grids[int(column_of[column])]
            return np.clip(np.rint(values / volts / step) * step, -most, most) * volts

        found = compensated(np.concatenate(weights, axis=1), moments, nearest)
        for (k, q), a, b in zip(into, starts[:-1], starts[1:], strict=True):
            made[k] = replace(q, synapses=Dense(found[:, a:b]))
    projections = tuple(made.get(k, q) for k, q in enumerate(graph.projections))
    return graph.with_(projections=projections)


def _volts(population: QuantizedPopulation) -> Array:
    """What one weight unit is, for every neuron."""
    return np.asarray(2.0**population.shift / population.scale)


def _grid(integers: Array) -> tuple[int, int]:
    """(distance of neighbouring weights, largest weight) as the target used them."""
    used = np.abs(integers[integers != 0]).astype(np.int64)
    if not used.size:
        return 1, 0
    common = int(np.bitwise_or.reduce(used))
    return common & -common, int(used.max())


def _biased(
    graph: StepGraph, rounded: StepGraph, network: QuantizedNetwork, means: dict[str, Array]
) -> StepGraph:
    """Biases that give back the mean input which rounding took."""
    lost = {p.name: np.zeros(p.n) for p in graph.populations}
    for old, new in zip(graph.projections, rounded.projections, strict=True):
        if isinstance(old.synapses, Dense) and old.pool is None and old.source in means:
            difference = new.synapses.weight - old.synapses.weight
            lost[old.target] += difference @ means[old.source]
    populations = tuple(replace(p, bias=p.bias - lost[p.name]) for p in rounded.populations)
    return rounded.with_(populations=populations)


def _moved(trial: _Trial, real: Trace) -> StepGraph:
    """Thresholds a little up where neurons fire too often, and down where too seldom."""
    return trial.graph.with_(
        populations=tuple(_threshold_moved(p, trial.trace, real) for p in trial.graph.populations)
    )


def _threshold_moved(p: Population, trace: Trace, real: Trace) -> Population:
    if p.threshold is None or p.name not in trace.spikes:
        return p
    found = trace.spikes[p.name].per_neuron().sum(axis=0)
    wanted = real.spikes[p.name].per_neuron().sum(axis=0)
    ratio = np.clip((found + 1.0) / (wanted + 1.0), 0.5, 2.0) ** STRENGTH
    return replace(p, threshold=p.threshold * ratio)
