"""Round a row of weights so that its errors cancel, judged by the error of the filtered input.

The error that counts is `d' H d`, d the row's weight errors, H from `snnstack.quant.moments`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array

DAMPING = 0.01
"""Of the mean diagonal, added to it: sources that were silent in the data stay near."""
SWEEPS = 4
"""Times that every weight is rounded again, given all others."""


@dataclass(frozen=True, eq=False)
class Ordered:
    """Inputs from the largest moment to the smallest, and how an error spreads to later ones.

    `inverse`: upper triangular, `inverse' inverse` is the inverse of the damped moments in `order`.
    """

    order: Array
    inverse: Array


def ordered(moments: Array) -> Ordered:
    """What `compensated` needs of the moments."""
    order = np.argsort(-np.diag(moments))
    hessian = _damped(moments)[np.ix_(order, order)]
    return Ordered(order, np.linalg.cholesky(np.linalg.inv(hessian)).T)


def compensated(real: Array, given: Ordered, grid: Callable[[Array, int], Array]) -> Array:
    """Weights [row, input] on the grid; `grid(values, column)` is the nearest one.

    One column after the other is rounded, those to come making up for it (Frantar et al.,
    "GPTQ", arXiv 2210.17323). Weights that are 0 stay 0.
    """
    n, order, inverse = real.shape[1], given.order, given.inverse
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


def polished(
    real: Array, found: Array, moments: Array, grid: Callable[[Array, int], Array]
) -> Array:
    """`found` with every weight rounded again to where the others want it: never a larger error.

    Weights that are 0 in `real` stay 0.
    """
    hessian, found = _damped(moments), found.copy()
    pull = (found - real) @ hessian
    for _ in range(SWEEPS):
        changed = False
        for k in range(real.shape[1]):
            best = grid(found[:, k] - pull[:, k] / hessian[k, k], k)
            change = np.where(real[:, k] == 0, 0.0, best - found[:, k])
            gain = -(2 * pull[:, k] * change + hessian[k, k] * change**2)
            change[gain <= 0] = 0.0
            if change.any():
                changed = True
                found[:, k] += change
                pull += np.outer(change, hessian[k])
        if not changed:
            break
    return found


def error(real: Array, found: Array, moments: Array) -> Array:
    """Mean squared error of the filtered input of every row."""
    difference = found - real
    return np.asarray(((difference @ _damped(moments)) * difference).sum(axis=1))


def _damped(moments: Array) -> Array:
    n = len(moments)
    damping = DAMPING * max(float(np.trace(moments)) / max(n, 1), 1e-12)
    return np.asarray(moments + damping * np.eye(n))
