"""Compiled ladder of gated columns whose source line runs along the bit line.

Only the difference x of the two lines matters: with the drivers at the far end, the two lines
carry the column's whole current I across every cut together, so a segment adds (rs + rb) C - rs I
to x, C being the current of the cells above. One elimination down and one sweep up, O(open
cells), all columns side by side; closed rows only make segments longer.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.crossbar.circuit.array import Indices, Reals
from snnstack.engine.compiled import compiled


@compiled
def ladder(
    g: Reals,
    source: Reals,
    first: Indices,
    rows_open: Indices,
    wires: Reals,
    far: bool,
    volt: Reals,
    current: Reals,
    drop: Reals,
) -> None:
    """Column currents [batch, cols] and voltages across the open cells of each vector.

    Cell (i, j) carries g x + source; `g` [batch or 1, rows, cols], `source` the same or empty.
    The open rows of vector b are rows_open[first[b]:first[b + 1]], ascending. `wires`: rs, rb of
    a segment, driver, sense in ohm. `far`: drivers at the top; else at the bottom, where the
    virtual grounds are. `drop` [batch, rows, cols] is written where a gate is open, or empty.
    """
    batch, cols = current.shape
    rows = g.shape[1]
    rs, rb, driver, sense = wires
    extra, keep = source.size > 0, drop.size > 0
    y, q, k = np.empty((rows, cols)), np.empty((rows, cols)), np.zeros((rows, cols))
    a, c, rest = np.empty(cols), np.zeros(cols), np.empty(cols)
    part, fixed = np.empty((rows, cols)), np.zeros((rows, cols))
    emf, bl = (rs, rb) if far else (0.0, 0.0)
    drivers_at_last = not far
    for n in range(batch):
        at = n if g.shape[0] > 1 else 0
        start, count = first[n], first[n + 1] - first[n]
        if count == 0:
            current[n, :] = 0.0
            continue
        for j in range(cols):
            y[0, j] = g[at, rows_open[start], j]
            q[0, j] = 1.0
            if extra:
                k[0, j] = source[at, rows_open[start], j]
        for m in range(1, count):
            i = rows_open[start + m]
            d = float(i - rows_open[start + m - 1])
            total, kept = (rs + rb) * d, (rs + rb - emf) * d
            for j in range(cols):
                p = 1.0 / (1.0 + total * y[m - 1, j])
                q[m, j] = p * (q[m - 1, j] + kept * y[m - 1, j])
                y[m, j] = p * y[m - 1, j] + g[at, i, j]
            if extra:
                for j in range(cols):
                    p = 1.0 / (1.0 + total * y[m - 1, j])
                    k[m, j] = p * k[m - 1, j] + source[at, i, j]
        last = rows_open[start + count - 1]
        end = count - 1 if drivers_at_last else 0
        lead = rows_open[start] + 1.0 if far else float(rows - last)
        ends = driver + sense + rs * lead + rb * (rows - last)
        for j in range(cols):
            alive = y[count - 1, j] > 0.0
            a[j] = q[count - 1, j] / y[count - 1, j] if alive else np.inf
            rest[j] = ends
            part[count - 1, j] = a[j]
            if extra:
                c[j] = -k[count - 1, j] / y[count - 1, j] if alive else 0.0
                fixed[count - 1, j] = c[j]
        for m in range(count - 2, -1, -1):
            d = float(rows_open[start + m + 1] - rows_open[start + m])
            total, push = (rs + rb) * d, emf * d
            for j in range(cols):
                p = 1.0 / (1.0 + total * y[m, j])
                below, one_less = a[j], 1.0 - q[m, j]
                a[j] = p * (below + push * q[m, j] - (total - push) * one_less)
                rest[j] += bl * d * p * (y[m, j] * (below + push) + one_less)
                part[m, j] = a[j]
            if extra:
                for j in range(cols):
                    p = 1.0 / (1.0 + total * y[m, j])
                    below = c[j]
                    c[j] = p * (below - total * k[m, j])
                    fixed[m, j] = c[j]
        if extra:
            for j in range(cols):
                a_sum, c_sum = rest[j] + part[end, j], fixed[end, j]
                for m in range(count - 1):
                    d = float(rows_open[start + m + 1] - rows_open[start + m])
                    p = 1.0 / (1.0 + (rs + rb) * d * y[m, j])
                    c_sum += bl * d * p * (y[m, j] * fixed[m + 1, j] + k[m, j])
                current[n, j] = (volt[n] - c_sum) / a_sum
        else:
            for j in range(cols):
                current[n, j] = volt[n] / (rest[j] + part[end, j])
        if keep:
            for m in range(count):
                i = rows_open[start + m]
                for j in range(cols):
                    if y[count - 1, j] > 0.0:
                        drop[n, i, j] = current[n, j] * part[m, j] + fixed[m, j]
                    else:
                        drop[n, i, j] = volt[n]
