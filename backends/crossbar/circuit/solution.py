"""A solved array: currents of columns, drivers and cells, node voltages, and where power goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.crossbar.circuit.array import Array, Reals


def segments(array: Array) -> tuple[Reals, Reals]:
    """Resistances (row_seg [cols], col_seg [rows]): left of each column, below each row."""
    wires = array.wires
    row, col = np.full(array.cols, wires.row), np.full(array.rows, wires.col)
    row[0] += wires.driver
    col[-1] += wires.sense
    return row, col


def common_volts(drive: Reals) -> Reals:
    """[batch]: the one voltage that the nonzero entries of each vector [batch, rows] have."""
    highest: Reals = drive.max(axis=1, initial=0.0)
    lowest: Reals = drive.min(axis=1, initial=0.0)
    return highest + lowest


def _from_start(values: Reals, axis: int) -> Reals:
    total: Reals = np.cumsum(values, axis=axis)
    return total


def _from_end(values: Reals, axis: int) -> Reals:
    total: Reals = np.flip(np.cumsum(np.flip(values, axis), axis=axis), axis)
    return total


@dataclass(frozen=True)
class Solution:
    """Solved vectors of one array. Volts, amperes, watts.

    `drive` [batch, rows]; `currents` [batch, cols] into the virtual grounds, each wrong by at
    most `bound` [batch] (`solver` says how that is known); `drops` and `cells` [batch, rows,
    cols]: voltage across each cell and current through it.
    """

    array: Array
    drive: Reals
    currents: Reals
    bound: Reals
    drops: Reals
    cells: Reals
    solver: str

    @property
    def column_lines(self) -> Reals:
        """Current in the bit-line segment below each cell, [batch, rows, cols]."""
        return _from_start(self.cells, 1)

    @property
    def row_lines(self) -> Reals:
        """Current in the segment before each cell, seen from the drivers, [batch, rows, cols].

        Of the row (passive, gated_wl), or of the column's source line (gated_bl); there, with
        the drivers at the bottom, it is the segment below the cell.
        """
        if self.array.topology != "gated_bl":
            return _from_end(self.cells, 2)
        if self.array.driven_from == "bottom":
            return self.column_lines
        return _from_end(self.cells, 1)

    @property
    def bit_voltages(self) -> Reals:
        """Voltage of each bit-line node, [batch, rows, cols]."""
        _, col = segments(self.array)
        return _from_end(self.column_lines * col[:, None], 1)

    @property
    def source_voltages(self) -> Reals:
        """Voltage of each node of the driven lines (word or source lines), [batch, rows, cols]."""
        falls = self.row_lines * self._source_segments()
        if self.array.topology != "gated_bl":
            return np.asarray(self.drive[:, :, None] - _from_start(falls, 2))
        far = self.array.driven_from == "top"
        fallen = _from_start(falls, 1) if far else _from_end(falls, 1)
        return np.asarray(self.volts[:, None, None] - fallen)

    def _source_segments(self) -> Reals:
        """Resistances that belong to `row_lines`, [rows or 1, cols or 1]."""
        if self.array.topology != "gated_bl":
            return segments(self.array)[0][None, :]
        wires = self.array.wires
        line = np.full((self.array.rows, 1), wires.source_line)
        line[-1 if self.array.driven_from == "bottom" else 0] += wires.driver
        return line

    @property
    def volts(self) -> Reals:
        """The common source voltage of each vector of gated_bl, [batch]."""
        return common_volts(self.drive)

    @property
    def driver_currents(self) -> Reals:
        """Current out of each driver: [batch, rows], of gated_bl [batch, cols]."""
        total: Reals = self.cells.sum(axis=1 if self.array.topology == "gated_bl" else 2)
        return total

    @property
    def supplied_w(self) -> Reals:
        """Power out of the drivers, [batch]; the virtual grounds are at 0 V and supply none."""
        if self.array.topology == "gated_bl":
            return np.asarray(np.einsum("b,bj->b", self.volts, self.driver_currents))
        return np.asarray(np.einsum("bi,bi->b", self.drive, self.driver_currents))

    @property
    def cell_w(self) -> Reals:
        """Power that the cells (with their transistors) dissipate, [batch]."""
        return np.asarray(np.einsum("bij,bij->b", self.cells, self.drops))

    @property
    def wire_w(self) -> Reals:
        """Power that all wires, drivers and sense resistances dissipate, [batch]."""
        _, col = segments(self.array)
        bit = np.einsum("bij,i->b", self.column_lines**2, col)
        source = np.einsum("bij->b", self.row_lines**2 * self._source_segments())
        return np.asarray(bit + source)
