"""Pictures of a placed program as data: a backend's optional `views(program)` returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_CELLS = 48
"""Rows and columns that a picture of a matrix has at most."""


@dataclass(frozen=True)
class Core:
    """One core (or processing element): where it is, what it holds, how full it is.

    `chip` counts from 0; `x`, `y` are its place on the chip. `used`: {resource: (used,
    available)}; `holds`: {population: neurons}.
    """

    name: str
    chip: int
    x: int
    y: int
    used: Mapping[str, tuple[float, float]]
    holds: Mapping[str, int]

    @property
    def load(self) -> float:
        """The fullest of its resources, 0 to 1."""
        return max((used / most for used, most in self.used.values() if most), default=0.0)


@dataclass(frozen=True)
class CoreMap:
    """Cores in use; `columns`, `rows`: the grid of one chip, `cores_per_chip` where known."""

    title: str
    columns: int
    rows: int
    cores: tuple[Core, ...]
    kind: str = "cores"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        cores = [
            {**asdict(c), "used": {k: list(v) for k, v in c.used.items()}, "load": c.load}
            for c in self.cores
        ]
        return {**_shallow(self), "cores": cores}


@dataclass(frozen=True)
class Part:
    """Some bytes of a memory: what they hold."""

    name: str
    bytes: int


@dataclass(frozen=True)
class MemoryMap:
    """One memory, from its first byte: `parts` in order, the rest of `capacity` is free."""

    title: str
    capacity: int
    parts: tuple[Part, ...]
    kind: str = "memory"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**_shallow(self), "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True)
class Matrix:
    """Values as a picture, e.g. the conductances of a tile; see `matrix`."""

    title: str
    unit: str
    rows: int
    columns: int
    values: tuple[tuple[float, ...], ...]
    note: str = ""
    kind: str = "matrix"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**_shallow(self), "values": [list(row) for row in self.values]}


View = CoreMap | MemoryMap | Matrix


def matrix(title: str, values: ArrayLike, unit: str, note: str = "") -> Matrix:
    """A picture of `values` [row, column]; of more than 48 rows or columns, means of blocks.

    >>> matrix("tile", [[1, 2], [3, 4]], "uS").values
    ((1.0, 2.0), (3.0, 4.0))
    """
    array = np.atleast_2d(np.asarray(values, dtype=np.float64))
    small = _blocks(_blocks(array, 0), 1)
    rows, columns = array.shape
    return Matrix(title, unit, rows, columns, tuple(tuple(map(float, r)) for r in small), note)


def _blocks(array: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    n = array.shape[axis]
    if n <= MOST_CELLS:
        return array
    edges = np.linspace(0, n, MOST_CELLS + 1).astype(int)
    sums = np.add.reduceat(array, edges[:-1], axis=axis)
    width = np.diff(edges).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.asarray(sums / width)


def _shallow(view: Any) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__dataclass_fields__}
