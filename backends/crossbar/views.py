"""Pictures of a program: the conductances that every array is programmed to."""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.program import Program
from snnstack.report.views import Matrix, matrix

MOST_ARRAYS = 12
"""Arrays that are shown; more say little more."""


def views(program: Program) -> tuple[Matrix, ...]:
    """One picture an array, ideal cells: rows from the top, cells not in use at 0."""
    capacity = program.board.capacity
    shape = int(capacity["rows"].value), int(capacity["columns"].value)
    numbers = sorted({tile.block.array for tile in program.tiles})
    shown = numbers[:MOST_ARRAYS]
    note = f"{len(shown)} of {len(numbers)} arrays" if len(numbers) > len(shown) else ""
    return tuple(_array(program, number, shape, note) for number in shown)


def _array(program: Program, number: int, shape: tuple[int, int], note: str) -> Matrix:
    cell, found = program.cell, np.zeros(shape)
    holds = []
    for tile in program.tiles:
        block = tile.block
        if block.array == number:
            place = slice(block.row, block.row + block.rows), slice(0, block.columns)
            found[place] = cell.g_min_us + block.levels * cell.step_us
            holds.append(f"{tile.route.source} to {tile.route.target}")
    text = ", ".join(dict.fromkeys(holds))
    return matrix(f"array {number}", found, "uS", f"{text}; {note}" if note else text)
