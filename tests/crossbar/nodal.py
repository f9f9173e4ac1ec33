"""The nodal equations of an array as one sparse system: the oracle of the circuit solvers.

All resistances must be above zero. Nodes: driven lines [rows, cols], then bit lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as linalg
from numpy.typing import NDArray

from snnstack.backends.crossbar.circuit import Array

Branch = tuple[int, int, float, float]
"""Node, other node (-1: a fixed voltage), conductance, the fixed voltage."""


def branches(array: Array, v: NDArray[np.float64]) -> Iterator[Branch]:
    rows, cols = array.g.shape
    wires = array.wires
    source = 0.0 if not v.any() else float(v[np.flatnonzero(v)[0]])
    for i in range(rows):
        for j in range(cols):
            word, bit = i * cols + j, (rows + i) * cols + j
            if array.topology != "gated_bl":
                first, ohm, before, volt = j == 0, wires.row, word - 1, float(v[i])
            elif array.driven_from == "top":
                first, ohm, before, volt = i == 0, wires.source_line, word - cols, source
            else:
                first, ohm, before, volt = i == rows - 1, wires.source_line, word + cols, source
            end = 1 / (ohm + wires.driver) if first else 1 / ohm
            yield (word, -1, end, volt) if first else (word, before, end, 0.0)
            if i == rows - 1:
                yield bit, -1, 1 / (wires.col + wires.sense), 0.0
            else:
                yield bit, bit + cols, 1 / wires.col, 0.0
            if array.topology == "passive":
                yield word, bit, array.g[i, j], 0.0
            elif v[i] != 0 and array.g[i, j] > 0:
                yield word, bit, 1 / (1 / array.g[i, j] + wires.access), 0.0


def nodal(array: Array, v: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(column currents, driven-line voltages, bit-line voltages) for one vector `v`."""
    rows, cols = array.g.shape
    one, other, y, volt = (np.array(part) for part in zip(*branches(array, v), strict=True))
    size, fixed = 2 * rows * cols, other < 0
    right = np.bincount(one[fixed], (y * volt)[fixed], minlength=size)
    own = np.bincount(one, y, minlength=size)
    own += np.bincount(other[~fixed], y[~fixed], minlength=size)
    off = sparse.coo_matrix((-y[~fixed], (one[~fixed], other[~fixed])), shape=(size, size))
    matrix = (off + off.T + sparse.diags(own)).tocsc()
    factor = linalg.splu(matrix, "MMD_AT_PLUS_A", 0.0, options={"SymmetricMode": True})
    x = factor.solve(right)
    x += factor.solve(right - matrix @ x)
    word, bit = x.reshape(2, rows, cols)
    return bit[-1] / (array.wires.col + array.wires.sense), word, bit
