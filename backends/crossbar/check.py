"""What a program from a file must satisfy before compiled code, which checks nothing, may run."""

from __future__ import annotations

from collections.abc import Iterator

from snnstack.backends.crossbar.program import Block, Program, Route, Tile
from snnstack.errors import Problem
from snnstack.ir.step import size


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
