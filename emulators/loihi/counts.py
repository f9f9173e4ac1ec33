"""What a run did, by population and by core: synaptic operations, updates, messages, hops.

Populations (and the input, which only sends) stand under their names, cores under "core 0", ...:
the two describe the same events twice. Beside `synops`, `updates` and `spikes`, `other` holds

    active, inactive   updates with u, v, an input or a change that is not 0, and the others
    messages           copies of the sent spikes, one for each core that a spike reaches
    hops_x, hops_y     router to router steps of the messages, east-west and north-south
    barriers           (cores) time steps, at the end of each of which all cores meet
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.backends.loihi.program import Placement, Program
from snnstack.emulators.loihi.plan import arriving
from snnstack.engine.graded import GradedEvents
from snnstack.ir.matrix import pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Projection, Sparse, Synapses
from snnstack.trace import Counts, Spikes, Trace

Events = Spikes | GradedEvents
Sums = dict[str, Array]
TRAVEL = ("messages", "hops_x", "hops_y")


def by_population(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """The engine's counts with active and inactive updates summed over the parts."""
    found = {}
    for name, c in counts.items():
        active = c.other["active"].sum(axis=1)
        other = {"active": active, "inactive": c.updates - active}
        found[name] = Counts(c.synops, c.updates, c.spikes, other)
    return found


def counted(program: Program, events: Events, trace: Trace) -> dict[str, Counts]:
    """All counts of a run; `events` are its input and `trace` its result, both in C order.

    `trace` has the events of all populations that send, and the engine's counts by part, where
    part k of a population is the k-th of its cores, ascending.
    """
    sent = {program.network.input.name: events, **trace.spikes}
    found = by_population(trace.counts)
    cores = {core.number: _nothing(events.batch) for core in program.cores}
    for name, c in trace.counts.items():
        place, active = program.placement[name], c.other["active"]
        for k, (number, neurons) in enumerate(zip(*_cores(place), strict=True)):
            cores[number]["updates"] += events.steps * neurons
            cores[number]["active"] += active[:, k]
    for name, spikes in sent.items():
        _add_sent(name, each_sent(spikes, spikes.steps), program.placement[name], found, cores)
    for name, entering in arriving(program.network).items():
        for projection in entering:
            then = each_sent(sent[projection.source], events.steps - projection.delay)
            _add_synops(projection, then, program.placement[name], cores)
    barriers = np.full(events.batch, events.steps, dtype=np.int64)
    return found | {f"core {number}": _as_counts(s, barriers) for number, s in cores.items()}


def part_of(program: Program) -> dict[str, Array]:
    """For every population the part of each neuron: the k-th core that it lies on."""
    return {
        p.name: np.unique(program.placement[p.name].core, return_inverse=True)[1].ravel()
        for p in program.network.populations
    }


def each_sent(spikes: Events, steps: int) -> Array:
    """Number of messages that each neuron starts in the first `steps` steps: int64 [batch, n]."""
    found = np.zeros((spikes.batch, spikes.n), dtype=np.int64)
    weights = spikes.counts if isinstance(spikes, Spikes) else None
    for b in range(spikes.batch if steps > 0 else 0):
        first, last = spikes.indptr[b * spikes.steps], spikes.indptr[b * spikes.steps + steps]
        each = None if weights is None else weights[first:last]
        found[b] = np.bincount(spikes.indices[first:last], each, minlength=spikes.n)
    return found


def _cores(place: Placement) -> tuple[list[int], list[int]]:
    """Numbers of the cores that a population lies on, ascending, and its neurons on each."""
    numbers, neurons = np.unique(place.core, return_counts=True)
    return numbers.tolist(), neurons.tolist()


def _nothing(batch: int) -> Sums:
    keys = ("synops", "updates", "spikes", "active", *TRAVEL)
    return {key: np.zeros(batch, dtype=np.int64) for key in keys}


