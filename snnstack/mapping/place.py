"""Place: blocks onto cores in an order that keeps neighbours together, cores along a curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.mapping.partition import RESOURCES, Amount, Partition, Usage

Place = tuple[str, int]
"""A population and one of its blocks."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A board: `chips` (columns, rows) of `tiles` (columns, rows) of `cores_per_tile` cores."""

    chips: tuple[int, int]
    tiles: tuple[int, int]
    cores_per_tile: int
    cores_per_chip: int

    @property
    def cores(self) -> int:
        """Of the whole board."""
        return self.chips[0] * self.chips[1] * self.cores_per_chip


@dataclass(frozen=True, eq=False)
class Cores:
    """The cores that are used: int64 [core] chip and tile (column, row over the whole board)."""

    chip: Array
    x: Array
    y: Array


def by_layer(partition: Partition) -> list[Place]:
    """All blocks, population after population."""
    return [(name, b) for name, blocks in partition.blocks.items() for b in range(blocks.count)]


def interleaved(partition: Partition) -> list[Place]:
    """All blocks by their relative position in their population.

    Better than `by_layer` where neighbours talk to neighbours: then the blocks of one region
    of all layers are close together.
    """
    blocks = partition.blocks
    return sorted(by_layer(partition), key=lambda place: (place[1] + 0.5) / blocks[place[0]].count)


def pack(
    partition: Partition, order: Sequence[Place], limits: Amount
) -> tuple[dict[str, Array], list[dict[str, int]]]:
    """(core of every block by population, what every core uses by resource).

    Blocks are taken in `order`; one joins the core before it if all limits allow it, so that
    small populations share a core and neighbours in the order are neighbours on the chip.
    """
    core = {name: np.zeros(b.count, dtype=np.int64) for name, b in partition.blocks.items()}
    needs = {name: _rows(usage) for name, usage in partition.usage.items()}
    used: list[dict[str, int]] = []
    for name, block in order:
        wanted = needs[name][block]
        if used and _fits(used[-1], wanted, limits):
            used[-1] = {r: used[-1][r] + wanted[r] for r in RESOURCES}
        else:
            used.append(wanted)
        core[name][block] = len(used) - 1
    return core, used


def _rows(usage: Usage) -> list[dict[str, int]]:
    columns = [getattr(usage, r).tolist() for r in RESOURCES]
    return [dict(zip(RESOURCES, row, strict=True)) for row in zip(*columns, strict=True)]


def _fits(used: Mapping[str, int], needs: Mapping[str, int], limits: Amount) -> bool:
    available = {r: getattr(limits, r) for r in RESOURCES}
    return all(most is None or used[r] + needs[r] <= most for r, most in available.items())


def positions(count: int, mesh: Mesh) -> Cores:
    """Where the first `count` cores are: chip after chip, each along a curve without jumps.

    Rows (of chips, and of tiles on a chip) are walked to and fro, so that consecutive cores
    on one chip are at most one tile apart.
    """
    number = np.arange(count)
    chip, inside = np.divmod(number, mesh.cores_per_chip)
    chip_x, chip_y = _snake(chip, mesh.chips[0])
    tile_x, tile_y = _snake(inside // mesh.cores_per_tile, mesh.tiles[0])
    return Cores(chip, chip_x * mesh.tiles[0] + tile_x, chip_y * mesh.tiles[1] + tile_y)


def _snake(number: Array, columns: int) -> tuple[Array, Array]:
    """(column, row) of a walk that turns round at the end of every row."""
    row, column = np.divmod(number, columns)
    return np.where(row % 2 == 1, columns - 1 - column, column), row
