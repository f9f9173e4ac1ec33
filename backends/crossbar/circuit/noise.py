"""Read noise without solving again: to first order, by the adjoint circuit.

A change dG of the cell (i, l) changes column current j by dG dV(i, l) dA_j(i, l): dV is the
voltage across the cell, dA_j the one with all drivers at 0 V and column j's virtual ground at
1 V. Second order, (dG/G)^2 times the share that wires drop, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from snnstack.backends.crossbar.circuit import gated
from snnstack.backends.crossbar.circuit.array import Array, Reals
from snnstack.backends.crossbar.circuit.lines import CHUNK, prepare_lines, solve_lines
from snnstack.backends.crossbar.circuit.newton import slope
from snnstack.backends.crossbar.circuit.solution import Solution, segments
from snnstack.errors import DataError, fail

_TOLERANCE = 1e-9


def adjoint(array: Array, g: Reals | None = None) -> Reals:
    """Voltages dA [cols, rows, cols] of a grid (passive, gated_wl), for every column.

    `g` [rows, cols] replaces the array's conductances, e.g. zero where gates are closed. It
    depends on the conductances alone: of a passive linear array it is made once.
    """
    if array.topology == "gated_bl":
        raise fail(DataError, "adjoint of gated_bl", "is its own solution: use noise_std")
    used = array.effective if g is None else g
    row, col = segments(array)
    lines = prepare_lines(
        np.ascontiguousarray(used[::-1, ::-1].T), col[::-1].copy(), row[::-1].copy()
    )
    drops = np.empty((array.cols, array.rows, array.cols))
    for at in range(0, array.cols, CHUNK):
        drive = np.eye(array.cols)[::-1, at : at + CHUNK].copy()
        found = solve_lines(lines, drive, _TOLERANCE, nodes=True)
        drops[at : at + CHUNK] = (found.word - found.bit)[::-1, ::-1].T
    return drops


def noise_response(solution: Solution, delta: npt.ArrayLike, known: Reals | None = None) -> Reals:
    """Change of the column currents [batch, cols] for changes `delta` of the conductances.

    `delta` [rows, cols] or [batch, rows, cols] in siemens; `known`: `adjoint` of a passive
    linear array, so that it is not computed again.
    """
    change = _per_vector(solution, delta)
    if solution.array.topology == "gated_bl":
        return np.asarray(np.einsum("bij,bij->bj", change, _ladder_gain(solution)))
    out = np.empty_like(solution.currents)
    for n, field in enumerate(_fields(solution, known)):
        out[n] = np.einsum("jil,il->j", field, change[n] * solution.drops[n])
    return out


def noise_std(solution: Solution, sigma: npt.ArrayLike, known: Reals | None = None) -> Reals:
    """Standard deviation of each column current [batch, cols] if cells vary by `sigma`.

    `sigma` [rows, cols] or [batch, rows, cols] in siemens: independent cells. What columns have
    in common (through the word lines) is in each of them, their correlation is not given.
    """
    spread = _per_vector(solution, sigma)
    if solution.array.topology == "gated_bl":
        variance = np.einsum("bij,bij->bj", spread**2, _ladder_gain(solution) ** 2)
        return np.asarray(np.sqrt(variance))
    out = np.empty_like(solution.currents)
    for n, field in enumerate(_fields(solution, known)):
        out[n] = np.einsum("jil,il->j", field**2, (spread[n] * solution.drops[n]) ** 2)
    return np.sqrt(out)


def _per_vector(solution: Solution, values: npt.ArrayLike) -> Reals:
    """Changes of G as changes of the current per volt across cell and transistor; 0 if closed."""
    array, drops = solution.array, solution.drops
    given = np.asarray(values, np.float64)
    if given.shape[-2:] != array.g.shape or given.ndim not in (2, 3):
        what = f"shape {given.shape}, expected [rows, cols] = {array.g.shape}"
        raise fail(DataError, "conductance changes", what)
    if array.gated:
        given = given / (1.0 + array.g * array.wires.access) ** 2
        given = given * (solution.drive != 0)[:, :, None]
    shaped = 1.0 + drops * (array.cell.a2 + drops * array.cell.a3)
    return np.asarray(given * shaped)


def _ladder_gain(solution: Solution) -> Reals:
    """Products dV dA of the own column's cells in gated_bl, where driver and ground are one port.

    So the adjoint is the linearised ladder at 1 V; of linear cells it is x/V.
    """
    array, drive = solution.array, solution.drive
    g = array.effective * slope(array.cell, solution.drops)
    unit = np.where(drive != 0, 1.0, 0.0)
    _, across = gated.columns(array, g, np.empty((0, 0, 0)), unit, nodes=True)
    return solution.drops * across


def _fields(solution: Solution, known: Reals | None) -> Iterator[Reals]:
    """The adjoint of every vector's linearised circuit."""
    array = solution.array
    if not array.gated and array.cell.linear:
        field = adjoint(array) if known is None else known
        yield from (field for _ in range(len(solution.drive)))
        return
    for n, drive in enumerate(solution.drive):
        g = array.effective * slope(array.cell, solution.drops[n])
        yield adjoint(array, g * (drive != 0)[:, None] if array.gated else g)
