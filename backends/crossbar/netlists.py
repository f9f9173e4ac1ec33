"""The circuits of a program's tiles as SPICE netlists, with ideal cells or those of a chip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snnstack.backends.crossbar.circuit import Array
from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.instance import conductances, targets, wires_of
from snnstack.backends.crossbar.program import Program, Tile
from snnstack.backends.crossbar.spice import netlist
from snnstack.errors import DataError, Problem, raise_if_any
from snnstack.foreign_text import comment


def netlists(
    program: Program,
    tiles: Sequence[int] | None = None,
    *,
    chip: int | None = None,
    rows: Sequence[int] | None = None,
) -> dict[str, bytes]:
    """{"tile_0.cir": netlist} of the tiles numbered `tiles` (None: all).

    Cells are those that were asked for, or with `chip` those of that chip: programmed, stuck,
    drifted. The `rows` of each tile (None: all) have the board's read voltage, or their gates
    open; the others have 0 V, or their gates closed. Raises `DataError` for a tile or a row
    that does not exist.
    """
    every = program.tiles
    chosen = range(len(every)) if tiles is None else tiles
    raise_if_any(DataError, (_no_tile(n, len(every)) for n in chosen if not 0 <= n < len(every)))
    found = [every[n] for n in chosen]
    raise_if_any(
        DataError, (_no_row(t, row) for t in found for row in rows or () if row >= t.block.rows)
    )
    siemens = targets(program) if chip is None else conductances(program, chip)
    return {f"tile_{t.number}.cir": _text(program, t, siemens, chip, rows).encode() for t in found}


def _no_tile(number: int, count: int) -> Problem:
    return Problem(f"tile {number}", "does not exist", f"the program has tiles 0 to {count - 1}")


def _no_row(tile: Tile, row: int) -> Problem:
    hint = f"the tile has rows 0 to {tile.block.rows - 1}"
    return Problem(tile.name, f"row {row} does not exist", hint)


def tile_array(program: Program, tile: Tile, siemens: Sequence[np.ndarray]) -> Array:
    """The circuit of a tile's own rows and columns; `siemens`: cells of all arrays."""
    block = tile.block
    part = siemens[block.array][block.row : block.row + block.rows, : block.columns]
    return Array(part, hardware(program.board).topology, wires_of(program.board))


def _text(
    program: Program,
    tile: Tile,
    siemens: Sequence[np.ndarray],
    chip: int | None,
    rows: Sequence[int] | None,
) -> str:
    array = tile_array(program, tile, siemens)
    volt = program.board.coefficients["read_v"].typical
    drive = np.full(array.rows, volt if rows is None else 0.0)
    if rows is not None:
        drive[list(rows)] = volt
    cells = "cells as asked for" if chip is None else f"cells of chip {chip}"
    size = f"{array.rows}x{array.cols}, {array.topology}"
    where = f"{comment(program.name)}, {comment(program.board.name)}"
    return netlist(array, drive, f"{where}, {tile.name} ({size}), {cells}")
