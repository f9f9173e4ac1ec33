"""An array made ready to be solved many times; the method is picked by topology and batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from snnstack.backends.crossbar.circuit import gated, grid, noise
from snnstack.backends.crossbar.circuit.array import Array, Reals, check_drive
from snnstack.backends.crossbar.circuit.solution import Solution, segments
from snnstack.backends.crossbar.circuit.transfer import Transfer, build_transfer
from snnstack.errors import DataError, fail

Method = Literal["auto", "lines", "transfer", "ladder", "ideal"]

METHODS: tuple[Method, ...] = get_args(Method)


def choose(array: Array, batch: int) -> Method:
    """The method for `batch` vectors of an array.

    No wire resistance: a product (`ideal`). gated_bl: its ladders. gated_wl and nonlinear
    cells: lines. Passive: building a transfer matrix costs about as much as solving as many
    vectors as the shorter side has lines, so it pays for more than that.
    """
    if array.topology == "gated_bl":
        return "ladder"
    if array.topology == "passive" and array.cell.linear:
        if array.wires.ideal:
            return "ideal"
        return "transfer" if batch > min(array.rows, array.cols) else "lines"
    return "lines"


@dataclass
class Circuit:
    """`array` with what was computed once for it. Not thread-safe while it prepares.

    `tolerance` (iterative methods): largest error of a column current relative to the largest
    column current of its vector.
    """

    array: Array
    method: Method = "auto"
    tolerance: float = 1e-9
    _grid: grid.Grid | None = field(default=None, repr=False)
    _transfer: Transfer | None = field(default=None, repr=False)
    _adjoint: Reals | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            what = f"method {self.method!r}"
            raise fail(DataError, "circuit", what, f"one of {', '.join(METHODS)}")
        if not 0 < self.tolerance < 1:
            what = f"tolerance {self.tolerance}, expected between 0 and 1"
            raise fail(DataError, "circuit", what)
        if self.method != "auto" and self.method not in _possible(self.array):
            what = f"method {self.method!r} does not solve this array"
            hint = f"possible: {', '.join(_possible(self.array))}"
            raise fail(DataError, f"circuit {self.array.topology}", what, hint)

    def transfer(self) -> Transfer:
        """The transfer matrix of a linear passive array, built on first use."""
        if "transfer" not in _possible(self.array):
            what = "has no transfer matrix: only a passive array of linear cells has one"
            raise fail(DataError, f"circuit {self.array.topology}", what)
        if self._transfer is None:
            self._transfer = build_transfer(self.array.g, *segments(self.array))
        return self._transfer

    def currents(self, drive: npt.ArrayLike) -> Reals:
        """Column currents [batch, cols] in ampere for `drive` [batch, rows] in volts."""
        v = check_drive(self.array, drive)
        method = self._method(len(v))
        if method == "transfer":
            return v @ self.transfer().matrix
        if method == "ideal":
            return v @ self.array.effective
        if method == "ladder":
            return gated.solve(self.array, v, nodes=False).currents
        return self._lines().solve(v, self.tolerance, nodes=False).currents

    def noisy(self, drive: npt.ArrayLike, sigma: npt.ArrayLike) -> tuple[Reals, Reals]:
        """(currents, their standard deviation) [batch, cols] if cells vary by `sigma` siemens.

        `sigma` [rows, cols]: independent cells, to first order (see `noise`). Linear cells of
        gated_bl and arrays without wires cost little more than `currents`; a passive array
        keeps its adjoint (rows x cols x cols numbers); gated_wl makes one for each vector.
        """
        v, spread = check_drive(self.array, drive), np.asarray(sigma, np.float64)
        if self.array.topology == "gated_bl" and self.array.cell.linear:
            return gated.noisy(self.array, v, spread)
        if self._method(len(v)) == "ideal":
            return v @ self.array.effective, np.sqrt(v**2 @ spread**2)
        solved = self.solve(v)
        return solved.currents, noise.noise_std(solved, spread, self._field())

    def _field(self) -> Reals | None:
        if self.array.gated or not self.array.cell.linear:
            return None
        if self._adjoint is None:
            self._adjoint = noise.adjoint(self.array)
        return self._adjoint

    def solve(self, drive: npt.ArrayLike) -> Solution:
        """Everything about the circuit for `drive` [batch, rows] in volts."""
        v = check_drive(self.array, drive)
        if self.array.topology == "gated_bl":
            return gated.solve(self.array, v, nodes=True)
        return self._lines().solve(v, self.tolerance, nodes=True)

    def _method(self, batch: int) -> Method:
        if self.method != "auto":
            return self.method
        return "transfer" if self._transfer is not None else choose(self.array, batch)

    def _lines(self) -> grid.Grid:
        if self._grid is None:
            self._grid = grid.Grid(self.array)
        return self._grid


def _possible(array: Array) -> tuple[Method, ...]:
    if array.topology == "gated_bl":
        return ("ladder",)
    if array.topology == "gated_wl" or not array.cell.linear:
        return ("lines",)
    return ("lines", "transfer", "ideal") if array.wires.ideal else ("lines", "transfer")


def solve(
    array: Array, drive: npt.ArrayLike, *, method: Method = "auto", tolerance: float = 1e-9
) -> Solution:
    """The circuit of `array` for `drive` [batch, rows] in volts."""
    return Circuit(array, method, tolerance).solve(drive)
