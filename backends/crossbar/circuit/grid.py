"""passive and gated_wl: grids of word (or source) and bit lines, solved by alternating lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snnstack.backends.crossbar.circuit import newton
from snnstack.backends.crossbar.circuit.array import Array, Indices, Reals
from snnstack.backends.crossbar.circuit.lines import (
    CHUNK,
    Lines,
    Voltages,
    factor_lines,
    one_word_line_each,
    prepare_lines,
    solve_lines,
)
from snnstack.backends.crossbar.circuit.solution import Solution, segments

_EMPTY = np.empty((0, 0, 0))


@dataclass(frozen=True)
class Grid:
    """A grid with its factors; in gated_wl they are those of all gates open."""

    array: Array

    @cached_property
    def lines(self) -> Lines:
        """The factors of the whole grid."""
        row, col = segments(self.array)
        return prepare_lines(self.array.effective, row, col)

    @cached_property
    def weight(self) -> Reals:
        """An upper bound of T G (see `lines`) that holds for every set of open gates."""
        return one_word_line_each(self.lines)

    def solve(self, v: Reals, tolerance: float, *, nodes: bool) -> Solution:
        """The solved vectors; without `nodes` (and for linear cells) only currents are filled."""
        if not self.array.cell.linear:
            return newton.solve_grid(self, v, tolerance)
        array, (rows, cols) = self.array, self.array.g.shape
        currents, bound = np.zeros((len(v), cols)), np.zeros(len(v))
        drops = np.zeros((len(v), rows, cols)) if nodes else _EMPTY
        for part in self.parts(v):
            found, rows_used = self.vectors(v[part], tolerance, nodes=nodes)
            currents[part], bound[part] = found.currents.T, found.bound
            if nodes:
                drops[part, rows_used] = np.moveaxis(found.word - found.bit, 2, 0)
        cells = drops * array.effective * self._open(v) if nodes else _EMPTY
        return Solution(array, v, currents, bound, drops, cells, "lines")

    def parts(self, v: Reals) -> list[slice]:
        """Which vectors are solved side by side: those that share their conductances."""
        size = 1 if self.array.gated else CHUNK
        return [slice(at, min(at + size, len(v))) for at in range(0, len(v), size)]

    def vectors(
        self, v: Reals, tolerance: float, *, nodes: bool
    ) -> tuple[Voltages, slice | Indices]:
        """One part of the vectors and the rows that are in it."""
        if not self.array.gated:
            found = solve_lines(self.lines, np.ascontiguousarray(v.T), tolerance, nodes=nodes)
            return found, slice(None)
        used = np.flatnonzero(v[0])
        if not len(used):
            used = np.arange(1)
        found = solve_lines(self._only(used), v[:, used].T.copy(), tolerance, nodes=nodes)
        return found, used

    def _only(self, used: Indices) -> Lines:
        """The grid of the rows `used`; closed rows make the bit lines' segments longer."""
        row, col = segments(self.array)
        merged = np.add.reduceat(col, used)
        g = np.ascontiguousarray(self.lines.g[used])
        return factor_lines(g, row, merged, self.lines.rho, self.weight[used])

    def _open(self, v: Reals) -> Reals:
        if not self.array.gated:
            return np.ones((1, 1, 1))
        return np.where(v != 0, 1.0, 0.0)[:, :, None]
