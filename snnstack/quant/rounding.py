"""Round weights together: the errors of a neuron's synapses cancel instead of adding up.

Rounding each weight to the nearest integer leaves every neuron with a small constant error of
its mean input, which an integrating neuron accumulates. Flipping the few roundings that cost
least removes it. The cost of a row is `sum q d**2 + (sum m d)**2`, see `snnstack.quant.scales`.
"""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.quant.numerics import nearest

MOST_FLIPS = 24
"""Flips tried per row; real layers need fewer than ten."""


def round_together(
    real: Array, mean: Array, variance: Array, low: int, high: int, step: int = 1
) -> Array:
    """Integers [row, weight] near `real`, `low`, `low` + `step`, ... `high`, of least cost per row.

    `mean`, `variance` [row, weight]: activity of each weight's source. Greedy: each flip moves
    one weight of every row to a neighbour, as long as that lowers the row's cost.

    >>> real = np.array([[0.4, 0.4, 0.4]])
    >>> ones = np.ones_like(real)
    >>> int(round_together(real, ones, 0.1 * ones, -127, 127).sum())
    1
    """
    levels = nearest(real, low, high, step)
    error = levels - real
    active = np.arange(len(real) if real.size else 0)
    for _ in range(MOST_FLIPS):
        if not len(active):
            break
        change, column, gain = _best_flip(
            levels[active], error[active], mean[active], variance[active], (low, high, step)
        )
        active, change, column = (part[gain > 1e-15] for part in (active, change, column))
        levels[active, column] += change
        error[active, column] += change
    return levels.astype(np.int64)


def _best_flip(
    levels: Array, error: Array, mean: Array, variance: Array, limits: tuple[int, int, int]
) -> tuple[Array, Array, Array]:
    """(step, column, gain) of the flip that lowers each row's cost most."""
    low, high, unit = limits
    total = (mean * error).sum(axis=1, keepdims=True)
    step = -np.sign(total) * np.sign(mean + (mean == 0)) * unit
    gain = -variance * (2 * error * step + step**2) - 2 * total * mean * step - (mean * step) ** 2
    outside = (levels + step < low) | (levels + step > high)
    gain[outside | (step == 0)] = -np.inf
    column = gain.argmax(axis=1)
    rows = np.arange(len(levels))
    return step[:, 0], column, gain[rows, column]
