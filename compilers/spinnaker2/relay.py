"""Relay: delays that no synapse word holds become populations that pass spikes on, later.

A relay neuron fires in the step after its one input spike; with the delay field d of its
synapse it is 1 + d steps late. Relays eight steps apart form a chain that all connections of a
source share; the rest of a delay stands in the target's words, or costs one relay more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.backends.spinnaker2.network import (
    MAX_DELAY,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.words import has_delays
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.matrix import diagonal
from snnstack.ir.nodes import Shape

STRIDE = MAX_DELAY + 1
"""Steps that one relay can be late."""


def offset_of(delay: int, field: bool) -> int:
    """Steps of `delay` that relays must make up, for a target with or without a delay field.

    >>> offset_of(7, True), offset_of(9, True), offset_of(9, False)
    (0, 8, 9)
    """
    return delay // STRIDE * STRIDE if field else delay


def relayed(network: ChipNetwork, counts: bool) -> ChipNetwork:
    """`network` with relays wherever a delay is longer than a word of its target holds.

    `settings["relays"]` names them, `settings["relay_neurons"]` says how many neurons those of
    each source are. `counts`: the input
    sends several spikes in one step, which a relay cannot: ModelError if it needs one.
    """
    offsets: dict[str, set[int]] = {}
    connections = []
    for c in network.connections:
        offset = offset_of(c.delay, has_delays(network.population(c.target).application))
        if offset:
            offsets.setdefault(c.source, set()).add(offset)
            c = replace(c, source=relay_name(c.source, offset), delay=c.delay - offset)
        connections.append(c)
    if not offsets:
        return network
    port = network.input
    if counts and port.name in offsets:
        what = f"is delayed by {max(offsets[port.name])} steps and sends counts"
        hint = "a relay passes one spike a step on: declare binary input (--events binary)"
        raise_if_any(ModelError, [Problem(port.name, what, hint)])
    shapes = {port.name: port.shape} | {p.name: p.shape for p in network.populations}
    extra: list[ChipPopulation] = []
    lag = dict(network.lag)
    for source, wanted in offsets.items():
        for late, before in _chain(wanted):
            name = relay_name(source, late)
            extra.append(_population(name, shapes[source]))
            start = relay_name(source, before) if before else source
            synapses = diagonal(np.ones(extra[-1].n, dtype=np.int64))
            connections.append(Connection(start, name, synapses, late - before - 1))
            if lag:
                lag[name] = lag.get(source, 0) + late
    cost = {
        source: sum(p.n for p in extra if p.name.startswith(f"{source}+")) for source in offsets
    }
    return replace(
        network,
        populations=(*network.populations, *extra),
        connections=tuple(connections),
        lag=lag,
        settings={
            **network.settings,
            "relays": tuple(p.name for p in extra),
            "relay_neurons": cost,
        },
    )


def relay_name(source: str, late: int) -> str:
    """Of the relays of `source` that fire `late` steps after it."""
    return f"{source}+{late}"


def relay_count(offsets: set[int]) -> int:
    """Relays that each neuron of a source needs for `offsets`."""
    return len(_chain(offsets))


def _chain(offsets: set[int]) -> list[tuple[int, int]]:
    """(steps late, steps late of what it listens to) of all relays, in order."""
    last = max(offsets, default=0)
    ends = set(range(STRIDE, last + 1, STRIDE)) | offsets
    return [(late, (late - 1) // STRIDE * STRIDE) for late in sorted(ends)]


def _population(name: str, shape: Shape) -> ChipPopulation:
    """Fires at once for any spike and forgets it: v = x >= 1."""
    n = int(np.prod(shape))
    one, zero = np.ones(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    return ChipPopulation(name, shape, "lif", zero, zero, one, zero)
