"""The form of a program for crossbars: which weight stands in which cell, and what is around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from snnstack.backends.crossbar.coding import Coding
from snnstack.board import Board
from snnstack.ir.nodes import Array, Metadata, node
from snnstack.ir.step import Pool, StepInput
from snnstack.quant.network import QuantizedPopulation


@node
class Cell:
    """What a level means: conductance `g_min_us + level * step_us` in microsiemens."""

    g_min_us: float
    g_max_us: float
    levels: int

    @property
    def step_us(self) -> float:
        """Conductance of one level."""
        return (self.g_max_us - self.g_min_us) / (self.levels - 1)


@node
class Converter:
    """How the channels of a block are converted: `bits` (0: no loss), per slice int32 [slices].

        code  = clip(round((x - lowest) * 256 / gain), 0, 2**bits - 1)
        value = lowest + ((code * gain + 128) >> 8)

    x: the current in units of one level. `gain` 256: one level is one code.
    """

    bits: int
    lowest: Array
    gain: Array


@node
class Block:
    """Weights that are read together: rows `row`.. of array `array`, from column 0.

    `levels` uint8 [rows, columns]. Read number p drives row r with source element
    `gather[p, r]` (-1: with nothing) and adds output o to neuron `scatter[p, o]` (-1: to none);
    both int32.
    """

    array: int
    row: int
    levels: Array
    gather: Array
    scatter: Array
    converter: Converter

    @property
    def rows(self) -> int:
        """Rows that the block takes."""
        return int(self.levels.shape[0])

    @property
    def columns(self) -> int:
        """Columns that the block takes."""
        return int(self.levels.shape[1])

    @property
    def positions(self) -> int:
        """Reads of a step."""
        return int(self.gather.shape[0])


@node
class Route:
    """Everything from `source` to `target`, `delay` steps later; sums of its blocks add up.

    Source elements are those of the pooled map where there is a `pool`. Their counts, at most
    `most`, are sent `dac_bits` bits at a time, least significant first.
    """

    source: str
    target: str
    delay: int
    most: int
    dac_bits: int
    blocks: tuple[Block, ...]
    pool: Pool | None = None

    @property
    def top(self) -> int:
        """The largest digit; a row with it has the full read voltage."""
        return int(min(2**self.dac_bits - 1, self.most))

    @property
    def phases(self) -> int:
        """Reads that one count takes."""
        return -(-self.most.bit_length() // self.dac_bits)

    @property
    def elements(self) -> int:
        """Number of source elements that the blocks may read: one more than the largest."""
        return 1 + max((int(block.gather.max(initial=-1)) for block in self.blocks), default=-1)


class Tile(NamedTuple):
    """One block and where it belongs; `number` counts over all routes."""

    number: int
    route: Route
    block: Block

    @property
    def name(self) -> str:
        """How its counts are called."""
        return f"tile {self.number}"


@node
class Program:
    """Everything a crossbar chip needs. `populations` stand in update order.

    `settings` records how the model was read and quantised.
    """

    name: str
    board: Board
    input: StepInput
    populations: tuple[QuantizedPopulation, ...]
    routes: tuple[Route, ...]
    coding: Coding
    cell: Cell
    arrays: int
    outputs: tuple[str, ...]
    dt: float
    settings: Metadata = field(default_factory=lambda: MappingProxyType({}))
    target: str = "crossbar"

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All blocks, numbered."""
        pairs = [(route, block) for route in self.routes for block in route.blocks]
        return tuple(Tile(k, *pair) for k, pair in enumerate(pairs))

    def into(self, name: str) -> tuple[Route, ...]:
        """The routes whose target is `name`."""
        return tuple(route for route in self.routes if route.target == name)

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        return self.input

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {p.name: p.fires for p in self.populations}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        currents = [(p.name, "i") for p in self.populations if p.beta is not None]
        return (*((p.name, "v") for p in self.populations), *currents)

    @property
    def scales(self) -> Mapping[str, Array]:
        """State units per volt, by population."""
        return MappingProxyType({p.name: p.scale for p in self.populations})


def array_levels(program: Program) -> tuple[Array, ...]:
    """Levels of every array, uint8 [rows used, columns used]; cells of no block are at level 0."""
    tiles = program.tiles
    found = []
    for number in range(program.arrays):
        mine = [tile.block for tile in tiles if tile.block.array == number]
        height = max((b.row + b.rows for b in mine), default=0)
        width = max((b.columns for b in mine), default=0)
        levels = np.zeros((height, width), dtype=np.uint8)
        for block in mine:
            levels[block.row : block.row + block.rows, : block.columns] = block.levels
        found.append(levels)
    return tuple(found)
