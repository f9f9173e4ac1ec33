"""What a `ChipNetwork` computes, step by step: the definition for Loihi, in plain numpy.

Checked against recordings of the chip and Lava's bit-accurate models. The current is a 24-bit
two's complement register; Lava's can be 2**23 (docs/chip-networks.md).

The chip counts refractory periods in its voltage register (nengo-loihi recognises spikes on the
chip by v == refractory * 128), and a probe shows that: on the step of a spike 128 times the
refractory period, in the steps that follow within it one more each. What goes on is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Programmed,
    SigmaDelta,
)
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.loihi_cuba import LOIHI_CUBA
from snnstack.dynamics.neurons.sigma_delta import SIGMA_DELTA
from snnstack.dynamics.run_numpy import Definition
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Spikes, Trace

DECAY_BITS = 12
CURRENT_BITS = 24
VOLTAGE_MAX = 2**23 - 1
WEIGHT_SHIFT = 6
REFRACTORY_SHIFT = 7
"""The refractory period's place in a voltage register that counts it."""


def run_chip(
    network: ChipNetwork,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """`network` on `spikes`, for as many steps as they have (no draining).

    `spikes`: a `Spikes`, or int64 [batch, step, n] for graded input. `probes` are (population,
    variable): "v" and "i" of `Cuba`, "v" (act) and "s" (sent values) of `SigmaDelta`, the states
    of `Programmed`.
    """
    values: dict[str, Any] = {network.input.name: _by_step(spikes)}
    steps, batch, _ = values[network.input.name].shape
    for p in network.populations:
        values[p.name] = np.zeros((steps, batch, p.n), dtype=np.int64)
    layers = {p.name: Definition(chip_neurons(p), batch) for p in network.populations}
    recorded = {
        probe: np.zeros((batch, steps, network.population(probe[0]).n), dtype=np.int64)
        for probe in probes
    }
    for t in range(steps):
        for p in network.populations:
            into = network.into(p.name)
            acc = [
                _arriving([c for c in into if c.port == port], values, t, batch, p.n)
                for port in p.ports
            ]
            sent = layers[p.name](*acc)
            values[p.name][t] = 0 if sent is None else sent
        for name, variable in probes:
            recorded[name, variable][:, t] = layers[name].reads[variable]
    fired = {
        p.name: events_of(p, values[p.name].transpose(1, 0, 2))
        for p in network.populations
        if p.fires
    }
    return Trace(fired, recorded)


def events_of(p: ChipPopulation, sent: Array) -> Spikes:
    """What a population sends, integers [batch, step, n], as events: spikes or values."""
    shaped = sent.reshape(*sent.shape[:2], *p.shape)
    if isinstance(p, Programmed) and p.payload:
        return Spikes.carrying(shaped)
    return Spikes.from_dense(shaped.astype(np.uint8))


def _by_step(spikes: Spikes | Array) -> Array:
    if isinstance(spikes, Spikes):
        spikes = spikes.dense().reshape(spikes.batch, spikes.steps, spikes.n)
    return np.asarray(spikes, dtype=np.int64).transpose(1, 0, 2)


def _arriving(
    connections: Sequence[Connection], values: dict[str, Array], t: int, batch: int, n: int
) -> Array:
    """Sum of the effective weights of all events that arrive in step `t`: [batch, n]."""
    total = np.zeros((batch, n), dtype=np.int64)
    for c in connections:
        sent = t - 1 - c.delay
        if sent >= 0:
            projection = Projection(c.source, c.target, c.synapses, 0, c.pool)
            total += synaptic_input(projection, values[c.source][sent], n)
    return total


def chip_neurons(p: ChipPopulation) -> Neurons:
    """The model that a population of the chip follows, with its numbers."""
    if isinstance(p, Programmed):
        return p.neurons
    if isinstance(p, SigmaDelta):
        delta: dict[str, Any] = {
            "payload_shift": p.exponent,
            "bias": p.bias,
            "threshold": p.threshold,
        }
        return Neurons(SIGMA_DELTA, p.n, "int64", delta, {"rectify": p.activation == "relu"})
    values: dict[str, Any] = {
        "alpha": (1 << DECAY_BITS) - p.v_decay,
        "beta": (1 << DECAY_BITS) - p.i_decay,
        "shift": WEIGHT_SHIFT,
        "bias": p.bias,
        "pause": p.refractory,
        "interval": max(p.reset_interval, 1),
        "state_max": VOLTAGE_MAX,
    }
    if p.threshold is not None:
        values["threshold"] = p.threshold
    options = {
        "fires": p.threshold is not None,
        "refractory": p.refractory > 1,
        "subtract": p.reset == "subtract",
        "current_bits": CURRENT_BITS,
        "clears": p.reset_interval > 0,
        "reads": p.refractory << REFRACTORY_SHIFT if p.reset == "zero" else 0,
    }
    initial: dict[str, Any] = {} if p.v_init is None else {"v": p.v_init}
    if p.reset_interval:
        initial["age"] = -p.reset_offset % p.reset_interval
    return Neurons(LOIHI_CUBA, p.n, "int32", values, options, initial)


def reads_while_waiting(refractory: int, wait: Array) -> Array:
    """What the voltage register shows where `wait`, `refractory` on a spike, is not 0."""
    return np.asarray((refractory << REFRACTORY_SHIFT) + refractory - wait)
