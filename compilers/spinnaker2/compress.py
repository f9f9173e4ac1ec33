"""Compress: routing tables with as few entries as packets that really come need.

Keys that never come to a chip may match anything there. First every aligned block of keys
whose packets all go the same way becomes one entry, and blocks that go straight on need none.
If that is too many, blocks are nested, the smaller ones first (optimal for prefixes: Draves et
al., "Constructing optimal IP routing tables", INFOCOM 1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.spinnaker2.program import INDEX_BITS, RoutingTable
from snnstack.compilers.spinnaker2.route import LOCAL, Passing
from snnstack.ir.nodes import Array

NUMBER_BITS = 32 - INDEX_BITS
"""Of a key, those that say which element sent the packet."""


@dataclass(frozen=True, eq=False)
class Covers:
    """Aligned blocks of element numbers: `prefix << level` and the 2**level - 1 after it.

    `way` int64: number of the route (the index of one that goes there). In order of numbers.
    """

    prefix: Array
    level: Array
    way: Array


def compress(chip: tuple[int, int], passing: Passing, entries: int) -> RoutingTable:
    """The table of `chip`: equal, for every packet that passes, to one entry for each element.

    Nested entries are used only where there would be more than `entries` without.
    """
    ways, first, way = _ways(passing)
    covers = merged(passing.element, way)
    needed = covers
    straight = _goes_straight(passing)
    all_straight = _all_within(covers, passing.element, straight)
    needed = _only(covers, ~all_straight)
    if len(needed.prefix) > entries:
        nested = _nested(covers)
        needed = nested if len(nested.prefix) < len(needed.prefix) else needed
    del ways
    source = first[needed.way]
    shift = needed.level + INDEX_BITS
    mask = (np.int64(0xFFFFFFFF) >> shift) << shift
    return RoutingTable(
        chip,
        (needed.prefix << shift).astype(np.uint32),
        mask.astype(np.uint32),
        passing.links[source],
        passing.elements[source],
    )


def _ways(passing: Passing) -> tuple[int, Array, Array]:
    """(number of different routes, a packet that takes each, the route of every packet)."""
    columns = [passing.links[:, None].astype(np.uint64), passing.elements]
    routes = np.ascontiguousarray(np.concatenate(columns, axis=1))
    _, first, way = np.unique(
        routes.view([("", np.uint64)] * routes.shape[1]).ravel(),
        return_index=True,
        return_inverse=True,
    )
    return len(first), first, way.reshape(-1)


def _goes_straight(passing: Passing) -> Array:
    """Packets that need no entry: straight on, or dropped where they were sent."""
    local = passing.came == LOCAL
    ahead = np.where(local, 0, np.uint8(1) << np.where(local, 0, passing.came).astype(np.uint8))
    return np.asarray((passing.links == ahead) & ~passing.elements.any(axis=1))


def merged(number: Array, way: Array) -> Covers:
    """The largest aligned blocks in which all of `number` (ascending) take the same way."""
    done: list[tuple[Array, Array, Array]] = []
    prefix, kind, mixed = number.astype(np.int64), way.astype(np.int64), np.zeros(len(way), bool)
    for level in range(NUMBER_BITS):
        if not len(prefix):
            break
        parent = prefix >> 1
        pair = np.concatenate([parent[1:] == parent[:-1], [False]])
        second = np.concatenate([[False], pair[:-1]])
        other = np.where(pair, np.roll(np.arange(len(prefix)), -1), np.arange(len(prefix)))
        clash = pair & ((kind != kind[other]) | mixed | mixed[other])
        split = clash | np.concatenate([[False], clash[:-1]])
        ends = split & ~mixed
        done.append((prefix[ends], np.full(int(ends.sum()), level), kind[ends]))
        kept = ~second
        prefix, kind, mixed = parent[kept], kind[kept], (mixed | split)[kept]
    whole = ~mixed
    done.append((prefix[whole], np.full(int(whole.sum()), NUMBER_BITS), kind[whole]))
    columns = [np.concatenate(c).astype(np.int64) for c in zip(*done, strict=True)]
    order = np.argsort(columns[0] << columns[1], kind="stable")
    return Covers(*(c[order] for c in columns))


def _all_within(covers: Covers, number: Array, wanted: Array) -> Array:
    """Of every cover, whether all `number` in it are `wanted`."""
    starts = np.searchsorted(number, covers.prefix << covers.level)
    total = np.concatenate([[0], np.cumsum(~wanted)])
    stops = np.append(starts[1:], len(number))
    return np.asarray(total[stops] == total[starts])


def _only(covers: Covers, chosen: Array) -> Covers:
    return Covers(covers.prefix[chosen], covers.level[chosen], covers.way[chosen])


def _nested(covers: Covers) -> Covers:
    """As few prefixes as possible, of which the longest that matches counts; longest first."""
    levels: list[dict[int, frozenset[int]]] = [{} for _ in range(NUMBER_BITS + 1)]
    for prefix, level, way in zip(
        covers.prefix.tolist(), covers.level.tolist(), covers.way.tolist(), strict=True
    ):
        levels[level][prefix] = frozenset((way,))
    for level in range(NUMBER_BITS):
        for prefix, ways in levels[level].items():
            other = levels[level].get(prefix ^ 1)
            both = ways if other is None else (ways & other or ways | other)
            levels[level + 1][prefix >> 1] = both
    chosen: dict[int, int | None] = {0: None}
    found: list[tuple[int, int, int]] = []
    for level in range(NUMBER_BITS, -1, -1):
        below: dict[int, int | None] = {}
        for prefix, ways in levels[level].items():
            above = chosen.get(prefix if level == NUMBER_BITS else prefix >> 1)
            if above not in ways:
                above = min(ways)
                found.append((level, prefix, above))
            below[prefix] = above
        chosen = below
    found.sort()
    level, prefix, way = (np.array(c, dtype=np.int64) for c in zip(*found, strict=True))
    return Covers(prefix, level, way)
