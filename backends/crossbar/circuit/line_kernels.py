"""Compiled sweeps of the alternating line solve. Eliminations only add and divide: no
cancellation, and zero resistances and zero conductances need no special case.

Shapes: conductances and factors [rows, cols, batch] or, shared by a batch, [rows, cols, 1];
node voltages [rows, cols, batch]; `row_seg[j]` is the resistance left of column j, `col_seg[i]`
the one below row i.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.circuit.array import Reals
from snnstack.dynamics.compiled import compiled


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


LANES = 16
"""Vectors side by side, known to the compiler: as many fill a few registers."""


@compiled
def _word_back(
    g: Reals, p: Reals, b: Reals, source: Reals, i: int, inner: Reals, acc: Reals
) -> None:
    """Eliminate word line i from its open end; `inner` [cols, batch]: currents into each node."""
    cols, batch = inner.shape
    own = 1 if g.shape[2] > 1 else 0
    acc[:] = 0.0
    for j in range(cols - 1, -1, -1):
        if batch == LANES and own == 0:
            gg, pp = g[i, j, 0], p[i, j, 0]
            for k in range(LANES):
                inner[j, k] = acc[k] + gg * b[i, j, k]
                acc[k] = inner[j, k] * pp
        else:
            for k in range(batch):
                inner[j, k] = acc[k] + g[i, j, k * own] * b[i, j, k]
                acc[k] = inner[j, k] * p[i, j, k * own]
        if source.size > 0:
            for k in range(batch):
                inner[j, k] -= source[i, j, k]
                acc[k] = inner[j, k] * p[i, j, k * own]


@compiled
def _word_forth(
    p: Reals, row_seg: Reals, i: int, inner: Reals, acc: Reals, w: Reals, at: int
) -> None:
    """Voltages of word line i into row `at` of w, from its driver's voltage in `acc`."""
    cols, batch = inner.shape
    own = 1 if p.shape[2] > 1 else 0
    for j in range(cols):
        r = row_seg[j]
        if batch == LANES and own == 0:
            pp = p[i, j, 0]
            for k in range(LANES):
                acc[k] = pp * (acc[k] + r * inner[j, k])
                w[at, j, k] = acc[k]
        else:
            for k in range(batch):
                acc[k] = p[i, j, k * own] * (acc[k] + r * inner[j, k])
                w[at, j, k] = acc[k]


@compiled
def _bit_down(g: Reals, p: Reals, source: Reals, i: int, w: Reals, at: int, cur: Reals) -> None:
    """One row's step of the elimination of all bit lines, from the top."""
    cols, batch = cur.shape[1:]
    own, above, passed = 1 if g.shape[2] > 1 else 0, max(i - 1, 0), 1.0 if i > 0 else 0.0
    for j in range(cols):
        if batch == LANES and own == 0:
            gg, pp = g[i, j, 0], p[above, j, 0] * passed
            for k in range(LANES):
                cur[i, j, k] = pp * cur[above, j, k] + gg * w[at, j, k]
        else:
            for k in range(batch):
                fallen = p[above, j, k * own] * passed * cur[above, j, k]
                cur[i, j, k] = fallen + g[i, j, k * own] * w[at, j, k]
        if source.size > 0:
            for k in range(batch):
                cur[i, j, k] += source[i, j, k]


@compiled
def down(
    g: Reals, source: Reals, pw: Reals, pb: Reals, row_seg: Reals, v: Reals, b: Reals, w: Reals,
    cur: Reals, out: Reals,
) -> None:  # fmt: skip
    """All word lines for bit-line voltages `b`, then the eliminations of the bit lines.

    A cell from w to b carries g (w - b) + source. Writes the word-line voltages `w` (one row of
    it, if it has only one), the eliminated currents `cur` and the column currents `out`.
    """
    rows, cols, batch = b.shape
    inner, acc = np.empty((cols, batch)), np.empty(batch)
    cur[0] = 0.0
    for i in range(rows):
        at = i if w.shape[0] == rows else 0
        _word_back(g, pw, b, source, i, inner, acc)
        acc[:] = v[i]
        _word_forth(pw, row_seg, i, inner, acc, w, at)
        _bit_down(g, pb, source, i, w, at, cur)
    for j in range(cols):
        for k in range(batch):
            out[j, k] = pb[rows - 1, j, k if pb.shape[2] > 1 else 0] * cur[rows - 1, j, k]


@compiled
def _bit_up(p: Reals, col_seg: Reals, i: int, cur: Reals, below: Reals) -> None:
    """Voltages of row i's bit-line nodes, from those of the row below, in their place."""
    cols, batch = below.shape
    r, own = col_seg[i], 1 if p.shape[2] > 1 else 0
    for j in range(cols):
        if batch == LANES and own == 0:
            pp = p[i, j, 0]
            for k in range(LANES):
                below[j, k] = pp * (below[j, k] + r * cur[i, j, k])
        else:
            for k in range(batch):
                below[j, k] = p[i, j, k * own] * (below[j, k] + r * cur[i, j, k])


@compiled
def _missed(weight: Reals, i: int, new: Reals, b: Reals, bound: Reals) -> None:
    cols, batch = new.shape
    own = 1 if weight.shape[2] > 1 else 0
    for j in range(cols):
        if batch == LANES and own == 0:
            t = weight[i, j, 0]
            for k in range(LANES):
                bound[k] += t * abs(new[j, k] - b[i, j, k])
        else:
            for k in range(batch):
                bound[k] += weight[i, j, k * own] * abs(new[j, k] - b[i, j, k])


@compiled
def up(
    pb: Reals, col_seg: Reals, cur: Reals, b: Reals, before: Reals, weight: Reals, keep: bool,
    gamma: float, omega: float, bound: Reals,
) -> None:  # fmt: skip
    """Bit-line voltages from the eliminated currents; one accelerated step from `b`.

    The new iterate, before + omega (gamma new + (1 - gamma) b - before), replaces `before`.
    `bound` becomes the sum of weight |new - b|. `keep`: the plain new voltages replace `b`.
    """
    rows, cols, batch = b.shape
    new = np.zeros((cols, batch))
    bound[:] = 0.0
    for i in range(rows - 1, -1, -1):
        _bit_up(pb, col_seg, i, cur, new)
        _missed(weight, i, new, b, bound)
        if keep:
            b[i] = new
            continue
        one, last, stay = omega * gamma, omega * (1.0 - gamma), 1.0 - omega
        for j in range(cols):
            for k in range(batch):
                before[i, j, k] = one * new[j, k] + last * b[i, j, k] + stay * before[i, j, k]
