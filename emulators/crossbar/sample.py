"""One sample through a chip, step by step: events, reads, digital neurons, events."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.compiled import compiled
from snnstack.emulators.crossbar.flat import (
    DAC_BITS,
    DELAY,
    ELEMENTS,
    MAP,
    OUTPUTS,
    PHASES,
    REACH,
    SOURCE,
)
from snnstack.emulators.crossbar.noise import mixed
from snnstack.emulators.crossbar.reads import Counted, Physics, Reads, close, drive
from snnstack.engine.call import call_update
from snnstack.engine.flat import CODE, PARAMETERS, STATES, N


class Events(NamedTuple):
    """Events of all sources of one sample: of source s those from `base[s]` on.

    `ends[s, t]`..`ends[s, t + 1]` are those of step t (absolute). `amount`: spikes of each.
    """

    number: NDArray[np.int32]
    amount: NDArray[np.uint8]
    ends: NDArray[np.int64]


class States(NamedTuple):
    """Of all neurons: `states`, bytes; and of one population: input, its int32 form, flags.

    `most`: by population, what its input is limited to. `watch`, `record`: as in the engine's
    `kernels.Work`.
    """

    states: NDArray[np.uint8]
    total: NDArray[np.int64]
    input: NDArray[np.int32]
    flags: NDArray[np.uint8]
    most: NDArray[np.int64]
    watch: NDArray[np.int64]
    record: NDArray[np.uint8]


class Elements(NamedTuple):
    """What a route's source sends in one step: `listed` elements, `amount` of each (else 0)."""

    listed: NDArray[np.int32]
    amount: NDArray[np.int64]


@compiled
def run(
    flat: Any,
    cells: Physics,
    layers: Any,
    parameters: Any,
    key: Any,
    steps: int,
    events: Events,
    states: States,
    reads: Reads,
    elements: Elements,
    counted: Counted,
) -> None:
    """All steps of one sample; `key` names its noise. `layers`, `parameters`: the engine's rows."""
    for t in range(steps):
        for p in range(len(layers)):
            states.total[: layers[p, N]] = 0
            for route in range(flat.into[p, 0], flat.into[p, 1]):
                if t >= flat.routes[route, DELAY]:
                    drawn = mixed(mixed(key, t), route)
                    synops = receive(
                        flat, cells, route, t, drawn, events, states, reads, elements, counted
                    )
                    counted.synops[p] += synops
            update(layers[p], parameters, p, t, events, states)


@compiled
def receive(
    flat: Any,
    cells: Physics,
    route: Any,
    t: Any,
    key: Any,
    events: Events,
    states: States,
    reads: Reads,
    elements: Elements,
    counted: Counted,
) -> int:
    """Add to `states.total` what a route brings in step t. Returns synaptic operations."""
    source, when = flat.routes[route, SOURCE], t - flat.routes[route, DELAY]
    first, last = events.ends[source, when], events.ends[source, when + 1]
    if first == last:
        return 0
    found = gather(flat, route, elements, events.number[first:last], events.amount[first:last])
    bits, synops = flat.routes[route, DAC_BITS], 0
    for phase in range(flat.routes[route, PHASES]):
        synops += read(
            flat,
            cells,
            route,
            phase * bits,
            (1 << bits) - 1,
            found,
            mixed(key, phase),
            states.total,
            reads,
            elements,
            counted,
        )
    for k in range(found):
        elements.amount[elements.listed[k]] = 0
    return synops


@compiled
def gather(flat: Any, route: Any, elements: Elements, index: Any, count: Any) -> int:
    """List the elements that events lead to, ascending, with their amounts; returns how many."""
    first, found = flat.routes[route, MAP], 0
    if first < 0:
        for k in range(len(index)):
            if index[k] < flat.routes[route, ELEMENTS]:
                elements.listed[found] = index[k]
                elements.amount[index[k]] = count[k]
                found += 1
        return found
    for k in range(len(index)):
        row = first + index[k]
        for at in range(flat.pool_pointers[row], flat.pool_pointers[row + 1]):
            elements.amount[flat.pool_targets[at]] += count[k]
    for e in range(flat.routes[route, ELEMENTS]):
        if elements.amount[e]:
            elements.listed[found] = e
            found += 1
    return found


@compiled
def read(
    flat: Any,
    cells: Physics,
    route: Any,
    shift: Any,
    mask: Any,
    found: Any,
    key: Any,
    total: Any,
    reads: Reads,
    elements: Elements,
    counted: Counted,
) -> int:
    """One phase: drive what the digits say, then convert every read that was opened."""
    first, opened, synops = flat.routes[route, REACH], 0, 0
    for k in range(found):
        e = elements.listed[k]
        digit = (elements.amount[e] >> shift) & mask
        if digit == 0:
            continue
        for at in range(flat.reach_pointers[first + e], flat.reach_pointers[first + e + 1]):
            block, slot = flat.reach_block[at], flat.reach_slot[at]
            if reads.hits[slot] == 0:
                reads.opened[opened, 0], reads.opened[opened, 1] = block, slot
                opened += 1
            drive(flat, cells, reads, block, slot, flat.reach_row[at], digit)
            synops += flat.blocks[block, OUTPUTS] * (digit << shift)
    for k in range(opened):
        block, slot = reads.opened[k, 0], reads.opened[k, 1]
        close(flat, cells, reads, block, slot, key, shift, total, counted)
    return synops


@compiled
def update(row: Any, parameters: Any, p: Any, t: Any, events: Events, states: States) -> None:
    """The digital neurons of population p in step t, and the events they send."""
    n, most = row[N], states.most[p]
    for j in range(n):
        states.input[j] = min(max(states.total[j], -most), most)
    own = parameters.ctypes.data + row[PARAMETERS]
    held = states.states.ctypes.data + row[STATES]
    sums, flags = states.input.ctypes.data, states.flags.ctypes.data
    call_update(row[CODE], n, sums, own, held, flags, flags, flags)
    at = events.ends[1 + p, t]
    for j in range(n):
        if states.flags[j]:
            events.number[at] = j
            events.amount[at] = 1
            at += 1
    events.ends[1 + p, t + 1] = at
    for probe in range(len(states.watch)):
        if states.watch[probe, 0] == p:
            seen, length = states.watch[probe, 1], states.watch[probe, 3]
            to = states.watch[probe, 2] + t * length
            states.record[to : to + length] = states.states[seen : seen + length]
