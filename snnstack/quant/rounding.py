"""Round weights together: the errors of a neuron's synapses cancel instead of adding up.

Rounding each weight to the nearest integer leaves every neuron with a small constant error of
its mean input, which an integrating neuron accumulates. Flipping the few roundings that cost
least removes it. The cost of a row is `sum q d**2 + (sum m d)**2`, see `snnstack.quant.scales`.
"""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array

MOST_FLIPS = 24
"""Flips tried per row; real layers need fewer than ten."""


def round_together(real: Array, mean: Array, variance: Array, low: int, high: int) -> Array:
    """Integers [row, weight] near `real`, within `low`..`high`, of least cost per row.

    `mean`, `variance` [row, weight]: activity of each weight's source. Greedy: each flip moves
    one weight of every row by one, as long as that lowers the row's cost.

    >>> real = np.array([[0.4, 0.4, 0.4]])
    >>> ones = np.ones_like(real)
    >>> int(round_together(real, ones, 0.1 * ones, -127, 127).sum())
    1
    """
    levels = np.clip(np.rint(real), low, high)
    error = levels - real
    active = np.arange(len(real) if real.size else 0)
    for _ in range(MOST_FLIPS):
        if not len(active):
            break
        step, column, gain = _best_flip(
            levels[active], error[active], mean[active], variance[active], low, high
        )
        active, step, column = (part[gain > 1e-15] for part in (active, step, column))
        levels[active, column] += step
        error[active, column] += step
    return levels.astype(np.int64)


def _best_flip(
    levels: Array, error: Array, mean: Array, variance: Array, low: int, high: int
) -> tuple[Array, Array, Array]:
    """(step, column, gain) of the flip that lowers each row's cost most."""
    total = (mean * error).sum(axis=1, keepdims=True)
    step = -np.sign(total) * np.sign(mean + (mean == 0))
    gain = -variance * (2 * error * step + 1) - 2 * total * mean * step - mean**2
    gain[(levels + step < low) | (levels + step > high) | (step == 0)] = -np.inf
    column = gain.argmax(axis=1)
    rows = np.arange(len(levels))
    return step[:, 0], column, gain[rows, column]