def _as_counts(sums: Sums, barriers: Array) -> Counts:
    other = {key: sums[key] for key in ("active", *TRAVEL)}
    other |= {"inactive": sums["updates"] - sums["active"], "barriers": barriers}
    return Counts(sums["synops"], sums["updates"], sums["spikes"], other)


def _add_sent(
    name: str, each: Array, place: Placement, found: dict[str, Counts], cores: dict[int, Sums]
) -> None:
    """Spikes, messages and hops of one source, to it and to the cores that it lies on."""
    travel = {key: each * getattr(place, key) for key in TRAVEL}
    totals = {key: values.sum(axis=1) for key, values in travel.items()}
    if name in found:
        c = found[name]
        found[name] = Counts(c.synops, c.updates, c.spikes, {**c.other, **totals})
    else:
        zero = np.zeros(len(each), dtype=np.int64)
        found[name] = Counts(zero, zero, each.sum(axis=1), totals)
    for number in _cores(place)[0]:
        if number in cores:
            own = place.core == number
            cores[number]["spikes"] += each[:, own].sum(axis=1)
            for key, values in travel.items():
                cores[number][key] += values[:, own].sum(axis=1)


def _add_synops(c: Projection, each: Array, place: Placement, cores: dict[int, Sums]) -> None:
    numbers, part = np.unique(place.core, return_inverse=True)
    if c.pool is not None:
        each = each @ pool_matrix(c.pool).T.astype(np.int64)
    reached = _reached(c.synapses, each, part.ravel(), len(numbers))
    for k, number in enumerate(numbers.tolist()):
        cores[number]["synops"] += reached[:, k]


def _reached(synapses: Synapses, each: Array, part: Array, parts: int) -> Array:
    """[batch, parts]: synapses in each part of the target that the events reach."""
    match synapses:
        case Dense():
            sums = each.sum(axis=1)[:, None]
            return np.asarray(sums * np.bincount(part, minlength=parts))
        case Sparse():
            rows = np.repeat(np.arange(len(synapses.indptr) - 1), np.diff(synapses.indptr))
            fan = _matrix(rows, part[synapses.target], len(synapses.indptr) - 1, parts)
            return np.asarray(each @ fan)
        case Conv():
            return _reached_by_conv(synapses, each, part, parts)


def _matrix(rows: Array, columns: Array, height: int, width: int) -> Any:
    """[height, width]: how often each pair occurs."""
    import scipy.sparse as sp

    ones = np.ones(len(rows), dtype=np.int64)
    return sp.coo_matrix((ones, (rows, columns)), shape=(height, width)).tocsr()


def _reached_by_conv(conv: Conv, each: Array, part: Array, parts: int) -> Array:
    """Every channel of a group reaches the same: one row for each group and input pixel."""
    (channels, height, width), (_, out_h, out_w) = conv.in_shape, conv.out_shape
    pixels, per_group = out_h * out_w, conv.out_shape[0] // conv.groups
    neuron = np.arange(len(part))
    place = neuron // pixels // per_group * pixels + neuron % pixels
    there = _matrix(place, part, conv.groups * pixels, parts)
    together = each.reshape(len(each), conv.groups, channels // conv.groups, height, width).sum(2)
    down, across = _spread(conv, 0, height, out_h), _spread(conv, 1, width, out_w)
    arrived = np.einsum("bgyx,yv,xw->bgvw", together, down, across, optimize=True)
    return np.asarray(arrived.reshape(len(each), -1) @ there)


def _spread(conv: Conv, axis: int, length: int, out: int) -> Array:
    """[input, output]: number of taps that join two positions along an axis."""
    taps = np.arange(conv.weight.shape[2 + axis]) * conv.dilation[axis]
    reads = np.arange(out)[:, None] * conv.stride[axis] - conv.padding[axis] + taps
    return np.asarray((np.arange(length)[:, None, None] == reads[None]).sum(axis=2))
