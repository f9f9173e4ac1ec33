"""What quantisation cost, layer by layer: the conversion report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from snnstack.frontends.data import Data
from snnstack.ir.matrix import matrix, scale_targets
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, StepGraph, Synapses
from snnstack.quant.losses import LayerLosses, from_settings
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.report.dead import Dead, dead_of
from snnstack.report.readout import accuracy, classes, in_units_of, output_probes, read_out
from snnstack.trace import Spikes, Trace

Runner = Callable[[StepGraph, Spikes, Sequence[tuple[str, str]]], Trace]
LOSS = 0.005
"""A layer loses accuracy when quantising it costs more than this share of the samples."""


@dataclass(frozen=True)
class LayerConversion:
    """One population after quantisation, beside the float run on the same samples.

    `weight_error`: root mean square of the weight errors over that of the weights.
    `clipped`: share of the weights beyond the largest integer. `threshold_units`: smallest
    threshold in membrane units. `decay_error`: largest difference of a decay factor.
    `silenced`: neurons that fired in float and never do now; `saturated`: neurons that fire in
    every step now and did not in float. `accuracy`: with this layer and all before it
    quantised, the rest float (None without labels). `losses`: the network's own record, where
    it has one.
    """

    name: str
    neurons: int
    weight_error: float
    clipped: float
    threshold_units: int | None
    decay_error: float
    spikes_float: int
    spikes: int
    silenced: int
    saturated: int
    accuracy: float | None = None
    losses: LayerLosses | None = None

    @property
    def spike_change(self) -> float:
        """Relative change of the number of spikes."""
        return (self.spikes - self.spikes_float) / max(self.spikes_float, 1)


@dataclass(frozen=True)
class Conversion:
    """The whole report; `first_loss` names the first layer where accuracy is lost, or "pruning".

    `accuracy_float` and the layers' `spikes_float` are those before pruning, `accuracy_pruned`
    after it, still in float (None: nothing was pruned). `dead`: output
    neurons without a spike.
    """

    samples: int
    accuracy_float: float | None
    accuracy: float | None
    first_loss: str | None
    layers: tuple[LayerConversion, ...]
    accuracy_pruned: float | None = None
    dead: tuple[Dead, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For `--json` and the program's directory."""
        plain = asdict(self)
        for row, layer in zip(plain["layers"], self.layers, strict=True):
            row["spike_change"] = layer.spike_change
        return plain


def conversion(
    graph: StepGraph,
    network: QuantizedNetwork,
    data: Data,
    float_trace: Trace,
    trace: Trace,
    run: Runner,
    whole: Trace | None = None,
) -> Conversion:
    """Explain `network` against its float `graph` (unit gains) on `data`.

    `float_trace`, `trace`: the runs of both on all of `data`, with the membranes of outputs
    that do not fire. `run` runs a float graph. `whole`: the run of the float network before
    `graph` was pruned.
    """
    real = float_trace if whole is None else whole
    known = {layer.name: layer for layer in from_settings(network.settings)}
    layers = [
        replace(_layer(graph, network, p, real, trace), losses=known.get(p.name))
        for p in network.populations
    ]
    readout = read_out(graph.settings)
    before = accuracy(classes(real, graph.outputs, readout), data.labels)
    pruned = accuracy(classes(float_trace, graph.outputs, readout), data.labels)
    board = in_units_of(readout, network)
    after = accuracy(classes(trace, graph.outputs, board), data.labels)
    first = None
    if before is not None and pruned is not None:
        layers, first = _with_accuracy(graph, network, data, layers, pruned, run)
        first = "pruning" if before - pruned > LOSS else first
    dead = dead_of(graph.outputs, trace, real)
    after_pruning = None if whole is None else pruned
    return Conversion(data.spikes.batch, before, after, first, tuple(layers), after_pruning, dead)


def _with_accuracy(
    graph: StepGraph,
    network: QuantizedNetwork,
    data: Data,
    layers: list[LayerConversion],
    before: float,
    run: Runner,
) -> tuple[list[LayerConversion], str | None]:
    fires = {p.name: p.fires for p in graph.populations}
    readout = read_out(graph.settings)
    probes = output_probes(graph.outputs, fires, readout)
    done: list[LayerConversion] = []
    first, last, mixed = None, before, graph
    for layer in layers:
        mixed = replace_by_quantised(mixed, network, layer.name)
        found = classes(run(mixed, data.spikes, probes), graph.outputs, readout)
        reached = accuracy(found, data.labels)
        assert reached is not None
        if first is None and last - reached > LOSS:
            first = layer.name
        last = reached
        done.append(replace(layer, accuracy=reached))
    return done, first


