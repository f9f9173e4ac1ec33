"""Round a row of weights one after the other, the rest making up for each error.

Optimal brain quantisation in a fixed order: Frantar et al., "GPTQ", arXiv 2210.17323. The error
that counts is that of the filtered input, `d' H d`, H from `filtered_moments`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snnstack.ir.nodes import Array

DAMPING = 0.01
"""Of the mean diagonal, added to it: sources that were silent in the data stay near."""


def compensated(real: Array, moments: Array, grid: Callable[[Array, int], Array]) -> Array:
    """Weights [row, input] on the grid; `grid(values, column)` is the nearest one.

    Weights that are 0 stay 0.
    """
    n = real.shape[1]
    damping = DAMPING * max(float(np.trace(moments)) / max(n, 1), 1e-12)
    order = np.argsort(-np.diag(moments))
    hessian = (moments + damping * np.eye(n))[np.ix_(order, order)]
    inverse = np.linalg.cholesky(np.linalg.inv(hessian)).T
    work, found = real[:, order].copy(), np.zeros_like(real)
    absent = real[:, order] == 0
    for k in range(n):
        value = np.where(absent[:, k], 0.0, grid(work[:, k], int(order[k])))
        found[:, k] = value
        error = (work[:, k] - value) / inverse[k, k]
        work[:, k + 1 :] -= np.outer(error, inverse[k, k + 1 :])
    back = np.empty_like(found)
    back[:, order] = found
    return back
