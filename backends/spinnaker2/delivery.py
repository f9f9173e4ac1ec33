"""Proof of delivery: every key is sent through the routing tables, and its copies are counted.

All keys travel at once, chip by chip; what arrives must be exactly what elements have synapse
rows or kernels for. Nothing here knows how the tables were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import numpy as np

from snnstack.backends.spinnaker2.element_route import STEPS
from snnstack.backends.spinnaker2.program import (
    INDEX_BITS,
    Chip,
    Element,
    Program,
    RoutingTable,
)
from snnstack.errors import Problem
from snnstack.ir.nodes import Array

Arrivals = Mapping[tuple[Chip, int], Array]
"""The keys whose packets arrive, by chip and processing element."""
MOST_PROBLEMS = 20
SENT = len(STEPS)
"""In place of a link: the packet was sent on this chip."""


def delivery_problems(program: Program) -> Iterator[Problem]:
    """Every packet that misses an element that needs it, or reaches one that does not."""
    keys, starts = _keys(program)
    try:
        arrived = deliver(program.tables, keys, starts)
    except LookupError as error:
        yield Problem("routing tables", str(error))
        return
    problems = chain(_astray(program.elements, arrived), _differences(program.elements, arrived))
    yield from islice(problems, MOST_PROBLEMS)


def _astray(elements: Sequence[Element], arrived: Arrivals) -> Iterator[Problem]:
    used = {(e.chip, e.pe) for e in elements}
    for (chip, pe), keys in arrived.items():
        if (chip, pe) not in used:
            what = f"is delivered to element {pe} of chip {chip[0]},{chip[1]}, which is not used"
            yield Problem(f"packet {keys[0]:#010x}", what)


def _differences(elements: Sequence[Element], arrived: Arrivals) -> Iterator[Problem]:
    """Arrivals against what the elements' tables wait for, by sending element."""
    nothing = np.zeros(0, dtype=np.uint32)
    for e in elements:
        keys = np.sort(arrived.get((e.chip, e.pe), nothing))
        found, wanted = distinct(keys >> np.uint32(INDEX_BITS)), needed(e)
        if np.array_equal(found, wanted):
            continue
        for sender in np.setdiff1d(wanted, found):
            yield Problem(f"packet of element {sender}", f"never reaches element {e.number}")
        for sender in np.setdiff1d(found, wanted):
            yield Problem(f"packet of element {sender}", f"reaches {e.number} without need")


def needed(e: Element) -> Array:
    """Numbers of the elements whose packets meet rows or kernels of `e`, ascending."""
    rows = distinct(e.rows.keys >> np.uint32(INDEX_BITS))
    if not e.kernels:
        return rows
    return np.unique(np.concatenate([rows, *(k.sources for k in e.kernels)]))


def distinct(ascending: Array) -> Array:
    """The values of a sorted array, each once."""
    if not len(ascending):
        return ascending
    return np.asarray(ascending[np.concatenate([[True], ascending[1:] != ascending[:-1]])])


def _keys(program: Program) -> tuple[Array, list[Chip]]:
    """The keys to send, and the chip of each; one of an element if tables see no more of it."""
    blind = all(not np.any(t.mask & np.uint32(2**INDEX_BITS - 1)) for t in program.tables)
    keys, chips = [], list[Chip]()
    for e in program.elements:
        n = 1 if blind else max(e.n, 1)
        keys.append(e.key + np.arange(n))
        chips += [e.chip] * n
    return np.concatenate([np.zeros(0, np.int64), *keys]).astype(np.uint32), chips


def deliver(tables: Sequence[RoutingTable], keys: Array, starts: Sequence[Chip]) -> Arrivals:
    """What arrives where of the packets `keys` (uint32), sent on the chips `starts`.

    LookupError if a packet comes to a chip a second time, or to one without a table.
    """
    order: dict[Chip, int] = {t.chip: k for k, t in enumerate(tables)}
    sent: dict[Chip, list[int]] = {}
    for k, chip in enumerate(starts):
        sent.setdefault(chip, []).append(k)
    ahead = {chip: [(np.array(packets), SENT)] for chip, packets in sent.items()}
    visited = np.zeros((len(tables), len(keys)), dtype=bool)
    found: dict[tuple[Chip, int], list[Array]] = {}
    while ahead:
        chip, waiting = ahead.popitem()
        if chip not in order:
            raise LookupError(f"packet {keys[waiting[0][0][0]]:#010x} leaves for {chip}, no table")
        number = order[chip]
        for packets, came in waiting:
            again = visited[number, packets]
            if again.any():
                key = int(keys[packets[again][0]])
                raise LookupError(f"packet {key:#010x} comes to chip {chip[0]},{chip[1]} twice")
            visited[number, packets] = True
            links, elements = _looked_up(tables[number], keys[packets], came)
            for pe in np.flatnonzero(elements.any(axis=0)).tolist():
                found.setdefault((chip, pe), []).append(keys[packets[elements[:, pe]]])
            for link, (x, y) in enumerate(STEPS):
                out = packets[(links >> link & 1).astype(bool)]
                if len(out):
                    ahead.setdefault((chip[0] + x, chip[1] + y), []).append((out, link))
    return {where: np.concatenate(parts) for where, parts in found.items()}


def _looked_up(table: RoutingTable, keys: Array, came: int) -> tuple[Array, Array]:
    """(links uint8 [packet], elements bool [packet, 192]) of the first entry that matches."""
    none = len(table.key)
    entry = np.full(len(keys), none, dtype=np.int64)
    for mask, at in _by_mask(table).items():
        values, index = at
        masked = keys & mask
        where = np.minimum(np.searchsorted(values, masked), len(values) - 1)
        hit = values[where] == masked
        entry[hit] = np.minimum(entry[hit], index[where[hit]])
    straight = 0 if came == SENT else 1 << came
    links = np.append(table.links, np.uint8(straight))[entry]
    bits = np.concatenate([table.elements, np.zeros((1, 3), np.uint64)])[entry]
    octets = np.ascontiguousarray(bits).view(np.uint8).reshape(len(keys), 24)
    return links, np.unpackbits(octets, axis=1, bitorder="little").astype(bool)


def _by_mask(table: RoutingTable) -> Mapping[np.uint32, tuple[Array, Array]]:
    """For every mask: its keys ascending, and the first entry with each."""
    found = {}
    for mask in np.unique(table.mask):
        index = np.flatnonzero(table.mask == mask)
        values, first = np.unique(table.key[index], return_index=True)
        found[mask] = (values, index[first])
    return found