def replace_by_quantised(graph: StepGraph, network: QuantizedNetwork, name: str) -> StepGraph:
    """`graph` with population `name` and what enters it at its quantised values, as floats."""
    quantised = network.population(name)
    populations = tuple(
        _float_population(p, quantised, network) if p.name == name else p for p in graph.populations
    )
    into = iter(network.into(name))
    projections = tuple(
        _float_projection(next(into), quantised) if p.target == name else p
        for p in graph.projections
    )
    return graph.with_(populations=populations, projections=projections)


def _float_population(
    population: Population, quantised: QuantizedPopulation, network: QuantizedNetwork
) -> Population:
    if not quantised.is_lif:  # only its weights
        return population
    scale = quantised.scale
    threshold = quantised.threshold
    alpha, beta = quantised.decays(network.numerics)
    return population.with_lif(
        alpha=alpha,
        beta=beta,
        bias=quantised.bias / scale,
        leak=quantised.leak / scale,
        threshold=None if threshold is None else threshold / scale,
        v_reset=quantised.v_reset / scale,
        compare=quantised.compare,
    )


def _float_projection(projection: Projection, quantised: QuantizedPopulation) -> Projection:
    factor = 2.0**quantised.shift / quantised.scale
    if quantised.ports:
        factor = quantised.port_volts(projection.port)
    synapses = scale_targets(projection.synapses, factor)
    assert synapses is not None
    return replace(projection, synapses=synapses)


def _layer(
    graph: StepGraph,
    network: QuantizedNetwork,
    quantised: QuantizedPopulation,
    float_trace: Trace,
    trace: Trace,
) -> LayerConversion:
    name = quantised.name
    population = graph.population(name)
    error, clipped = _weight_error(graph, network, quantised)
    decay = _decay_error(population, quantised, network) if quantised.is_lif else 0.0
    fired, fires = _per_neuron(float_trace, name), _per_neuron(trace, name)
    steps = trace.spikes[name].steps * trace.spikes[name].batch if name in trace.spikes else -1
    threshold = quantised.threshold
    return LayerConversion(
        name=name,
        neurons=quantised.n,
        weight_error=error,
        clipped=clipped,
        threshold_units=None if threshold is None else int(np.min(threshold)),
        decay_error=float(decay),
        spikes_float=int(fired.sum()),
        spikes=int(fires.sum()),
        silenced=int(np.count_nonzero((fired > 0) & (fires == 0))),
        saturated=int(np.count_nonzero((fires == steps) & (fired < steps))),
    )


def _decay_error(
    population: Population, quantised: QuantizedPopulation, network: QuantizedNetwork
) -> float:
    alpha, beta = quantised.decays(network.numerics)
    decay = np.abs(alpha - population.alpha).max(initial=0.0)
    if beta is not None and population.beta is not None:
        decay = max(decay, np.abs(beta - population.beta).max(initial=0.0))
    return float(decay)


def _per_neuron(trace: Trace, name: str) -> Array:
    spikes = trace.spikes.get(name)
    return np.zeros(0, dtype=np.int64) if spikes is None else spikes.per_neuron().sum(axis=0)


def _weight_error(
    graph: StepGraph, network: QuantizedNetwork, quantised: QuantizedPopulation
) -> tuple[float, float]:
    error = power = 0.0
    clipped = count = 0
    most = network.numerics.weight_max
    pairs = zip(graph.into(quantised.name), network.into(quantised.name), strict=True)
    for real, integer in pairs:
        unit = quantised.port_volts(integer.port)
        back = scale_targets(integer.synapses, unit)
        units = scale_targets(real.synapses, 1.0 / unit)
        assert back is not None and units is not None
        error += float(np.sum(_apart(back, real.synapses, quantised.n) ** 2))
        power += float(np.sum(_values(real.synapses, type(back), quantised.n) ** 2))
        clipped += int(np.count_nonzero(np.abs(units.weight) > most + 0.5))
        count += units.weight.size
    return float(np.sqrt(error / power)) if power else 0.0, clipped / max(count, 1)


def _apart(one: Synapses, two: Synapses, targets: int) -> Array:
    """Differences of weights; neurons of a channel with scales of their own have no kernel."""
    if type(one) is type(two):
        return np.asarray(one.weight - two.weight)
    return np.asarray((matrix(one, targets) - matrix(two, targets)).data)


def _values(synapses: Synapses, form: type, targets: int) -> Array:
    """Weights, each as often as it is in synapses of `form`."""
    whole = isinstance(synapses, form)
    return np.asarray(synapses.weight if whole else matrix(synapses, targets).data)
