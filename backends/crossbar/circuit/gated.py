"""gated_bl: every column is a ladder of its own, solved exactly in one sweep down and one up."""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.circuit import newton
from snnstack.backends.crossbar.circuit.array import Array, Indices, Reals
from snnstack.backends.crossbar.circuit.solution import Solution, common_volts

_EMPTY = np.empty((1, 0, 0))


def open_rows(v: Reals) -> tuple[Indices, Indices]:
    """(first [batch + 1], rows): the rows whose gates are open, vector by vector."""
    batch, rows = np.nonzero(v)
    first = np.searchsorted(batch, np.arange(len(v) + 1))
    return first.astype(np.int64), rows.astype(np.int64)


def solve(array: Array, v: Reals, *, nodes: bool) -> Solution:
    """The solved columns; without `nodes` (and for linear cells) only currents are filled in."""
    if not array.cell.linear:
        return newton.solve_columns(array, v)
    g = array.effective[None]
    currents, drops = columns(array, g, _EMPTY, v, nodes=nodes)
    cells = drops * g * (v != 0)[:, :, None] if nodes else _EMPTY
    return Solution(array, v, currents, rounding(array, currents), drops, cells, "ladder")


def columns(array: Array, g: Reals, source: Reals, v: Reals, *, nodes: bool) -> tuple[Reals, Reals]:
    """(column currents, voltages across the open cells) where a cell carries g x + source."""
    currents, drops, _ = _ladder(array, g, source, v, _EMPTY[0], nodes=nodes)
    return currents, drops


def noisy(array: Array, v: Reals, sigma: Reals) -> tuple[Reals, Reals]:
    """(column currents, their standard deviation) if the linear cells vary by `sigma`."""
    spread = (sigma / (1.0 + array.g * array.wires.access) ** 2) ** 2
    g = array.effective[None]
    currents, _, variance = _ladder(array, g, _EMPTY, v, spread, nodes=False)
    return currents, np.sqrt(variance)


def _ladder(
    array: Array, g: Reals, source: Reals, v: Reals, spread: Reals, *, nodes: bool
) -> tuple[Reals, Reals, Reals]:
    from snnstack.backends.crossbar.circuit.ladder_kernels import ladder

    wires, (first, rows) = array.wires, open_rows(v)
    ohms = np.array([wires.source_line, wires.col, wires.driver, wires.sense])
    currents, variance = np.zeros((2, len(v), array.cols))
    drops = np.zeros((len(v), array.rows, array.cols)) if nodes else _EMPTY
    far = array.driven_from == "top"
    ladder(g, source, first, rows, ohms, far, common_volts(v), spread, currents, drops, variance)
    return currents, drops, variance


def rounding(array: Array, currents: Reals) -> Reals:
    """What rounding can do to the currents of a sweep over all rows, [batch]."""
    eps = float(np.finfo(float).eps)
    largest: Reals = np.abs(currents).max(axis=1, initial=0.0)
    return 16 * eps * array.rows * largest
