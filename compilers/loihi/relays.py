"""Delays beyond the chip's longest: neurons that pass a spike on, as often as it takes.

A synapse delays a spike by at most 62 steps beyond the one that every hop takes, so a relay fires
63 steps after its source. Relay m of a chain fires 63 m steps later, and the last connection has
what is left: t + 1 + delay is met exactly. Relays of a source that sends values are programs that
send what arrives. An input element that may send several spikes in a
step has as many relays, the k-th of which fires if k spikes or more came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Connection, Cuba, Programmed
from snnstack.backends.loihi.ranges import REGISTERS
from snnstack.backends.loihi.registers import DECAY_ONE, THRESHOLD_SHIFT
from snnstack.dynamics.model import Model, Next
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import LARGEST_VALUE, Conv, Sparse, Synapses, size

LONGEST = REGISTERS["delay"].high
STAGE = LONGEST + 1
WEIGHT = 2
"""Of a relay's one synapse; thresholds lie halfway between numbers of spikes."""
RELAY = Model("relay", (), (), lambda n, x: Next({}, x), sends="value")
"""Sends what arrives."""


@dataclass(frozen=True, eq=False)
class _Chain:
    """What waits for one source of `n` elements: those `used`, as a population of `shape`."""

    source: str
    n: int
    used: Array
    shape: Shape
    stages: int
    copies: int
    payload: int = 0

    def name(self, stage: int, copy: int) -> str:
        plain = f"{self.source}.late{stage * STAGE}"
        return plain if self.copies == 1 else f"{plain}.{copy}"


def with_relays(network: ChipNetwork, count: int) -> ChipNetwork:
    """`network` with relays for every delay above 62; `count`: spikes of an input element a step.

    `settings["relays"]`: number of neurons by the source that they delay.
    """
    long = [c for c in network.connections if c.delay > LONGEST]
    if not long:
        return network
    chains = {name: _chain(network, name, long, count) for name in {c.source for c in long}}
    ordered = [chains[name] for name in sorted(chains)]
    extra = [p for chain in ordered for p in _populations(chain)]
    found = [c for chain in ordered for c in _links(chain)]
    for c in network.connections:
        found += [c] if c.delay <= LONGEST else _last(c, chains[c.source])
    known = {network.input.name: 0, **network.lag}
    lag = {p.name: known.get(chain.source, 0) for chain in ordered for p in _populations(chain)}
    relays = {c.source: len(c.used) * c.stages * c.copies for c in ordered}
    return network.with_(
        populations=(*extra, *network.populations),
        connections=tuple(found),
        lag={**lag, **network.lag},
        settings={**network.settings, "relays": relays},
    )


def _chain(network: ChipNetwork, name: str, long: list[Connection], count: int) -> _Chain:
    port, own = network.input, [c for c in long if c.source == name]
    shape = port.shape if name == port.name else network.population(name).shape
    plain = not any(c.pool is not None or isinstance(c.synapses, Conv) for c in own)
    used = np.arange(size(shape))
    if plain:
        sends = [_sends(c) for c in own]
        used = np.flatnonzero(np.any(sends, axis=0))
    stages = max(c.delay // STAGE for c in own)
    kept = shape if len(used) == size(shape) else (len(used),)
    payload = _payload(network, name)
    copies = max(count, 1) if name == port.name and not payload else 1
    return _Chain(name, size(shape), used, kept, stages, copies, payload)


def _payload(network: ChipNetwork, name: str) -> int:
    """The largest magnitude of a value that a source sends; 0: it sends spikes."""
    if name == network.input.name:
        return LARGEST_VALUE if network.input.graded else 0
    p = network.population(name)
    return p.payload if isinstance(p, Programmed) else 0


def _sends(c: Connection) -> Array:
    """Which sources of a dense or sparse connection have a synapse: bool [source]."""
    if isinstance(c.synapses, Sparse):
        return np.asarray(np.diff(c.synapses.indptr) > 0)
    return np.asarray((c.synapses.weight != 0).any(axis=0))


def _populations(chain: _Chain) -> Iterator[Cuba | Programmed]:
    """They forget everything within a step: a spike or none, in every step anew."""
    one = np.ones(size(chain.shape), dtype=np.int64)
    for stage in range(1, chain.stages + 1):
        for copy in range(1, chain.copies + 1):
            if chain.payload:
                yield Programmed(chain.name(stage, copy), chain.shape, RELAY, payload=chain.payload)
                continue
            half = WEIGHT * (copy if stage == 1 else 1) - 1
            yield Cuba(
                name=chain.name(stage, copy),
                shape=chain.shape,
                i_decay=one * DECAY_ONE,
                v_decay=one * DECAY_ONE,
                bias=one * 0,
                threshold=one * (half << THRESHOLD_SHIFT),
            )


def _links(chain: _Chain) -> Iterator[Connection]:
    """Into every relay: from the source, then from the relay before it."""
    n = len(chain.used)
    each = np.arange(n, dtype=np.int32)
    weight = np.full(n, 1 if chain.payload else WEIGHT, dtype=np.int64)
    for copy in range(1, chain.copies + 1):
        source = chain.source
        indptr = np.searchsorted(chain.used, np.arange(chain.n + 1)).astype(np.int64)
        for stage in range(1, chain.stages + 1):
            target = chain.name(stage, copy)
            synapses = Sparse(indptr, each, weight)
            yield Connection(source, target, synapses, LONGEST, signs="excitatory")
            source, indptr = target, np.arange(n + 1, dtype=np.int64)


def _last(c: Connection, chain: _Chain) -> list[Connection]:
    """`c` from the relay that is late enough, with the delay that is left."""
    stage, rest = divmod(c.delay, STAGE)
    synapses = _of_used(c.synapses, chain) if len(chain.used) < chain.n else c.synapses
    return [
        replace(c, source=chain.name(stage, copy), synapses=synapses, delay=rest)
        for copy in range(1, chain.copies + 1)
    ]


def _of_used(synapses: Synapses, chain: _Chain) -> Synapses:
    """Dense or sparse synapses of the sources that have any; the others' lists are empty."""
    if isinstance(synapses, Sparse):
        indptr = np.append(synapses.indptr[chain.used], synapses.indptr[-1])
        return replace(synapses, indptr=indptr)
    return replace(synapses, weight=synapses.weight[:, chain.used])
