"""What a program from a file must satisfy before compiled code, which checks nothing, may run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnstack.backends.crossbar.numerics import NUMERICS
from snnstack.backends.crossbar.program import Block, Program, Route, Tile
from snnstack.errors import Problem
from snnstack.ir.step import size
from snnstack.quant.network import QuantizedPopulation
from snnstack.saved_networks import neuron_problems
from snnstack.saved_neurons import written_problems
from snnstack.saved_settings import setting_problems
from snnstack.saved_tables import (
    AGAIN,
    LARGEST_DELAY,
    Range,
    array_problems,
    name_problems,
    pool_problems,
    scale_problems,
)

WIDTHS = (16, 32)
"""Fraction bits of a decay, where it has others than usual."""


def saved_problems(program: Program) -> Iterator[Problem]:
    """Everything in a program from a file that cannot have come from a compiler."""
    names = [p.name for p in program.populations]
    shapes = {program.input.name: program.input.shape}
    shapes |= {p.name: p.shape for p in program.populations}
    wrong = [
        *name_problems([program.input.name], shapes, names, program.outputs),
        *_cell_problems(program),
        *setting_problems(program.settings),
    ]
    for p in program.populations if not wrong else ():
        wrong += _neuron_problems(p)
    for route in program.routes if not wrong else ():
        wrong += _pool_problems(program, route)
    for tile in program.tiles if not wrong else ():
        wrong += _array_problems(program, tile)
    yield from wrong
    if not wrong:
        yield from program_problems(program)


def _cell_problems(program: Program) -> Iterator[Problem]:
    cell, coding, arrays = program.cell, program.coding, program.board.capacity.get("arrays")
    if not 1 <= coding.cell_bits <= 8 or not 1 <= coding.weight_max <= 2**15:
        what = f"weights up to {coding.weight_max} in cells of {coding.cell_bits} bits"
        yield Problem("coding", what, AGAIN)
    if not 2 <= cell.levels <= 256 or not 0 <= cell.g_min_us < cell.g_max_us < np.inf:
        what = f"{cell.levels} levels from {cell.g_min_us} to {cell.g_max_us} uS"
        yield Problem("cell", what, AGAIN)
    if arrays is not None and not 0 <= program.arrays <= int(arrays.value):
        what = f"{program.arrays} are used, the board has {int(arrays.value)}"
        yield Problem("arrays", what, AGAIN)


def _neuron_problems(p: QuantizedPopulation) -> Iterator[Problem]:
    wrong = list(written_problems(p))
    yield from wrong or neuron_problems(p, NUMERICS.decay_bits, Range(), WIDTHS)
    yield from array_problems(f"{p.name}, input gain", p.input_gain, (p.n,))
    yield from scale_problems({p.name: p.scale}, {p.name: p.n})


def _pool_problems(program: Program, route: Route) -> Iterator[Problem]:
    where, known = f"{route.source} -> {route.target}", {p.name for p in program.populations}
    if route.source not in {program.input.name, *known} or route.target not in known:
        yield Problem(where, "is no way through this network", AGAIN)
    elif route.pool is not None:
        yield from pool_problems(where, route.pool, _sent(program, route))
    if not 0 <= route.delay <= LARGEST_DELAY:
        yield Problem(where, f"has a delay of {route.delay} steps", AGAIN)


def _array_problems(program: Program, tile: Tile) -> Iterator[Problem]:
    """Tables of a block that are no tables of integers."""
    block, settings = tile.block, tile.block.converter
    tables = {"gather": block.gather, "scatter": block.scatter}
    tables |= {"lowest": settings.lowest, "gain": settings.gain}
    for name, values in tables.items():
        yield from array_problems(f"{tile.name}, {name}", values, values.shape, Range())
    levels = Range(0, program.cell.levels - 1)
    where = f"{tile.name}, levels"
    yield from array_problems(where, block.levels, block.levels.shape, levels)
    if not 0 <= settings.bits <= 31:
        yield Problem(tile.name, f"converts to {settings.bits} bits", AGAIN)


def program_problems(program: Program) -> Iterator[Problem]:
    """Everything in `program` that would read or write outside an array."""
    names = [p.name for p in program.populations]
    if len(set(names)) != len(names):
        yield Problem(program.name, "has two populations of the same name")
        return
    order = {program.input.name: -1} | {name: k for k, name in enumerate(names)}
    for route in program.routes:
        where = f"{route.source} -> {route.target}"
        if route.source not in order or route.target not in names or route.delay < 0:
            yield Problem(where, f"is no way through this network, {route.delay} steps later")
        elif route.delay == 0 and order[route.source] >= order[route.target]:
            yield Problem(where, "reads a later population in the same step")
        elif not (1 <= route.dac_bits <= 8 and 1 <= route.most < 2**31):
            what = f"sends counts up to {route.most}, {route.dac_bits} bits at a time"
            yield Problem(where, what)
    for tile in program.tiles:
        if tile.route.source in order and tile.route.target in names:
            yield from _tile_problems(program, tile)


def _tile_problems(program: Program, tile: Tile) -> Iterator[Problem]:
    block, route = tile.block, tile.route
    elements = _elements(program, route)
    targets = program.populations[[p.name for p in program.populations].index(route.target)].n
    if any(a.ndim != 2 for a in (block.levels, block.gather, block.scatter)) or 0 in (
        *block.levels.shape,
        *block.gather.shape,
        *block.scatter.shape,
    ):
        yield Problem(tile.name, "has a table that is empty or not two-dimensional")
        return
    shapes = (block.gather.shape[1], block.scatter.shape[0], block.columns)
    columns = program.coding.columns(int(block.scatter.shape[1]))
    if shapes != (block.rows, block.positions, columns):
        yield Problem(tile.name, f"its tables of {shapes} do not belong to its cells")
    elif not -1 <= int(block.gather.min()) <= int(block.gather.max()) < elements:
        yield Problem(tile.name, f"reads outside the {elements} elements of its source")
    elif not -1 <= int(block.scatter.min()) <= int(block.scatter.max()) < targets:
        yield Problem(tile.name, f"writes outside the {targets} neurons of its target")
    elif not _is_placed(program, block):
        yield Problem(tile.name, f"row {block.row} of array {block.array} is no place for it")
    elif not _is_converted(program, block):
        yield Problem(tile.name, "its converter settings do not belong to its slices")


def _elements(program: Program, route: Route) -> int:
    """How many elements the blocks of a route may read."""
    if route.pool is None:
        return _sent(program, route)
    fits = size(route.pool.in_shape) == _sent(program, route)
    return size(route.pool.out_shape) if fits else 0


def _sent(program: Program, route: Route) -> int:
    if route.source == program.input.name:
        return size(program.input.shape)
    return next(p.n for p in program.populations if p.name == route.source)


def _is_placed(program: Program, block: Block) -> bool:
    return 0 <= block.array < program.arrays and 0 <= block.row <= 2**16


def _is_converted(program: Program, block: Block) -> bool:
    settings, slices = block.converter, program.coding.slices
    lengths = (settings.lowest.shape, settings.gain.shape)
    return lengths == ((slices,), (slices,)) and bool((settings.gain > 0).all())
