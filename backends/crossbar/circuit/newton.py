"""Nonlinear cells: Newton's method, each step a linear circuit of tangent conductances.

The difference of two states of a network of rising current-voltage curves is a linear network
of secant conductances, so the currents by which the cells of a step miss their curves bound the
error of the column currents, as in `lines`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from snnstack.backends.crossbar.circuit import gated
from snnstack.backends.crossbar.circuit.array import Array, Nonlinearity, Reals
from snnstack.backends.crossbar.circuit.lines import CHUNK, factor_lines, solve_lines
from snnstack.backends.crossbar.circuit.solution import Solution, segments
from snnstack.errors import DataError, SnnstackError, ToolError, fail

if TYPE_CHECKING:
    from snnstack.backends.crossbar.circuit.grid import Grid

_STEPS = 40

_COLUMNS_TOLERANCE = 1e-12
"""Ladders are exact, so that Newton's last step decides: relative to the largest current."""

Linear = Callable[[Reals, Reals], tuple[Reals, Reals, Reals]]
"""Tangent conductances and sources to (voltages across the cells, currents, their bound)."""


def current(cell: Nonlinearity, x: Reals) -> Reals:
    """Current of a cell of 1 S at `x` volts."""
    return x * (1.0 + x * (cell.a2 + x * cell.a3))


def slope(cell: Nonlinearity, x: Reals) -> Reals:
    """Derivative of `current`."""
    return 1.0 + x * (2 * cell.a2 + x * 3 * cell.a3)


def check_rises(cell: Nonlinearity, span: float) -> None:
    """`DataError` if the cell's curve falls anywhere in [-span, span]."""
    x = np.array([-span, span])
    if cell.a3 > 0:
        turn = -cell.a2 / (3 * cell.a3)
        x = np.append(x, np.clip(turn, -span, span))
    lowest = slope(cell, x)
    if (lowest <= 0).any():
        at = float(x[np.argmin(lowest)])
        what = f"the current of a cell falls at {at:.3g} V (a2 = {cell.a2:g}, a3 = {cell.a3:g})"
        hint = f"its curve must rise over the whole range of +-{span:.3g} V"
        raise fail(DataError, "crossbar array", what, hint)


def _span(v: Reals) -> float:
    return float(v.max(initial=0.0) - min(v.min(initial=0.0), 0.0))


def solve_grid(grid: Grid, v: Reals, tolerance: float) -> Solution:
    """Solve passive and gated_wl with nonlinear cells."""
    array = grid.array
    check_rises(array.cell, _span(v))
    parts = [
        _part(grid, v[at : at + CHUNK], tolerance) for at in range(0, len(v), CHUNK)
    ]  # fmt: skip
    if not parts:
        none = np.zeros((0, array.rows, array.cols))
        return Solution(array, v, np.zeros((0, array.cols)), np.zeros(0), none, none, "newton")
    x, out, bound = (
        np.moveaxis(np.concatenate(p, axis=-1), -1, 0) for p in zip(*parts, strict=True)
    )
    cells = _conductances(array, v) * current(array.cell, x)
    return Solution(array, v, np.ascontiguousarray(out), bound, x, cells, "newton on lines")


def _conductances(array: Array, v: Reals) -> Reals:
    """[batch or 1, rows, cols]: closed gates conduct nothing."""
    return array.g * (v != 0)[:, :, None] if array.gated else array.g[None]


def _part(grid: Grid, v: Reals, tolerance: float) -> tuple[Reals, Reals, Reals]:
    """(voltages, currents, bound) of a few vectors side by side, the batch last."""
    array, (row, col) = grid.array, segments(grid.array)
    g = np.moveaxis(np.broadcast_to(_conductances(array, v), (len(v), *array.g.shape)), 0, 2)
    drive = np.ascontiguousarray(v.T)

    def linear(tangent: Reals, source: Reals) -> tuple[Reals, Reals, Reals]:
        lines = factor_lines(tangent, row, col, grid.lines.rho, tangent)
        found = solve_lines(lines, drive, tolerance / 10, nodes=True, source=source)
        return found.word - found.bit, found.currents, found.bound

    return _newton(array, np.ascontiguousarray(g), linear, tolerance, axes=(0, 1))


def solve_columns(array: Array, v: Reals) -> Solution:
    """Solve gated_bl with nonlinear cells."""
    check_rises(array.cell, _span(v))
    g = _conductances(array, v)

    def linear(tangent: Reals, source: Reals) -> tuple[Reals, Reals, Reals]:
        currents, drops = gated.columns(array, tangent, source, v, nodes=True)
        return drops, currents.T, gated.rounding(array, currents)

    x, out, bound = _newton(array, g, linear, _COLUMNS_TOLERANCE, axes=(1, 2))
    cells = g * current(array.cell, x)
    return Solution(array, v, np.ascontiguousarray(out.T), bound, x, cells, "newton on ladders")


def _newton(
    array: Array, g: Reals, linear: Linear, tolerance: float, axes: tuple[int, int]
) -> tuple[Reals, Reals, Reals]:
    """(voltages across cells, currents [cols, batch], bound [batch])."""
    cell, x = array.cell, np.zeros_like(g)
    worst = np.inf
    for _ in range(_STEPS):
        tangent = g * slope(cell, x)
        source = g * current(cell, x) - tangent * x
        after, out, bound = linear(tangent, source)
        missed = np.abs(g * current(cell, after) - tangent * after - source).sum(axis=axes)
        allowed = tolerance * np.abs(out).max(axis=0, initial=0.0)
        if (missed <= allowed).all():
            return after, out, bound + missed
        ratio = float((missed / np.maximum(allowed, 1e-300)).max())
        x = after if ratio < worst else (x + after) / 2
        worst = min(worst, ratio)
    raise _stuck(array, worst * tolerance)


def _stuck(array: Array, reached: float) -> SnnstackError:
    what = f"no solution after {_STEPS} steps: relative error {reached:.1e}"
    hint = "the cells are strongly nonlinear at this voltage: lower it"
    return fail(ToolError, f"Newton's method on {array.rows}x{array.cols} cells", what, hint)
