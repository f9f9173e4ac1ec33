"""Compiled sweeps of the alternating line solve. Eliminations only add and divide: no
cancellation, and zero resistances and zero conductances need no special case.

Shapes: conductances and factors [rows, cols, batch] or, shared by a batch, [rows, cols, 1];
node voltages [rows, cols, batch]; `row_seg[j]` is the resistance left of column j, `col_seg[i]`
the one below row i.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.circuit.array import Reals
from snnstack.engine.compiled import compiled


@compiled
def word_factors(g: Reals, row_seg: Reals, p: Reals) -> None:
    """p[i, j] = 1/(1 + r y): y is what is seen from the segment left of cell (i, j)."""
    rows, cols, batch = g.shape
    for i in range(rows):
        for k in range(batch):
            y = 0.0
            for j in range(cols - 1, -1, -1):
                y += g[i, j, k]
                p[i, j, k] = 1.0 / (1.0 + row_seg[j] * y)
                y *= p[i, j, k]


@compiled
def word_line(g: Reals, row_seg: Reals, v: Reals, b: Reals) -> Reals:
    """Voltages [cols, batch] of one word line for driver voltages `v` and bit-line ones `b`."""
    cols, batch = b.shape
    p, current, acc = np.empty(cols), np.empty((cols, batch)), np.zeros(batch)
    y = 0.0
    for j in range(cols - 1, -1, -1):
        y += g[j]
        p[j] = 1.0 / (1.0 + row_seg[j] * y)
        y *= p[j]
        for k in range(batch):
            current[j, k] = acc[k] + g[j] * b[j, k]
            acc[k] = current[j, k] * p[j]
    acc[:] = v
    for j in range(cols):
        for k in range(batch):
            acc[k] = p[j] * (acc[k] + row_seg[j] * current[j, k])
            current[j, k] = acc[k]
    return current


@compiled
def bit_factors(g: Reals, col_seg: Reals, p: Reals) -> None:
    """p[i, j] = 1/(1 + r y): y is what is seen, upwards, from the segment below cell (i, j)."""
    rows, cols, batch = g.shape
    y = np.zeros((cols, batch))
    for i in range(rows):
        for j in range(cols):
            for k in range(batch):
                y[j, k] += g[i, j, k]
                p[i, j, k] = 1.0 / (1.0 + col_seg[i] * y[j, k])
                y[j, k] *= p[i, j, k]


@compiled
def down(
    g: Reals,
    source: Reals,
    pw: Reals,
    pb: Reals,
    row_seg: Reals,
    v: Reals,
    b: Reals,
    w: Reals,
    cur: Reals,
    out: Reals,
) -> None:
    """All word lines for bit-line voltages `b`, then the eliminations of the bit lines.

    A cell from w to b carries g (w - b) + source. Writes the word-line voltages `w` (one row of
    it, if it has only one), the eliminated currents `cur` and the column currents `out`.
    """
    rows, cols, batch = b.shape
    shared, keep, extra = g.shape[2] == 1, w.shape[0] == rows, source.size > 0
    inner = np.zeros((cols, batch))
    acc = np.zeros(batch)
    for i in range(rows):
        acc[:] = 0.0
        for j in range(cols - 1, -1, -1):
            if shared:
                gg, pp = g[i, j, 0], pw[i, j, 0]
                for k in range(batch):
                    a = acc[k] + gg * b[i, j, k]
                    inner[j, k] = a
                    acc[k] = a * pp
            else:
                for k in range(batch):
                    a = acc[k] + g[i, j, k] * b[i, j, k]
                    inner[j, k] = a
                    acc[k] = a * pw[i, j, k]
            if extra:
                for k in range(batch):
                    p = pw[i, j, 0 if shared else k]
                    inner[j, k] -= source[i, j, k]
                    acc[k] -= source[i, j, k] * p
        at = i if keep else 0
        for k in range(batch):
            acc[k] = v[i, k]
        for j in range(cols):
            r = row_seg[j]
            if shared:
                pp = pw[i, j, 0]
                for k in range(batch):
                    acc[k] = pp * (acc[k] + r * inner[j, k])
                    w[at, j, k] = acc[k]
            else:
                for k in range(batch):
                    acc[k] = pw[i, j, k] * (acc[k] + r * inner[j, k])
                    w[at, j, k] = acc[k]
        for j in range(cols):
            if shared:
                gg = g[i, j, 0]
                if i == 0:
                    for k in range(batch):
                        cur[i, j, k] = gg * w[at, j, k]
                else:
                    pp = pb[i - 1, j, 0]
                    for k in range(batch):
                        cur[i, j, k] = pp * cur[i - 1, j, k] + gg * w[at, j, k]
            else:
                for k in range(batch):
                    above = pb[i - 1, j, k] * cur[i - 1, j, k] if i > 0 else 0.0
                    cur[i, j, k] = above + g[i, j, k] * w[at, j, k]
            if extra:
                for k in range(batch):
                    cur[i, j, k] += source[i, j, k]
    for j in range(cols):
        for k in range(batch):
            out[j, k] = pb[rows - 1, j, 0 if shared else k] * cur[rows - 1, j, k]


@compiled
def up(
    pb: Reals,
    col_seg: Reals,
    cur: Reals,
    b: Reals,
    before: Reals,
    weight: Reals,
    keep: bool,
    gamma: float,
    omega: float,
    bound: Reals,
) -> None:
    """Bit-line voltages from the eliminated currents; one accelerated step from `b`.

    The new iterate, before + omega (gamma new + (1 - gamma) b - before), replaces `before`.
    `bound` becomes the sum of weight |new - b|. `keep`: the plain new voltages replace `b`.
    """
    rows, cols, batch = b.shape
    shared, one = pb.shape[2] == 1, weight.shape[2] == 1
    below = np.zeros((cols, batch))
    bound[:] = 0.0
    for i in range(rows - 1, -1, -1):
        r = col_seg[i]
        for j in range(cols):
            if shared:
                pp = pb[i, j, 0]
                for k in range(batch):
                    below[j, k] = pp * (below[j, k] + r * cur[i, j, k])
            else:
                for k in range(batch):
                    below[j, k] = pb[i, j, k] * (below[j, k] + r * cur[i, j, k])
            if one:
                t = weight[i, j, 0]
                for k in range(batch):
                    bound[k] += t * abs(below[j, k] - b[i, j, k])
            else:
                for k in range(batch):
                    bound[k] += weight[i, j, k] * abs(below[j, k] - b[i, j, k])
            if keep:
                for k in range(batch):
                    b[i, j, k] = below[j, k]
            else:
                for k in range(batch):
                    old = before[i, j, k]
                    step = gamma * below[j, k] + (1.0 - gamma) * b[i, j, k] - old
                    before[i, j, k] = old + omega * step
