"""The stronger mode after training: scales, roundings, biases and thresholds, layer by layer.

Works for every target: weights, biases and thresholds are moved in the float graph, scales in
the network that the target's quantiser is told to follow. A change stays only if the emulated
network gets better on the calibration data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snnstack.board import Board
from snnstack.engine.steps import run_step_graph
from snnstack.errors import SnnstackError
from snnstack.frontends.data import Data
from snnstack.ir.inputs import split
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.regrid import Weights, blocks_of, grid_of, held, regridded, with_weights
from snnstack.quant.scales import Granularity, groups_of
from snnstack.reference.synapses import synaptic_input
from snnstack.report.readout import (
    ReadOut,
    accuracy,
    aligned,
    classes,
    output_probes,
    read_out,
    usual_scores,
)
from snnstack.target import Progress, compiler, emulator
from snnstack.trace import Spikes, Trace

Quantise = Callable[[StepGraph, QuantizedNetwork | None], QuantizedNetwork]
"""The target's quantiser; with a network, keeping its scales."""
FACTORS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)
"""Scales tried for a layer, relative to those that the target's quantiser chose."""
ROUNDS = 4
"""Times that thresholds are moved."""
STRENGTH = 0.3
"""Power of the ratio of spike counts by which a threshold is moved."""
MOST_SPIKES = 1 << 22
"""Spikes of inputs and populations in the samples that are judged by."""
LEAST_SAMPLES = 128
"""Samples that are judged by, however many spikes they send."""
Score = tuple[float, float]
"""Accuracy, and minus the distance of the outputs from those in float: larger is better."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """A float graph, the network whose scales it keeps, its integers, what they do, how well."""

    graph: StepGraph
    like: QuantizedNetwork
    network: QuantizedNetwork
    trace: Trace
    score: Score


@dataclass(frozen=True, eq=False)
class _Task:
    """What stays the same in a search; `told` is called once per trial."""

    steps: StepGraph
    board: Board
    data: Data
    real: Trace
    quantise: Quantise
    told: Callable[[], None]

    def trial(self, graph: StepGraph, like: QuantizedNetwork | None) -> _Trial:
        """What becomes of a graph, with the scales of `like` (None: those of the quantiser)."""
        self.told()
        network = self.quantise(graph, like)
        trace = _emulated(network, self.board, self.data, read_out(self.steps.settings))
        volts = {p.name: p.scale for p in network.populations}
        return _Trial(graph, like or network, network, trace, self.score(trace, volts))

    def better(self, best: _Trial, graph: StepGraph, like: QuantizedNetwork) -> _Trial:
        """`best`, or what becomes of a graph if that is better and the target takes it."""
        try:
            trial = self.trial(graph, like)
        except SnnstackError:
            return best
        return trial if trial.score > best.score else best

    def score(self, trace: Trace, scale: dict[str, Array]) -> Score:
        """How good a run is, whose membranes are in units of 1 / `scale` volts."""
        outputs, labels = self.steps.outputs, self.data.labels
        readout = read_out(self.steps.settings)
        expected = classes(self.real, outputs, readout) if labels is None else labels
        board = replace(readout, scale=scale[outputs[0]])
        right = accuracy(classes(trace, outputs, board), expected) or 0.0
        return right, -sum(_distance(trace, self.real, name, scale[name]) for name in outputs)

    @property
    def sources(self) -> dict[str, Spikes]:
        """What inputs and populations send in the float run."""
        return {**split(self.data.spikes, self.steps.inputs), **self.real.spikes}


@dataclass(frozen=True, eq=False)
class Refined:
    """The best network, the float graph it was made of, one whose scales it has, how good it is."""

    graph: StepGraph
    network: QuantizedNetwork
    like: QuantizedNetwork
    score: Score


def refined(
    steps: StepGraph,
    board: Board,
    data: Data,
    real: Trace,
    quantise: Quantise,
    progress: Progress | None = None,
) -> Refined:
    """The best network found for `board`; `real` is the float run of `steps` on `data`.

    Judged by accuracy (without labels: by classes as in float), then by how near its outputs are
    to those in float. `progress` is told trials done and, at most, to come.
    """
    layers = sum(bool(steps.into(p.name)) for p in steps.populations)
    total = 1 + len(("kept", "moments")) * (2 + layers * (len(FACTORS) + 1) + ROUNDS)
    told = _counted(progress, total)
    task = _Task(steps, board, *_few(data, real), quantise, told)
    best = _searched(task)
    if progress is not None:
        progress(total, total)
    return Refined(best.graph, best.network, best.like, best.score)


def _few(data: Data, real: Trace) -> tuple[Data, Trace]:
    """The first samples, as many as are quick to emulate some hundred times."""
    total = data.spikes.total + sum(spikes.total for spikes in real.spikes.values())
    share = MOST_SPIKES / max(total, 1)
    most = max(LEAST_SAMPLES, int(data.spikes.batch * share))
    if most >= data.spikes.batch:
        return data, real
    spikes = {name: one.samples(0, most) for name, one in real.spikes.items()}
    states = {name: one[:most] for name, one in real.states.items()}
    return data.first(most), Trace(spikes, states)


def _counted(progress: Progress | None, total: int) -> Callable[[], None]:
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return told


def _searched(task: _Task) -> _Trial:
    """The best of two ways: from the quantiser's roundings, and from those of the moments."""
    first = task.trial(task.steps, None)
    others = _others(task, first.network)
    kept = rounded = held(task.steps, first.network)
    for options in others.values():
        rounded = with_weights(rounded, next(w for f, w in options if (f == 1.0).all()))
    ends = [first]
    for start in (kept, rounded):
        try:
            best = task.trial(start, first.network)
        except SnnstackError:
            continue
        for name, options in others.items():
            for factor, weights in options:
                like = _scaled(best.like, first.network, name, factor)
                best = task.better(best, with_weights(best.graph, weights), like)
        ends.append(_moved_thresholds(task, _corrected(task, best)))
    return max(ends, key=lambda end: end.score)


