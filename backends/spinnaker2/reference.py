"""What a `ChipNetwork` computes, step by step: the definition for SpiNNaker 2, in plain numpy.

Every operation rounds to IEEE float32, in the order written; there is no fused multiply-add.
Checked against recordings of the chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation, Connection
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Spikes, Trace

State = dict[str, Array]


def run_chip(network: ChipNetwork, spikes: Spikes, probes: Sequence[tuple[str, str]] = ()) -> Trace:
    """`network` on `spikes`, for as many steps as they have (no draining).

    `probes`: (population, variable) with variables "v", and "ie", "ii" of `lif_curr_exp*`;
    float32 [batch, step, n], after the reset.
    """
    batch, steps = spikes.batch, spikes.steps
    dense = spikes.dense().reshape(batch, steps, spikes.n).transpose(1, 0, 2)
    values: dict[str, Array] = {network.input.name: dense.astype(np.int64)}
    for p in network.populations:
        values[p.name] = np.zeros((steps, batch, p.n), dtype=np.int64)
    states = {p.name: _initial(p, batch) for p in network.populations}
    recorded = {probe: np.zeros((batch, steps, network.population(probe[0]).n), dtype=np.float32)
                for probe in probes}  # fmt: skip
    for t in range(steps):
        for p in network.populations:
            positive, negative = _arriving(network.into(p.name), values, t, batch, p.n)
            values[p.name][t] = _step(p, states[p.name], positive, negative)
        for name, variable in probes:
            recorded[name, variable][:, t] = states[name][variable]
    fired = {
        p.name: Spikes.from_dense(
            values[p.name].transpose(1, 0, 2).reshape(batch, steps, *p.shape).astype(np.uint8)
        )
        for p in network.populations
        if p.threshold is not None
    }
    return Trace(fired, recorded)


def _arriving(
    connections: tuple[Connection, ...], values: dict[str, Array], t: int, batch: int, n: int
) -> tuple[Array, Array]:
    """Sums of the positive and of the negative weights that arrive in step t: float32."""
    sums = [np.zeros((batch, n), dtype=np.int64) for _ in range(2)]
    for c in connections:
        sent = t - 1 - c.delay
        if sent < 0:
            continue
        for k, part in enumerate((np.maximum, np.minimum)):
            synapses = replace(c.synapses, weight=part(c.synapses.weight, 0))
            projection = Projection(c.source, c.target, synapses, 0, c.pool)
            sums[k] += synaptic_input(projection, values[c.source][sent], n)
    return sums[0].astype(np.float32), sums[1].astype(np.float32)


def _initial(p: ChipPopulation, batch: int) -> State:
    state = {name: np.zeros((batch, p.n), dtype=np.float32) for name in ("v", "ie", "ii")}
    if p.v_init is not None:
        state["v"] += p.v_init
    return state


def _step(p: ChipPopulation, state: State, positive: Array, negative: Array) -> Array:
    if p.exc_decay is None or p.inh_decay is None:
        v = p.alpha * state["v"] + (positive + negative) + p.i_offset
    else:
        state["ie"] = state["ie"] * p.exc_decay + positive
        state["ii"] = state["ii"] * p.inh_decay + negative
        v = p.alpha * state["v"] + state["ie"] + state["ii"] + p.i_offset
    if p.threshold is None:
        state["v"] = v
        return np.zeros(v.shape, dtype=np.int64)
    fired = v >= p.threshold
    after = v - p.threshold if p.reset == "subtract" else np.broadcast_to(p.v_reset, v.shape)
    state["v"] = np.where(fired, after, v)
    return np.asarray(fired.astype(np.int64))
