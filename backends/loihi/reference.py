"""What a `ChipNetwork` computes, step by step: the definition for Loihi, in plain numpy.

Checked against recordings of the chip and Lava's bit-accurate models. On the step of a spike
the chip's voltage register reads 128, and so does a probe; the value that goes on is 0. The
current is a 24-bit two's complement register; Lava's can be 2**23 (docs/chip-networks.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Cuba,
    SigmaDelta,
)
from snnstack.fixedpoint import decay, saturate, wrap
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Spikes, Trace

DECAY_BITS = 12
CURRENT_BITS = 24
VOLTAGE_MAX = 2**23 - 1
WEIGHT_SHIFT = 6
READS_ON_SPIKE = 128
State = dict[str, Array]


def run_chip(
    network: ChipNetwork,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """`network` on `spikes`, for as many steps as they have (no draining).

    `spikes`: a `Spikes`, or int64 [batch, step, n] for graded input. `probes` are (population,
    variable): "v" and "i" of `Cuba`, "v" (act) and "s" (sent values) of `SigmaDelta`.
    """
    values = {network.input.name: _by_step(spikes)}
    steps, batch, _ = values[network.input.name].shape
    for p in network.populations:
        values[p.name] = np.zeros((steps, batch, p.n), dtype=np.int64)
    states = {p.name: _initial(p, batch) for p in network.populations}
    recorded = {
        probe: np.zeros((batch, steps, network.population(probe[0]).n), dtype=np.int64)
        for probe in probes
    }
    for t in range(steps):
        for p in network.populations:
            acc = _arriving(network.into(p.name), values, t, batch, p.n)
            values[p.name][t] = _step(p, states[p.name], acc)
        for name, variable in probes:
            recorded[name, variable][:, t] = states[name][variable]
    fired = {
        p.name: Spikes.from_dense(
            values[p.name].transpose(1, 0, 2).reshape(batch, steps, *p.shape).astype(np.uint8)
        )
        for p in network.populations
        if isinstance(p, Cuba) and p.threshold is not None
    }
    return Trace(fired, recorded)


def _by_step(spikes: Spikes | Array) -> Array:
    if isinstance(spikes, Spikes):
        spikes = spikes.dense().reshape(spikes.batch, spikes.steps, spikes.n)
    return np.asarray(spikes, dtype=np.int64).transpose(1, 0, 2)


def _arriving(
    connections: tuple[Connection, ...], values: dict[str, Array], t: int, batch: int, n: int
) -> Array:
    """Sum of the effective weights of all events that arrive in step `t`: [batch, n]."""
    total = np.zeros((batch, n), dtype=np.int64)
    for c in connections:
        sent = t - 1 - c.delay
        if sent >= 0:
            projection = Projection(c.source, c.target, c.synapses, 0, c.pool)
            total += synaptic_input(projection, values[c.source][sent], n)
    return total


def _initial(p: ChipPopulation, batch: int) -> State:
    names = ("v", "i", "real_v", "wait") if isinstance(p, Cuba) else ("sigma", "v", "residue", "s")
    return {name: np.zeros((batch, p.n), dtype=np.int64) for name in names}


def _step(p: ChipPopulation, state: State, acc: Array) -> Array:
    return _cuba(p, state, acc) if isinstance(p, Cuba) else _sigma_delta(p, state, acc)


def _cuba(p: Cuba, state: State, acc: Array) -> Array:
    one = 1 << DECAY_BITS
    u = decay(state["i"], one - p.i_decay, DECAY_BITS, "toward_zero") + (acc << WEIGHT_SHIFT)
    state["i"] = wrap(u, CURRENT_BITS)
    v = decay(state["real_v"], one - p.v_decay, DECAY_BITS, "toward_zero") + state["i"] + p.bias
    v = saturate(v, VOLTAGE_MAX)
    waiting = state["wait"] > 0
    v = np.where(waiting, state["real_v"], v)
    if p.threshold is None:
        state["v"] = state["real_v"] = v
        return np.zeros_like(v)
    fired = (v > p.threshold) & ~waiting
    after = np.zeros_like(v) if p.reset == "zero" else v - p.threshold
    state["real_v"] = np.where(fired, after, v)
    reads = READS_ON_SPIKE if p.reset == "zero" else after
    state["v"] = np.where(fired, reads, v)
    state["wait"] = np.where(fired, p.refractory - 1, np.maximum(state["wait"] - 1, 0))
    return fired.astype(np.int64)


def _sigma_delta(p: SigmaDelta, state: State, acc: Array) -> Array:
    state["sigma"] = state["sigma"] + acc
    act = state["sigma"] + p.bias
    if p.activation == "relu":
        act = np.maximum(act, 0)
    delta = act - state["v"] + state["residue"]
    sent = np.where(np.abs(delta) >= p.threshold, delta, 0)
    state["residue"], state["v"] = delta - sent, act
    state["s"] = sent >> p.exponent
    return state["s"]