def _others(task: _Task, first: QuantizedNetwork) -> dict[str, list[tuple[Array, Weights]]]:
    """Other scales and weights of every layer, the layer first that loses most.

    Weights whose moments are not known are rounded to the nearest.
    """
    found: dict[str, list[tuple[Array, Weights]]] = {}
    sources = task.sources
    for p in _by_loss(task, first):
        grid = grid_of(task.steps, first, p.name)
        shared: Granularity = "population" if float(np.ptp(grid.volts)) == 0.0 else "neuron"
        alike = groups_of(p, task.steps.into(p.name), shared)
        blocks = blocks_of(task.steps, p, sources)
        plain = {k: q.synapses for k, q in enumerate(task.steps.projections) if q.target == p.name}
        options = regridded(task.steps, blocks, grid, FACTORS, alike)
        found[p.name] = [(factor, {**plain, **weights}) for factor, weights in options]
    return found


def _by_loss(task: _Task, network: QuantizedNetwork) -> list[Population]:
    """Populations with synapses; the one first that does most harm when it alone has integers."""
    integers = held(task.steps, network)
    probes = output_probes(
        integers.outputs,
        {p.name: p.fires for p in integers.populations},
        read_out(task.steps.settings),
    )
    volts = {p.name: np.ones(p.n) for p in integers.populations}
    found: list[tuple[Score, Population]] = []
    for p in task.steps.populations:
        into = {k: q.synapses for k, q in enumerate(integers.projections) if q.target == p.name}
        if into:
            trace = run_step_graph(with_weights(task.steps, into), task.data.spikes, probes)
            found.append((task.score(trace, volts), p))
    return [p for _, p in sorted(found, key=lambda pair: pair[0])]


def _scaled(
    like: QuantizedNetwork, first: QuantizedNetwork, name: str, factor: Array
) -> QuantizedNetwork:
    """`like` with the scales that a population has in `first` times `factor`."""
    old = first.population(name)
    new = replace(old, scale=old.scale * factor)
    return like.with_(populations=tuple(new if p.name == name else p for p in like.populations))


def _corrected(task: _Task, best: _Trial) -> _Trial:
    """Biases that give back the mean input which rounding took, if that helps."""
    means = {name: _mean(spikes) for name, spikes in task.sources.items()}
    lost = {p.name: np.zeros(p.n) for p in task.steps.populations}
    integers = held(best.graph, best.network)
    for old, new in zip(task.steps.projections, integers.projections, strict=True):
        if old.source in means:
            weight = new.synapses.weight - old.synapses.weight
            difference = replace(old, synapses=replace(old.synapses, weight=weight))
            n = len(lost[old.target])
            lost[old.target] += synaptic_input(difference, means[old.source][None], n)[0]
    populations = tuple(
        p.with_lif(bias=p.bias - _per_group(task.steps, p, lost[p.name])) if p.is_lif else p
        for p in best.graph.populations
    )
    return task.better(best, best.graph.with_(populations=populations), best.like)


def _per_group(steps: StepGraph, p: Population, values: Array) -> Array:
    """The mean of every channel, where a convolution shares what belongs to its neurons."""
    group = (
        groups_of(p, steps.into(p.name), "neuron") if p.threshold is not None else np.arange(p.n)
    )
    return np.asarray((np.bincount(group, values) / np.bincount(group))[group])


def _moved_thresholds(task: _Task, best: _Trial) -> _Trial:
    """Thresholds a little up where neurons fire too often and down where too seldom, repeatedly."""
    for _ in range(ROUNDS):
        populations = tuple(_threshold_moved(task, p, best.trace) for p in best.graph.populations)
        moved = task.better(best, best.graph.with_(populations=populations), best.like)
        if moved is best:
            break
        best = moved
    return best


def _threshold_moved(task: _Task, p: Population, trace: Trace) -> Population:
    if not p.is_lif or p.threshold is None or p.name not in trace.spikes:
        return p
    found, wanted = (
        _per_group(task.steps, p, run.spikes[p.name].per_neuron().sum(axis=0).astype(np.float64))
        for run in (trace, task.real)
    )
    ratio = np.clip((found + 1.0) / (wanted + 1.0), 0.5, 2.0) ** STRENGTH
    return p.with_lif(threshold=p.threshold * ratio)


def _emulated(network: QuantizedNetwork, board: Board, data: Data, readout: ReadOut) -> Trace:
    program = compiler(board.target).compile(network, board)
    probes = output_probes(program.outputs, program.fires, readout)
    trace = emulator(board.target).emulate(program, data.spikes, probes=probes)
    return aligned(trace, data.spikes.steps)


def _distance(trace: Trace, real: Trace, name: str, scale: Array) -> float:
    """Of an output's scores from those in float, relative to their size."""
    found, wanted = usual_scores(trace, name), usual_scores(real, name)
    if name not in trace.spikes:
        found = found / scale
    return float(np.linalg.norm(found - wanted) / max(float(np.linalg.norm(wanted)), 1e-12))


def _mean(spikes: Spikes) -> Array:
    return np.asarray(spikes.per_neuron().sum(axis=0) / max(spikes.batch * spikes.steps, 1))
