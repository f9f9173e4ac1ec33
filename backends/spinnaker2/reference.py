"""What a `ChipNetwork` computes, step by step: the definition for SpiNNaker 2, in plain numpy.

Every operation rounds to IEEE float32, in the order written; there is no fused multiply-add.
Checked against recordings of the chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation, Connection
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.spinnaker2_lif import SPINNAKER2_LIF
from snnstack.dynamics.run_numpy import Definition
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.reference.synapses import synaptic_input
from snnstack.trace import Spikes, Trace


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
    layers = {p.name: Definition(chip_neurons(p), batch) for p in network.populations}
    recorded = {probe: np.zeros((batch, steps, network.population(probe[0]).n), dtype=np.float32)
                for probe in probes}  # fmt: skip
    for t in range(steps):
        for p in network.populations:
            positive, negative = _arriving(network.into(p.name), values, t, batch, p.n)
            sent = layers[p.name](positive, negative)
            values[p.name][t] = 0 if sent is None else sent
        for name, variable in probes:
            recorded[name, variable][:, t] = layers[name].reads[variable]
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


def chip_neurons(p: ChipPopulation) -> Neurons:
    """The model that a population of the chip follows, with its numbers."""
    values: dict[str, Any] = {"alpha": p.alpha, "i_offset": p.i_offset, "v_reset": p.v_reset}
    optional = {"exc_decay": p.exc_decay, "inh_decay": p.inh_decay, "threshold": p.threshold}
    values |= {name: v for name, v in optional.items() if v is not None}
    options = {
        "current": p.exc_decay is not None and p.inh_decay is not None,
        "fires": p.threshold is not None,
        "subtract": p.reset == "subtract",
    }
    initial = {} if p.v_init is None else {"v": p.v_init}
    return Neurons(SPINNAKER2_LIF, p.n, "float32", values, options, initial)
