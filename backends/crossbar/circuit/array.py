"""One array of resistive cells: conductances, topology, wires. What a circuit solver is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from snnstack.errors import DataError, Problem, raise_if_any

Reals: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

Topology = Literal["passive", "gated_bl", "gated_wl"]
"""`passive`: cells between word and bit lines. Gated (one transistor a cell), with the source
lines parallel to the bit lines (`gated_bl`) or to the word lines (`gated_wl`)."""

TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)


@dataclass(frozen=True)
class Wires:
    """Resistances in ohm: of the segments between neighbouring cells, and at the ends of lines.

    `row`: along a row (word line; source line of gated_wl); `col`: along a column (bit line);
    `source`: along a column's source line (gated_bl only; None: as `col`). The first segment
    between driver and first cell, and the last one between last cell and virtual ground, are
    segments like the others; `driver` and `sense` come on top. `access`: transistor of a gated
    cell that is on, in series with it.
    """

    row: float = 0.0
    col: float = 0.0
    source: float | None = None
    driver: float = 0.0
    sense: float = 0.0
    access: float = 0.0

    @property
    def source_line(self) -> float:
        """Resistance of a source-line segment of gated_bl."""
        return self.col if self.source is None else self.source

    @property
    def ideal(self) -> bool:
        """Whether no wire has any resistance."""
        parts = (self.row, self.col, self.source_line, self.driver, self.sense)
        return not any(parts)


@dataclass(frozen=True)
class Nonlinearity:
    """Current of a cell: G (V + a2 V^2 + a3 V^3), a2 per volt, a3 per volt squared."""

    a2: float = 0.0
    a3: float = 0.0

    @property
    def linear(self) -> bool:
        """Whether the cell is an ordinary resistor."""
        return self.a2 == 0 and self.a3 == 0


@dataclass(frozen=True)
class Array:
    """Conductances `g` [rows, cols] in siemens (zero is allowed), topology and wires.

    `driven_from` places the drivers of gated_bl's source lines: "top" (the far end from the
    virtual grounds, which are at the bottom) or "bottom". Raises `DataError` for what no array
    can be.
    """

    g: Reals
    topology: Topology = "passive"
    wires: Wires = field(default_factory=Wires)
    cell: Nonlinearity = field(default_factory=Nonlinearity)
    driven_from: Literal["top", "bottom"] = "top"

    def __post_init__(self) -> None:
        g = np.array(self.g, np.float64, order="C")
        g.flags.writeable = False
        object.__setattr__(self, "g", g)
        raise_if_any(DataError, _problems(self))

    @property
    def rows(self) -> int:
        """Number of rows: word lines or gates."""
        return int(self.g.shape[0])

    @property
    def cols(self) -> int:
        """Number of columns: currents that are measured."""
        return int(self.g.shape[1])

    @property
    def gated(self) -> bool:
        """Whether spikes open gates instead of driving lines."""
        return self.topology != "passive"

    @property
    def effective(self) -> Reals:
        """Conductance of each cell in series with its transistor, [rows, cols] in siemens."""
        return self.g / (1.0 + self.g * self.wires.access) if self.gated else self.g


def _problems(array: Array) -> Iterator[Problem]:
    g, where = array.g, "crossbar array"
    if array.topology not in TOPOLOGIES:
        yield Problem(where, f"topology {array.topology!r}", f"one of {', '.join(TOPOLOGIES)}")
    if array.driven_from not in ("top", "bottom"):
        yield Problem(where, f"driven_from {array.driven_from!r}", "top or bottom")
    if g.ndim != 2 or g.size == 0:
        yield Problem(where, f"conductances have shape {g.shape}", "expected [rows, cols]")
    elif not np.isfinite(g).all() or (g < 0).any():
        row, col = (int(n) for n in np.argwhere(~np.isfinite(g) | (g < 0))[0])
        what = f"conductance of cell ({row}, {col}) is {g[row, col]:g} S"
        yield Problem(where, what, "expected a finite number, not negative")
    for name in ("row", "col", "source", "driver", "sense", "access"):
        ohm = getattr(array.wires, name)
        if ohm is not None and not (math.isfinite(ohm) and ohm >= 0):
            yield Problem(where, f"wire resistance {name} = {ohm:g} ohm", "expected 0 or more")
    if not (math.isfinite(array.cell.a2) and math.isfinite(array.cell.a3)):
        yield Problem(where, f"nonlinearity {array.cell}", "expected finite numbers")
    if not array.cell.linear and array.gated and array.wires.access:
        what = "nonlinear cells with a transistor resistance are not modelled together"
        yield Problem(where, what, "put the transistor into the cell's own curve: access = 0")


def check_drive(array: Array, drive: npt.ArrayLike) -> Reals:
    """`drive` [batch, rows] in volts as an array that fits; `DataError` says what does not.

    Passive: any voltages. Gated: 0 closes a row's gate. In gated_bl all open rows of a vector
    share one source voltage.
    """
    v = np.ascontiguousarray(drive, np.float64)
    raise_if_any(DataError, _drive_problems(array, v))
    return v


def _drive_problems(array: Array, v: Reals) -> Iterator[Problem]:
    if v.ndim != 2 or v.shape[1] != array.rows:
        what = f"shape {v.shape}, expected [batch, {array.rows}]"
        yield Problem("drive voltages", what, "one voltage for each row")
    elif not np.isfinite(v).all():
        yield Problem("drive voltages", "contain a number that is not finite")
    elif array.topology == "gated_bl":
        top = np.where(np.abs(v.max(axis=1)) > np.abs(v.min(axis=1)), v.max(axis=1), v.min(axis=1))
        bad = ((v != 0) & (v != top[:, None])).any(axis=1)
        if bad.any():
            what = f"vector {int(np.argmax(bad))} has several voltages"
            hint = "the rows of gated_bl are gates: each is 0 or the common source voltage"
            yield Problem("drive voltages", what, hint)
