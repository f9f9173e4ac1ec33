"""Transfer matrix of a passive array: a linear circuit is I = M(G) V, built once, then a product.

One sweep over the rows. What lies above a row, seen from its bit-line nodes, is a Norton
multiport: an admittance Y between the columns, short-circuit currents J from the drivers. A
segment of resistance r turns them into K Y and K J with K = (1 + r Y)^-1; a row adds its own.
Nothing is inverted that is larger than the shorter side of the array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.crossbar.circuit.array import Reals


@dataclass(frozen=True)
class Transfer:
    """Column currents are `v @ matrix`; the drivers' currents are `v @ admittance`.

    `matrix` [rows, cols] and `admittance` [rows, rows] in siemens, both without rounding errors
    beyond some 1e-13 of the largest entry.
    """

    matrix: Reals
    admittance: Reals


def build_transfer(g: Reals, row_seg: Reals, col_seg: Reals) -> Transfer:
    """The transfer matrix of the grid `g` [rows, cols]; see `line_kernels` for the segments."""
    from threadpoolctl import threadpool_limits

    rows, cols = g.shape
    with threadpool_limits(1, "blas"):  # threads wait for each other longer than they work
        if rows >= cols:
            matrix, drivers, _ = _sweep(g, row_seg, col_seg)
            return Transfer(matrix, drivers)
        # Reciprocity: driven from below and measured at the left, the array has the same matrix.
        matrix, _, senses = _sweep(_turned(g), col_seg[::-1].copy(), row_seg[::-1].copy())
        return Transfer(_turned(matrix), _turned(senses))


def _turned(values: Reals) -> Reals:
    return np.ascontiguousarray(values[::-1, ::-1].T)


def _sweep(g: Reals, row_seg: Reals, col_seg: Reals) -> tuple[Reals, Reals, Reals]:
    """(transfer matrix, admittance of the drivers, admittance of the virtual grounds)."""
    from scipy.linalg.lapack import dpotrf, dpotrs  # column-major arrays go in without a copy

    rows, cols = g.shape
    y, j = np.zeros((cols, cols), order="F"), np.zeros((cols, rows), order="F")
    own, one = np.zeros((rows, rows)), np.eye(cols)
    for i in range(rows):
        response, reach = _row(g[i], row_seg)
        y += response
        j[:, i] += reach
        own[i, i] += reach.sum()
        factor, _ = dpotrf(np.asfortranarray(one + col_seg[i] * y), lower=1, overwrite_a=1)
        past = j[:, : i + 1]
        after, _ = dpotrs(factor, past, lower=1)
        own[: i + 1, : i + 1] -= col_seg[i] * (past.T @ after)
        j[:, : i + 1] = after
        y, _ = dpotrs(factor, y, lower=1)
        y = np.asfortranarray((y + y.T) / 2)
    return np.ascontiguousarray(j.T), own, y


def _row(g: Reals, row_seg: Reals) -> tuple[Reals, Reals]:
    """One word line seen from its bit-line nodes: admittance, current per volt of its driver.

    The diagonal is the sum of what leaves a node, so that nothing cancels.
    """
    from snnstack.backends.crossbar.circuit.line_kernels import word_line

    cols = len(g)
    v, b = np.zeros(cols + 1), np.zeros((cols, cols + 1))
    v[cols] = 1.0
    b[np.arange(cols), np.arange(cols)] = 1.0
    word = word_line(g, row_seg, v, b)
    admittance = -g[:, None] * word[:, :cols]
    reach = g * word[:, cols]
    np.fill_diagonal(admittance, 0.0)
    np.fill_diagonal(admittance, reach - admittance.sum(axis=1))
    return admittance, reach
