"""A program as flat arrays, which is all that compiled code reads; columns are named below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.coding import channels
from snnstack.backends.crossbar.program import Program, Route, Tile
from snnstack.ir.step import size

# Columns of `routes`. MAP: first row pointer of the pool, or -1. REACH: first row pointer of the
# list of what every element drives.
SOURCE, DELAY, FIRST_BLOCK, LAST_BLOCK, PHASES, DAC_BITS, ELEMENTS, MAP, REACH = range(9)
ROUTE_COLUMNS = 9
# Columns of `blocks`. SLOT: first of its reads among those of the route. CHANNEL: first row of
# `channels`. FIRST_ROW: of its rows, counted over all blocks.
POSITIONS, ROWS, COLUMNS, CHANNELS, OUTPUTS, SCATTER, CHANNEL, SLOT, FIRST_ROW = range(9)
BLOCK_COLUMNS = 9
# Columns of `channels`.
PLUS, MINUS, OUTPUT, COEFFICIENT, LOWEST, GAIN = range(6)


class Flat(NamedTuple):
    """The whole program, without its cells.

    `reach_block`, `reach_slot`, `reach_row`: the block, the read (counted over the route) and
    the row (counted over the block) that an element drives.
    """

    routes: NDArray[np.int64]
    blocks: NDArray[np.int64]
    channels: NDArray[np.int64]
    scatter: NDArray[np.int32]
    pool_pointers: NDArray[np.int64]
    pool_targets: NDArray[np.int32]
    reach_pointers: NDArray[np.int64]
    reach_block: NDArray[np.int32]
    reach_slot: NDArray[np.int32]
    reach_row: NDArray[np.int32]
    into: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Room:
    """How much working memory a sample takes: the largest route or block decides."""

    slots: int
    rows: int
    width: int
    elements: int
    outputs: int


def flatten(program: Program) -> Flat:
    """`program` as arrays; `into[p]`: the first route into population p, and the one after."""
    sources = {program.input.name: 0}
    sources |= {p.name: 1 + k for k, p in enumerate(program.populations)}
    ordered = [r for p in program.populations for r in program.into(p.name)]
    sizes = [len(program.into(p.name)) for p in program.populations]
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    piles = _Piles()
    for route in ordered:
        piles.add_route(program, route, sources[route.source])
    return piles.flat(np.stack([ends[:-1], ends[1:]], axis=1))


def ordered_tiles(program: Program) -> tuple[Tile, ...]:
    """The tiles in the order of the rows of `Flat.blocks`."""
    by_target = {
        p.name: [t for t in program.tiles if t.route.target == p.name] for p in program.populations
    }
    return tuple(tile for p in program.populations for tile in by_target[p.name])


def room(flat: Flat) -> Room:
    """The working memory that every route can do with."""
    slots = 0
    for route in flat.routes:
        mine = flat.blocks[route[FIRST_BLOCK] : route[LAST_BLOCK]]
        slots = max(slots, int(mine[:, POSITIONS].sum()))
    return Room(
        slots,
        int(flat.blocks[:, ROWS].max(initial=0)),
        int(flat.blocks[:, [COLUMNS, CHANNELS]].max(initial=0)),
        int(flat.routes[:, ELEMENTS].max(initial=0)),
        int(flat.blocks[:, OUTPUTS].max(initial=0)),
    )


class _Piles:
    """Arrays laid end to end while routes are added one by one."""

    def __init__(self) -> None:
        self.routes: list[list[int]] = []
        self.blocks: list[list[int]] = []
        self.channels: list[Any] = []
        self.scatter: list[Any] = []
        self.pools: list[Any] = []
        self.pooled: list[Any] = []
        self.pointers: list[Any] = []
        self.reach: list[Any] = []

    def add_route(self, program: Program, route: Route, source: int) -> None:
        first = len(self.blocks)
        where, elements = self._pool(route)
        entries, slot = [], 0
        for block in route.blocks:
            table = self._channels(program, block)
            outputs = block.scatter.shape[1]
            scatter = sum(map(len, self.scatter))
            self.scatter.append(block.scatter.ravel())
            self.channels.append(table)
            row = [block.positions, block.rows, block.columns, len(table), outputs, scatter]
            before = self.blocks[-1] if self.blocks else [0] * BLOCK_COLUMNS
            begins = [before[CHANNEL] + before[CHANNELS], slot, before[FIRST_ROW] + before[ROWS]]
            position, line = np.nonzero(block.gather >= 0)
            element = block.gather[position, line]
            number = np.full(len(element), len(self.blocks))
            entries.append(np.stack([element, number, slot + position, line], axis=1))
            self.blocks.append(row + begins)
            slot += block.positions
        reach = self._reach(entries, elements)
        phases = [route.phases, route.dac_bits]
        ends = [first, len(self.blocks)]
        self.routes.append([source, route.delay, *ends, *phases, elements, where, reach])

    def _channels(self, program: Program, block: Any) -> Any:
        found = channels(program.coding, block.scatter.shape[1])
        lowest, gain = block.converter.lowest[found.slice], block.converter.gain[found.slice]
        parts = (found.plus, found.minus, found.output, found.coefficient, lowest, gain)
        return np.stack(parts, axis=1).astype(np.int64)

    def _pool(self, route: Route) -> tuple[int, int]:
        """Where the pool's pointers begin, and how many elements the blocks see."""
        if route.pool is None:
            return -1, route.elements
        from snnstack.ir.matrix import pool_matrix

        columns = pool_matrix(route.pool).tocsc()
        columns.sort_indices()
        where, base = sum(map(len, self.pools)), sum(map(len, self.pooled))
        self.pools.append(columns.indptr.astype(np.int64) + base)
        self.pooled.append(columns.indices.astype(np.int32))
        return where, size(route.pool.out_shape)

    def _reach(self, entries: list[Any], elements: int) -> int:
        every = np.concatenate([np.zeros((0, 4), dtype=np.int64), *entries])
        every = every[np.argsort(every[:, 0], kind="stable")]
        where, base = sum(map(len, self.pointers)), sum(map(len, self.reach))
        ends = np.cumsum(np.bincount(every[:, 0], minlength=elements))
        self.pointers.append(base + np.concatenate([[0], ends]).astype(np.int64))
        self.reach.append(every[:, 1:].astype(np.int32))
        return where

    def flat(self, into: NDArray[np.int64]) -> Flat:
        reach = np.concatenate([np.zeros((0, 3), dtype=np.int32), *self.reach])
        return Flat(
            np.array(self.routes, dtype=np.int64).reshape(-1, ROUTE_COLUMNS),
            np.array(self.blocks, dtype=np.int64).reshape(-1, BLOCK_COLUMNS),
            np.concatenate([np.zeros((0, 6), dtype=np.int64), *self.channels]),
            np.concatenate([np.zeros(0, dtype=np.int32), *self.scatter]),
            np.concatenate([np.zeros(0, dtype=np.int64), *self.pools]),
            np.concatenate([np.zeros(0, dtype=np.int32), *self.pooled]),
            np.concatenate([np.zeros(0, dtype=np.int64), *self.pointers]),
            np.ascontiguousarray(reach[:, 0]),
            np.ascontiguousarray(reach[:, 1]),
            np.ascontiguousarray(reach[:, 2]),
            into,
        )
