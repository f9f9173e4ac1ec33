"""Run a network step by step, densely: the definition that everything faster must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.run_numpy import Definition
from snnstack.ir.learning import check_learning, plastic, refuse_learning
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, StepGraph
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.neurons import integer_neurons
from snnstack.reference.learning import Deferred, Learner
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Counts, Spikes, Trace

Synapses = Callable[[Projection, Array, int], Array]


def run_steps(
    graph: StepGraph, spikes: Spikes | Array, probes: Sequence[tuple[str, str]] = ()
) -> Trace:
    """The float network on `spikes` [batch, step, input]; float64 throughout.

    Input can also be an array of real numbers [batch, step, *shape]. `probes` are
    (population, "v" or "i"). A population that does not fire passes its membrane on as a value.
    Plastic projections learn (`snnstack.reference.learning`); every sample starts from the given
    weights, those after it are the trace's.
    """
    check_learning(graph)
    return _run(graph, spikes, probes, lambda p: p.neurons, np.float64)


def run_quantized(
    network: QuantizedNetwork,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]] = (),
    *,
    synapses: Synapses = synaptic_input,
) -> Trace:
    """The integer network on `spikes`, by the equations of `snnstack.quant.network`.

    `synapses(projection, seen, n)` brings what a projection makes of the spikes `seen`
    [batch, sources] to its n targets; a machine's own may stand in for the weights'.
    """
    refuse_learning(network, "the integer definition")

    def neurons(population: QuantizedPopulation) -> Neurons:
        return integer_neurons(population, network.numerics)

    return _run(network, spikes, probes, neurons, np.int64, synapses)


def _run(
    network: StepGraph | QuantizedNetwork,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]],
    neurons: Callable[[Any], Neurons],
    dtype: type,
    synapses: Synapses = synaptic_input,
) -> Trace:
    batch, steps = _extent(spikes)
    values = _by_input(network, _by_step(spikes, dtype))
    for p in network.populations:
        values[p.name] = np.zeros((steps, batch, p.n), dtype=dtype)
    learners = {id(p): _learner(p, batch) for p in plastic(network)}
    rings: dict[int, list[Array]] = {key: [] for key in learners}
    layers = {p.name: Definition(neurons(p), batch) for p in network.populations}
    recorded: dict[tuple[str, str], Array] = {
        probe: np.zeros((batch, steps, network.population(probe[0]).n), dtype=dtype)
        for probe in probes
    }
    for t in range(steps):
        for p in network.populations:
            acc: Array = np.zeros((len(p.model.inputs), batch, p.n), dtype=dtype)
            for projection in network.into(p.name):
                if t >= projection.delay:
                    seen = values[projection.source][t - projection.delay]
                    port = p.model.inputs.index(projection.port)
                    learner = learners.get(id(projection))
                    if learner is None:
                        acc[port] += synapses(projection, seen, p.n)
                    elif isinstance(learner, Deferred):
                        acc[port] += rings[id(projection)][t - projection.delay]
                    else:
                        acc[port] += learner.deliver(seen)
            sent = layers[p.name](*acc)
            values[p.name][t] = layers[p.name].state["v"] if sent is None else sent
        for projection in plastic(network):
            learner = learners[id(projection)]
            if isinstance(learner, Deferred):
                post = _ago(values[projection.target], t - projection.delay)
                rings[id(projection)].append(learner(values[projection.source][t], post))
            else:
                _learn(learner, projection, t, values, layers)
        for name, variable in probes:
            recorded[name, variable][:, t] = layers[name].reads[variable]
    fired = {
        p.name: _sent(p, values[p.name].transpose(1, 0, 2).reshape(batch, steps, *p.shape))
        for p in network.populations
        if p.fires
    }
    weights = {str(p): learners[id(p)].weights for p in plastic(network)}
    return Trace(fired, recorded, _counts(network, spikes, fired), weights=weights)


def _learner(projection: Projection, batch: int) -> Learner | Deferred:
    assert projection.rule is not None
    kind = Deferred if projection.rule.order == "deferred" else Learner
    return kind(projection.rule, projection.synapses.weight, batch)


def _ago(sent: Array, step: int) -> Array:
    """What was sent in a step; nothing before the first."""
    return np.asarray(sent[step] if step >= 0 else np.zeros_like(sent[0]))


def _learn(
    learner: Learner,
    projection: Projection,
    t: int,
    values: dict[str, Array],
    layers: dict[str, Definition],
) -> None:
    """What the step `t` teaches, after all neurons have made it."""
    assert projection.rule is not None
    pre = _ago(values[projection.source], t - projection.delay)
    name = projection.rule.modulator
    layer = layers[projection.target]
    given = {state: layer.state[state] for state in projection.rule.rule.reads}
    third = None if name is None else values[name][t]
    learner(pre, values[projection.target][t], given, third)


def _by_input(network: StepGraph | QuantizedNetwork, x: Array) -> dict[str, Array]:
    """[step, sample, element] of every input."""
    ends = np.cumsum([port.n for port in network.inputs])
    parts = np.split(x, ends[:-1], axis=2)
    return {port.name: part for port, part in zip(network.inputs, parts, strict=True)}


def _sent(p: Population | QuantizedPopulation, dense: Array) -> Spikes:
    if p.model.sends == "value":
        return Spikes.carrying(dense)
    return Spikes.from_dense(dense.astype(np.uint8))


def _extent(spikes: Spikes | Array) -> tuple[int, int]:
    if isinstance(spikes, Spikes):
        return spikes.batch, spikes.steps
    return int(spikes.shape[0]), int(spikes.shape[1])


def _by_step(spikes: Spikes | Array, dtype: type) -> Array:
    dense = spikes.dense() if isinstance(spikes, Spikes) else spikes
    dense = dense.reshape(*_extent(spikes), -1)
    return dense.transpose(1, 0, 2).astype(dtype)


def _counts(
    network: StepGraph | QuantizedNetwork, spikes: Spikes | Array, fired: dict[str, Spikes]
) -> dict[str, Counts]:
    """Updates and spikes of every population; synaptic operations are the engine's to count."""
    batch, steps = _extent(spikes)
    nothing = np.zeros(batch, dtype=np.int64)
    return {
        p.name: Counts(
            synops=nothing,
            updates=np.full(batch, p.n * steps, dtype=np.int64),
            spikes=fired[p.name].per_neuron().sum(axis=1) if p.name in fired else nothing,
        )
        for p in network.populations
    }
