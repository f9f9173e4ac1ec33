"""Compiled ladder of gated columns whose source line runs along the bit line.

Only the difference x of the two lines matters: with the drivers at the far end, the two lines
carry the column's whole current I across every cut together, so a segment adds (rs + rb) C - rs I
to x, C being the current of the cells above. One elimination down and one sweep up, O(open
cells), all columns side by side; closed rows only make segments longer.

Going down, C = y x + (1 - q) I + k; going up, x = part I + fixed (k, fixed: of cells that carry
a current of their own). Sums of terms of one sign, except for 1 - q, which is small beside x.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.circuit.array import Indices, Reals
from snnstack.dynamics.compiled import compiled


@compiled
def _fall(g: Reals, rows: Indices, total: float, emf: float, y: Reals, q: Reals) -> None:
    """Eliminate the open rows from the top. `total`, `emf`: ohm of one row's segments."""
    for j in range(g.shape[1]):
        y[0, j] = g[rows[0], j]
        q[0, j] = 1.0
    for m in range(1, len(rows)):
        d = float(rows[m] - rows[m - 1])
        r, kept, i = total * d, (total - emf) * d, rows[m]
        for j in range(g.shape[1]):
            p = 1.0 / (1.0 + r * y[m - 1, j])
            q[m, j] = p * (q[m - 1, j] + kept * y[m - 1, j])
            y[m, j] = p * y[m - 1, j] + g[i, j]


@compiled
def _fall_sources(source: Reals, rows: Indices, total: float, y: Reals, k: Reals) -> None:
    for j in range(source.shape[1]):
        k[0, j] = source[rows[0], j]
    for m in range(1, len(rows)):
        r = total * (rows[m] - rows[m - 1])
        for j in range(source.shape[1]):
            k[m, j] = k[m - 1, j] / (1.0 + r * y[m - 1, j]) + source[rows[m], j]


@compiled
def _rise(
    rows: Indices, total: float, emf: float, bit: float, y: Reals, q: Reals, part: Reals,
    rest: Reals,
) -> None:  # fmt: skip
    """Write x per ampere into `part`; `rest` grows by the falls along the bit line."""
    last = len(rows) - 1
    for j in range(len(rest)):
        part[last, j] = q[last, j] / y[last, j] if y[last, j] > 0.0 else np.inf
    for m in range(last - 1, -1, -1):
        d = float(rows[m + 1] - rows[m])
        r, push, b = total * d, emf * d, bit * d
        for j in range(len(rest)):
            p = 1.0 / (1.0 + r * y[m, j])
            above, below = 1.0 - q[m, j], part[m + 1, j]
            part[m, j] = p * (below + push * q[m, j] - (r - push) * above)
            rest[j] += b * p * (y[m, j] * (below + push) + above)


@compiled
def _rise_sources(
    rows: Indices, total: float, bit: float, y: Reals, k: Reals, fixed: Reals, offset: Reals
) -> None:
    """The share of x and of the falls along the bit line that I does not bring about."""
    last = len(rows) - 1
    for j in range(len(offset)):
        fixed[last, j] = -k[last, j] / y[last, j] if y[last, j] > 0.0 else 0.0
    for m in range(last - 1, -1, -1):
        d = float(rows[m + 1] - rows[m])
        r, b = total * d, bit * d
        for j in range(len(offset)):
            p = 1.0 / (1.0 + r * y[m, j])
            offset[j] += b * p * (y[m, j] * fixed[m + 1, j] + k[m, j])
            fixed[m, j] = p * (fixed[m + 1, j] - r * k[m, j])


@compiled
def _drops(
    rows: Indices, volt: float, part: Reals, fixed: Reals, current: Reals, drop: Reals
) -> None:
    for m in range(len(rows)):
        for j in range(len(current)):
            alive = part[len(rows) - 1, j] < np.inf
            drop[rows[m], j] = current[j] * part[m, j] + fixed[m, j] if alive else volt


@compiled
def _variance(
    rows: Indices, volt: float, part: Reals, current: Reals, spread: Reals, variance: Reals
) -> None:
    """Sum of spread (x^2/V)^2 over the open cells of each column of linear cells."""
    for m in range(len(rows)):
        for j in range(len(current)):
            x = current[j] * part[m, j] if current[j] != 0.0 else volt
            gain = x * x / volt
            variance[j] += spread[rows[m], j] * gain * gain


@compiled
def ladder(
    g: Reals, source: Reals, first: Indices, open_rows: Indices, wires: Reals, far: bool,
    volt: Reals, spread: Reals, current: Reals, drop: Reals, variance: Reals,
) -> None:  # fmt: skip
    """Column currents [batch, cols] and voltages across the open cells of each vector.

    Cell (i, j) carries g x + source; `g` [batch or 1, rows, cols], `source` the same or empty.
    The open rows of vector n are open_rows[first[n]:first[n + 1]], ascending. `wires`: rs, rb of
    a segment, driver, sense in ohm. `far`: drivers at the top; else at the bottom, where the
    virtual grounds are. `drop` [batch, rows, cols] is written where a gate is open, or empty.
    `spread` [rows, cols], or empty: variance of G that gives `variance` [batch, cols].
    """
    rows, cols = g.shape[1:]
    total, emf, bit = wires[0] + wires[1], wires[0] if far else 0.0, wires[1] if far else 0.0
    y, q, part = np.empty((rows, cols)), np.empty((rows, cols)), np.empty((rows, cols))
    k, fixed = np.zeros((rows, cols)), np.zeros((rows, cols))
    for n in range(len(current)):
        used = open_rows[first[n] : first[n + 1]]
        current[n, :] = 0.0
        if len(used) == 0:
            continue
        at, below = min(n, len(g) - 1), rows - used[-1]
        lead = used[0] + 1 if far else below
        rest = np.full(cols, wires[2] + wires[3] + wires[0] * lead + wires[1] * below)
        offset = np.zeros(cols)
        _fall(g[at], used, total, emf, y, q)
        _rise(used, total, emf, bit, y, q, part, rest)
        if source.size > 0:
            _fall_sources(source[at], used, total, y, k)
            _rise_sources(used, total, bit, y, k, fixed, offset)
        end = 0 if far else len(used) - 1
        for j in range(cols):
            if part[len(used) - 1, j] < np.inf:
                current[n, j] = (volt[n] - offset[j] - fixed[end, j]) / (rest[j] + part[end, j])
        if drop.size > 0:
            _drops(used, volt[n], part, fixed, current[n], drop[n])
        if spread.size > 0:
            _variance(used, volt[n], part, current[n], spread, variance[n])
