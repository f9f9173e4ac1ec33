"""Events into synaptic input: the compiled twins of the tables in `plan`.

Work is proportional to events times fan-out. Every function adds to `wide`, the synaptic input
of one layer in one step, and returns the number of synaptic operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.engine.compiled import compiled
from snnstack.engine.flat import (
    BLOCK,
    CHANNELS_IN,
    CHANNELS_OUT,
    CONV,
    DENSE,
    INDPTR,
    KIND,
    MAP,
    PER_GROUP_IN,
    PER_GROUP_OUT,
    PIXEL_STEP,
    ROW_STEP,
    TAPS_X,
    TAPS_Y,
    WEIGHT,
)


@compiled
def add_rows(total: Any, weights: Any, start: int, ids: Any, lo: int, hi: int) -> None:
    """Add the rows `ids[lo:hi]` of a [source, len(total)] table to `total`, four at a time."""
    n = len(total)
    k = lo
    while k + 4 <= hi:
        p = start + np.int64(ids[k]) * n
        q = start + np.int64(ids[k + 1]) * n
        r = start + np.int64(ids[k + 2]) * n
        s = start + np.int64(ids[k + 3]) * n
        a, b, c, d = weights[p : p + n], weights[q : q + n], weights[r : r + n], weights[s : s + n]
        for j in range(n):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])
        k += 4
    while k < hi:
        p = start + np.int64(ids[k]) * n
        a = weights[p : p + n]
        for j in range(n):
            total[j] += a[j]
        k += 1


@compiled
def add_dense(
    weights: Any, start: int, ids: Any, lo: int, hi: int, wide: Any, narrow: Any
) -> int:
    """One row per event; sums of up to `BLOCK` rows are taken in `narrow` first."""
    for first in range(lo, hi, BLOCK):
        narrow[:] = 0
        add_rows(narrow, weights, start, ids, first, min(hi, first + BLOCK))
        for j in range(len(wide)):
            wide[j] += narrow[j]
    return (hi - lo) * len(wide)


@compiled
def add_sparse(
    weights: Any, pointers: Any, targets: Any, row: Any, ids: Any, lo: int, hi: int, wide: Any
) -> int:
    """One list of synapses per event; `row` describes the edge."""
    rows, start = row[INDPTR], row[WEIGHT]
    done = 0
    for k in range(lo, hi):
        first, last = pointers[rows + ids[k]], pointers[rows + ids[k] + 1]
        for p in range(first, last):
            wide[targets[p]] += weights[start + p]
        done += last - first
    return done


@compiled
def add_conv(
    weights: Any, pixels: Any, row: Any, ids: Any, lo: int, hi: int, wide: Any
) -> int:
    """One run of taps per kernel row and event, or one per tap where outputs are apart."""
    channels_in, channels_out, group_out = row[CHANNELS_IN], row[CHANNELS_OUT], row[PER_GROUP_OUT]
    weight_step = row[TAPS_X] * group_out
    row_step, tap_step = row[ROW_STEP] * channels_out, row[PIXEL_STEP] * channels_out
    joined = tap_step == group_out
    done = 0
    for k in range(lo, hi):
        pixel = np.int64(np.uint32(ids[k]) // np.uint32(channels_in))
        channel = np.int64(ids[k]) - pixel * channels_in
        spot = pixels[row[INDPTR] + pixel]
        rows, taps = np.int64(spot[2]), np.int64(spot[3])
        out = np.int64(spot[0]) * channels_out + channel // row[PER_GROUP_IN] * group_out
        tap = channel * row[TAPS_Y] * row[TAPS_X] + np.int64(spot[1])
        first = row[WEIGHT] + tap * group_out
        pieces, length = (1, taps * group_out) if joined else (taps, group_out)
        for _ in range(rows):
            for piece in range(pieces):
                target, source = out + piece * tap_step, first + piece * group_out
                to, values = wide[target : target + length], weights[source : source + length]
                for j in range(len(to)):
                    to[j] += values[j]
            out += row_step
            first += weight_step
        done += rows * taps * group_out
    return done


@compiled
def add_table(flat: Any, row: Any, ids: Any, lo: int, hi: int, wide: Any, narrow: Any) -> int:
    """The events `ids[lo:hi]` through the table of the edge that `row` describes."""
    if row[KIND] == DENSE:
        return add_dense(flat.weights, row[WEIGHT], ids, lo, hi, wide, narrow)
    if row[KIND] == CONV:
        return add_conv(flat.weights, flat.pixels, row, ids, lo, hi, wide)
    return add_sparse(flat.weights, flat.pointers, flat.targets, row, ids, lo, hi, wide)


@compiled
def remapped(
    pointers: Any, targets: Any, first: int, ids: Any, lo: int, hi: int, scratch: Any
) -> int:
    """The events after the event map that begins at `first`; returns how many."""
    m = 0
    for k in range(lo, hi):
        for p in range(pointers[first + ids[k]], pointers[first + ids[k] + 1]):
            scratch[m] = targets[p]
            m += 1
    return m


@compiled
def add_edge(
    flat: Any, row: Any, ids: Any, lo: int, hi: int, wide: Any, narrow: Any, scratch: Any
) -> int:
    """The events `ids[lo:hi]` through one edge: event map, if any, then table."""
    if row[MAP] < 0:
        return add_table(flat, row, ids, lo, hi, wide, narrow)
    done = 0
    for first in range(lo, hi, BLOCK):
        last = min(hi, first + BLOCK)
        m = remapped(flat.pointers, flat.targets, row[MAP], ids, first, last, scratch)
        done += add_table(flat, row, scratch, 0, m, wide, narrow)
    return done
