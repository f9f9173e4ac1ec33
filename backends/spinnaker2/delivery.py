"""Proof of delivery: every key is sent through the routing tables, and its copies are counted.

All keys travel at once, chip by chip; what arrives must be exactly what elements have synapse
rows or kernels for. Nothing here knows how the tables were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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

MOST_PROBLEMS = 10
SENT = len(STEPS)
"""In place of a link: the packet was sent on this chip."""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Copies that arrive: key `key[i]` at the element `pe[i]` of chip `chips[chip[i]]`."""

    key: Array
    chip: Array
    pe: Array
    chips: tuple[Chip, ...]


def delivery_problems(program: Program) -> Iterator[Problem]:
    """Every packet that misses an element that needs it, or reaches one that does not."""
    keys, starts = _keys(program)
    try:
        arrived = deliver(program.tables, keys, starts)
    except LookupError as error:
        yield Problem("routing tables", str(error))
        return
    number = {(e.chip, e.pe): e.number for e in program.elements}
    numbers = np.array([[number.get((c, pe), -1) for pe in range(192)] for c in arrived.chips])
    to = numbers.reshape(-1, 192)[arrived.chip, arrived.pe] if len(arrived.key) else arrived.pe
    if len(to) and to.min() < 0:
        k = int(to.argmin())
        chip = arrived.chips[int(arrived.chip[k])]
        what = f"is delivered to element {arrived.pe[k]} of chip {chip[0]},{chip[1]}"
        yield Problem(f"packet {arrived.key[k]:#010x}", what + ", which is not used")
        return
    yield from _differences(program.elements, arrived.key, to)


def _differences(elements: Sequence[Element], key: Array, to: Array) -> Iterator[Problem]:
    """Arrivals against what the elements' tables wait for, by sending element."""
    count = len(elements)
    found = np.unique((key.astype(np.int64) >> INDEX_BITS) * count + to)
    wanted = needed(elements)
    for pairs, what in (
        (np.setdiff1d(wanted, found, assume_unique=True), "never reaches element"),
        (np.setdiff1d(found, wanted, assume_unique=True), "reaches without need element"),
    ):
        for pair in pairs[:MOST_PROBLEMS]:
            sender, target = divmod(int(pair), count)
            yield Problem(f"packet of element {sender}", f"{what} {target}")


def needed(elements: Sequence[Element]) -> Array:
    """`sender * len(elements) + target` of all pairs that rows and kernels join, ascending."""
    count, parts = len(elements), [np.zeros(0, dtype=np.int64)]
    for e in elements:
        rows = np.unique(e.rows.keys >> np.uint32(INDEX_BITS)).astype(np.int64)
        for senders in (rows, *(k.sources.astype(np.int64) for k in e.kernels)):
            parts.append(senders * count + e.number)
    return np.unique(np.concatenate(parts))


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
    """Where copies of the packets `keys`, sent on the chips `starts`, arrive.

    LookupError if a packet comes to a chip a second time, or to one without a table.
    """
    order: dict[Chip, int] = {t.chip: k for k, t in enumerate(tables)}
    sent: dict[Chip, list[int]] = {}
    for k, chip in enumerate(starts):
        sent.setdefault(chip, []).append(k)
    ahead = {chip: [(np.array(packets), SENT)] for chip, packets in sent.items()}
    visited = np.zeros((len(tables), len(keys)), dtype=bool)
    found: list[tuple[Array, int, Array]] = []
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
            for pe in np.flatnonzero(np.bitwise_or.reduce(elements, axis=0)):
                found.append((packets[elements[:, pe]], number, pe))
            for link, (x, y) in enumerate(STEPS):
                out = packets[(links >> link & 1).astype(bool)]
                if len(out):
                    ahead.setdefault((chip[0] + x, chip[1] + y), []).append((out, link))
    return _collected(found, keys, tuple(order))


def _collected(
    found: Sequence[tuple[Array, int, Array]], keys: Array, chips: tuple[Chip, ...]
) -> Arrivals:
    lengths = [len(packets) for packets, _, _ in found]
    empty = np.zeros(0, dtype=np.int64)
    return Arrivals(
        keys[np.concatenate([empty, *(packets for packets, _, _ in found)])],
        np.repeat(np.array([chip for _, chip, _ in found], dtype=np.int64), lengths),
        np.repeat(np.array([int(pe) for _, _, pe in found], dtype=np.int64), lengths),
        chips,
    )


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
