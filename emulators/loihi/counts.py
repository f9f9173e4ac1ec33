"""What every population and every core did: synaptic operations, updates, spikes, messages.

A synaptic operation is one synapse with a weight other than zero that an event reached,
whatever sign it is stored under. They are counted from how often every source sent: its number
of synapses into each core never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Connection
from snnstack.backends.loihi.price import CORE
from snnstack.backends.loihi.program import Placement
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Sparse
from snnstack.reference.synapses import pooled
from snnstack.trace import Counts

TRAVEL = ("messages", "hops_x", "hops_y")


def counted(
    network: ChipNetwork,
    sent: Mapping[str, Array],
    active: Mapping[str, Array],
    steps: int,
    core: Mapping[str, Array],
    placement: Mapping[str, Placement],
) -> dict[str, Counts]:
    """Counts of the input, of every population and of every core ("core 3").

    `sent[name]` int64 [batch, n]: events of every input element and neuron. `active[name]`
    int64 [batch, core]: updates with a state that is not 0; of a population that is not there
    every update is active, as a program runs to its end. `core[name]` int64 [n]: where a
    neuron is, 0 upwards. Without a `placement` only populations are counted.
    """
    cores = 1 + max((int(c.max(initial=0)) for c in core.values()), default=0)
    synops = {p.name: np.zeros((len(sent[p.name]), cores), np.int64) for p in network.populations}
    for c in network.connections:
        synops[c.target] += _reached(c, sent[c.source], core[c.target], cores)
    found, total = {}, np.zeros((7, *next(iter(synops.values())).shape), np.int64)
    port = network.input.name
    if placement:
        found[port] = _input(sent[port], placement[port])
    for p in network.populations:
        rows = _by_core(p.name, sent, core, steps, placement, cores)
        rows[0], rows[2] = synops[p.name], rows[1]
        if p.name in active:
            rows[2] = 0
            rows[2, :, : active[p.name].shape[1]] = active[p.name]
        found[p.name] = _counts(rows.sum(axis=2), bool(placement))
        total += rows
    if placement:
        found |= {f"{CORE}{k}": _of_core(total[:, :, k], steps) for k in range(cores)}
    return found


def _by_core(
    name: str,
    sent: Mapping[str, Array],
    core: Mapping[str, Array],
    steps: int,
    placement: Mapping[str, Placement],
    cores: int,
) -> Array:
    """[synops, updates, active, spikes, messages, hops x, hops y] x batch x core."""
    batch = len(sent[name])
    rows = np.zeros((7, batch, cores), dtype=np.int64)
    rows[1] = steps * np.bincount(core[name], minlength=cores)
    place = placement.get(name)
    each = [np.ones_like(core[name])]
    each += [] if place is None else [getattr(place, key).astype(np.int64) for key in TRAVEL]
    for row, weight in zip(rows[3:], each, strict=False):
        row[:] = _grouped(sent[name] * weight, core[name], cores)
    return rows


def _grouped(values: Array, core: Array, cores: int) -> Array:
    """[batch, neuron] summed by core: int64 [batch, core]."""
    if cores == 1:
        return np.asarray(values.sum(axis=1, dtype=np.int64)[:, None])
    keys = (np.arange(len(values))[:, None] * cores + core).ravel()
    sums = np.bincount(keys, values.ravel(), minlength=len(values) * cores)
    return np.rint(sums).astype(np.int64).reshape(-1, cores)


def _counts(row: Array, placed: bool) -> Counts:
    synops, updates, active, spikes, *travel = row
    other = {"active": active, "inactive": updates - active}
    return Counts(synops, updates, spikes, other | _named(travel) if placed else other)


def _of_core(row: Array, steps: int) -> Counts:
    found = _counts(row, True)
    barriers = np.full(len(found.synops), steps, dtype=np.int64)
    return Counts(
        found.synops, found.updates, found.spikes, {**found.other, "barrier_steps": barriers}
    )


def _input(sent: Array, place: Placement) -> Counts:
    """Input elements are no neurons: they only send."""
    nothing = np.zeros(len(sent), dtype=np.int64)
    travel = [sent @ getattr(place, key).astype(np.int64) for key in TRAVEL]
    other = {"active": nothing, "inactive": nothing, **_named(travel)}
    return Counts(nothing, nothing, sent.sum(axis=1), other)


def _named(travel: Sequence[Array]) -> dict[str, Array]:
    return dict(zip(TRAVEL, travel, strict=True))


def _reached(c: Connection, sent: Array, core: Array, cores: int) -> Array:
    """Synaptic operations [batch, core] of events `sent` [batch, source]."""
    if c.pool is not None:
        sent = pooled(c.pool, sent)
    match c.synapses:
        case Conv() as conv:
            return _through_conv(conv, sent, core, cores)
        case Dense() as dense:
            source, target = np.nonzero((dense.weight != 0).T)
            key = source * cores + core[target]
            table = np.bincount(key, minlength=dense.weight.shape[1] * cores)
        case Sparse() as sparse:
            sources = len(sparse.indptr) - 1
            used = sparse.weight != 0
            source = np.repeat(np.arange(sources), np.diff(sparse.indptr))[used]
            key = source * cores + core[sparse.target[used]]
            table = np.bincount(key, minlength=sources * cores)
    return np.asarray(sent @ table.reshape(-1, cores))


def _through_conv(conv: Conv, sent: Array, core: Array, cores: int) -> Array:
    """Tap by tap: a tap joins every input position with at most one output position."""
    c_out, c_in, taps_y, taps_x = conv.weight.shape
    batch, per_group, (_, h, w) = len(sent), c_out // conv.groups, conv.in_shape
    image = sent.reshape(batch, conv.groups, c_in, h, w)
    maps, kind = np.unique(core.reshape(c_out, -1), axis=0, return_inverse=True)
    used = (conv.weight != 0).reshape(conv.groups, per_group, c_in, taps_y, taps_x)
    kind = kind.reshape(conv.groups, per_group)
    found = np.zeros((batch, cores), dtype=np.int64)
    for number, where in enumerate(maps):
        own = (used & (kind == number)[:, :, None, None, None]).sum(axis=1)
        for y in range(taps_y):
            for x in range(taps_x):
                events = np.einsum("bgcyx,gc->byx", image, own[:, :, y, x])
                found += _through_tap(conv, events, (y, x), where, cores)
    return found


def _through_tap(
    conv: Conv, events: Array, tap: tuple[int, int], where: Array, cores: int
) -> Array:
    """Events [batch, H, W] by the core of the output position that they meet through `tap`."""
    inside = []
    for axis in (0, 1):
        out = np.arange(conv.out_shape[1 + axis])
        at = out * conv.stride[axis] - conv.padding[axis] + tap[axis] * conv.dilation[axis]
        kept = (at >= 0) & (at < conv.in_shape[1 + axis])
        inside.append((at[kept], out[kept]))
    (in_y, out_y), (in_x, out_x) = inside
    seen = events[:, in_y[:, None], in_x].reshape(len(events), -1)
    reached = where.reshape(conv.out_shape[1:])[out_y[:, None], out_x].ravel()
    return _grouped(seen, reached, cores)
