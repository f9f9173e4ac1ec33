"""Run a network step by step, densely: the definition that everything faster must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from snnstack.fixedpoint import decay, saturate, wrap
from snnstack.ir.nodes import Array, ResetTime
from snnstack.ir.step import Population, Projection, StepGraph
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics, Overflow
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Counts, Spikes, Trace

State = dict[str, Array]
Step = Callable[[Any, State, Array], Array]
Synapses = Callable[[Projection, Array, int], Array]


def run_steps(
    graph: StepGraph, spikes: Spikes | Array, probes: Sequence[tuple[str, str]] = ()
) -> Trace:
    """The float network on `spikes` [batch, step, input]; float64 throughout.

    Input can also be an array of real numbers [batch, step, *shape]. `probes` are
    (population, "v" or "i"). A population that does not fire passes its membrane on as a value.
    """
    return _run(graph, spikes, probes, _float_step, np.float64)


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

    def step(population: QuantizedPopulation, state: State, acc: Array) -> Array:
        return _integer_step(population, network.numerics, state, acc)

    return _run(network, spikes, probes, step, np.int64, synapses)


def _run(
    network: StepGraph | QuantizedNetwork,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]],
    step: Step,
    dtype: type,
    synapses: Synapses = synaptic_input,
) -> Trace:
    batch, steps = _extent(spikes)
    values = {network.inputs[0].name: _by_step(spikes, dtype)}
    for p in network.populations:
        values[p.name] = np.zeros((steps, batch, p.n), dtype=dtype)
    states = {p.name: _initial(p, batch, dtype) for p in network.populations}
    sizes = {p.name: p.n for p in network.populations}
    recorded: dict[tuple[str, str], Array] = {
        probe: np.zeros((batch, steps, sizes[probe[0]]), dtype=dtype) for probe in probes
    }
    for t in range(steps):
        for p in network.populations:
            acc: Array = np.zeros((batch, p.n), dtype=dtype)
            for projection in network.into(p.name):
                if t >= projection.delay:
                    seen = values[projection.source][t - projection.delay]
                    acc += synapses(projection, seen, p.n)
            values[p.name][t] = step(p, states[p.name], acc)
        for name, variable in probes:
            recorded[name, variable][:, t] = states[name][variable]
    fired = {
        p.name: Spikes.from_dense(
            values[p.name].transpose(1, 0, 2).astype(np.uint8).reshape(batch, steps, *p.shape)
        )
        for p in network.populations
        if p.threshold is not None
    }
    return Trace(fired, recorded, _counts(network, spikes, fired))


def _extent(spikes: Spikes | Array) -> tuple[int, int]:
    if isinstance(spikes, Spikes):
        return spikes.batch, spikes.steps
    return int(spikes.shape[0]), int(spikes.shape[1])


def _by_step(spikes: Spikes | Array, dtype: type) -> Array:
    dense = spikes.dense() if isinstance(spikes, Spikes) else spikes
    dense = dense.reshape(*_extent(spikes), -1)
    return dense.transpose(1, 0, 2).astype(dtype)


def _initial(p: Population | QuantizedPopulation, batch: int, dtype: type) -> State:
    zeros: Array = np.zeros((batch, p.n), dtype=dtype)
    return {"v": zeros, "i": zeros, "wait": np.zeros((batch, p.n), dtype=np.int64)}


def _float_step(p: Population, state: State, acc: Array) -> Array:
    x = acc + p.bias
    if p.beta is not None:
        x = state["i"] = p.beta * state["i"] + p.gain_in * x
    before, late, time = state["v"], _late(p, state["v"]), _time(p)
    if p.reset == "set" and time == "next":
        before = np.where(late, p.v_reset, before)
    v = p.alpha * before + p.gain * x + p.leak
    if p.reset == "set" and time == "next_all":
        v = np.where(late, p.v_reset, v)
    if p.reset == "subtract" and time != "now":
        v = v - _taken(p, late)
    if time == "recheck":
        return _recheck(p, state, v, late)
    return _fire(p, state, v)


def _integer_step(p: QuantizedPopulation, numerics: Numerics, state: State, acc: Array) -> Array:
    bits, rounding = numerics.decay_bits, numerics.decay_rounding
    x = (acc << p.shift) + p.bias
    if p.beta is not None:
        overflow = numerics.current_overflow or numerics.overflow
        x = decay(state["i"], p.beta, bits, rounding) + x
        x = state["i"] = _bounded(x, numerics.current_max, overflow)
    late = _late(p, state["v"])
    v = decay(state["v"], p.alpha, bits, rounding) + x + p.leak
    if _time(p) == "next":
        v = v - _taken(p, late)
    v = _bounded(v, numerics.state_max, numerics.overflow)
    if _time(p) == "recheck":
        return _recheck(p, state, v - _taken(p, late), late)
    return _fire(p, state, v)


def _bounded(value: Array, limit: int, overflow: Overflow) -> Array:
    if overflow == "saturate":
        return saturate(value, limit)
    return wrap(value, (limit + 1).bit_length())


def _above(p: Population | QuantizedPopulation, v: Array) -> Array:
    return np.asarray(v >= p.threshold if p.compare == "ge" else v > p.threshold)


def _time(p: Population | QuantizedPopulation) -> ResetTime:
    return "now" if p.threshold is None else p.reset_time


def _late(p: Population | QuantizedPopulation, v: Array) -> Array:
    """Whether the membrane a step starts from is above its threshold, if the reset asks that."""
    if _time(p) == "now":
        return np.zeros(v.shape, dtype=bool)
    return _above(p, v)


def _taken(p: Population | QuantizedPopulation, where: Array) -> Array:
    return np.asarray(np.where(where, 0 if p.threshold is None else p.threshold, 0))


def _recheck(p: Population | QuantizedPopulation, state: State, v: Array, late: Array) -> Array:
    """Fire where `v` is above the threshold, which `late` took once already."""
    fired = _above(p, v)
    state["v"] = np.where(fired == late, v, np.where(fired, v - p.threshold, v + p.threshold))
    return fired


def _fire(p: Population | QuantizedPopulation, state: State, v: Array) -> Array:
    """Compare, reset and refractory period; returns what the population sends."""
    if p.threshold is None:
        state["v"] = v
        return v
    waiting = state["wait"] > 0
    v = np.where(waiting, state["v"], v)
    fired = _above(p, v) & ~waiting
    after = v - p.threshold if p.reset == "subtract" else np.broadcast_to(p.v_reset, v.shape)
    keeps = p.reset == "none" or p.reset_time != "now"
    state["v"] = v if keeps else np.where(fired, after, v)
    state["wait"] = np.where(fired, p.refractory, np.maximum(state["wait"] - 1, 0))
    return fired


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
