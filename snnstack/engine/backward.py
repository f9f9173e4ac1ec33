"""Backward through time for a population whose spikes and membranes are known: compiled loops.

    dv(t) = ds(t) g(t) + (1 - r(t)) alpha dv(t + 1)  g: surrogate, r: 1 where v was set
    di(t) = dv(t) + beta di(t + 1) = dx(t)           ds(t) += W' dx(t + d) over recurrent W

g is the derivative of arctan at v / threshold - 1. Without a synaptic current beta is 0. All
arrays are float64 and contiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.compiled import compiled

Real = NDArray[np.float64]
NONE, SET, SUBTRACT = 0, 1, 2


@compiled
def membranes(x: Real, held: Real, alpha: Real, beta: Real) -> None:
    """`x` [batch, step, n] becomes v(t) = alpha held(t - 1) + i(t), i(t) = beta i(t - 1) + x(t)."""
    batch, steps, n = x.shape
    current = np.zeros(n)
    for b in range(batch):
        current[:] = 0.0
        for t in range(steps):
            for j in range(n):
                current[j] = beta[j] * current[j] + x[b, t, j]
                before = held[b, t - 1, j] if t else 0.0
                x[b, t, j] = alpha[j] * before + current[j]


@compiled
def walk_back(
    grad: Real,
    v: Real,
    spikes: Real,
    reset: int,
    neuron: Real,
    height: float,
    weights: Real,
    delays: NDArray[np.int64],
    dx: Real,
    moved: Real,
) -> None:
    """What the steps of one population give back.

    `grad`, `v` (before the reset), `spikes`, `dx` are [batch, step, n], `neuron` [3, n] is alpha,
    beta, threshold; recurrent `weights` [loop, target, source] with their `delays`; `height` is
    that of g, `reset` one of NONE, SET, SUBTRACT. Writes `dx`, and for thresholds `moved` [n].
    """
    batch, steps, n = grad.shape
    alpha, beta, threshold = neuron[0], neuron[1], neuron[2]
    dv, di, ds = np.zeros(n), np.zeros(n), np.zeros(n)
    moved[:] = 0.0
    for b in range(batch):
        dv[:] = 0.0
        di[:] = 0.0
        for t in range(steps - 1, -1, -1):
            ds[:] = grad[b, t]
            for k in range(len(delays)):
                if t + delays[k] < steps:
                    _add_back(ds, weights[k], dx[b, t + delays[k]])
            for j in range(n):
                ratio = v[b, t, j] / threshold[j]
                g = height / (threshold[j] * (1.0 + (np.pi * (ratio - 1.0)) ** 2))
                lasting = alpha[j] * dv[j]
                moved[j] -= ds[j] * g * ratio
                if reset == SUBTRACT:
                    moved[j] -= spikes[b, t, j] * lasting
                elif reset == SET:
                    lasting *= 1.0 - spikes[b, t, j]
                dv[j] = ds[j] * g + lasting
                di[j] = dv[j] + beta[j] * di[j]
                dx[b, t, j] = di[j]


@compiled
def _add_back(ds: Real, weight: Real, dx: Real) -> None:
    for i in range(len(dx)):
        for j in range(len(ds)):
            ds[j] += weight[i, j] * dx[i]
