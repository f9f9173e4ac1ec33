"""Backward through time for a population whose spikes and membranes are known: compiled loops.

    dv(t) = ds(t) g(t) + p(t) alpha dv(t + 1)        g: surrogate, p: 0 where v was replaced
    di(t) = dv(t) + beta di(t + 1) = dx(t)           ds(t) += W' dx(t + d) over recurrent W

Without a synaptic current beta is 0. All arrays are float64 and contiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.compiled import compiled

Real = NDArray[np.float64]


@compiled
def low_pass(x: Real, beta: Real) -> None:
    """`x` [batch, step, n] becomes i(t) = beta i(t - 1) + x(t), in place."""
    batch, steps, n = x.shape
    for b in range(batch):
        for t in range(1, steps):
            for j in range(n):
                x[b, t, j] += beta[j] * x[b, t - 1, j]


@compiled
def walk_back(
    grad: Real,
    slope: Real,
    keep: Real,
    beta: Real,
    weights: Real,
    delays: NDArray[np.int64],
    dx: Real,
    late: Real,
) -> None:
    """What the steps of one population give back, all [batch, step, n].

    `grad` is ds of those who read the spikes and gets what comes over recurrent `weights`
    [loop, target, source] with their `delays` added; `slope` is g, `keep` p alpha. Writes `dx`
    and `late`, which is dv(t + 1).
    """
    batch, steps, n = grad.shape
    dv, di = np.zeros(n), np.zeros(n)
    for b in range(batch):
        dv[:] = 0.0
        di[:] = 0.0
        for t in range(steps - 1, -1, -1):
            ds = grad[b, t]
            for k in range(len(delays)):
                if t + delays[k] < steps:
                    _add_back(ds, weights[k], dx[b, t + delays[k]])
            for j in range(n):
                late[b, t, j] = dv[j]
                dv[j] = ds[j] * slope[b, t, j] + keep[b, t, j] * dv[j]
                di[j] = dv[j] + beta[j] * di[j]
                dx[b, t, j] = di[j]


@compiled
def _add_back(ds: Real, weight: Real, dx: Real) -> None:
    for i in range(len(dx)):
        for j in range(len(ds)):
            ds[j] += weight[i, j] * dx[i]
