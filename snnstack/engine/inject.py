"""Events into synaptic input: the compiled twins of the tables in `plan`.

Work is proportional to events times fan-out. Every function adds to `wide`, the synaptic input
of one layer in one step, and returns the number of synaptic operations. `values` is None for
events that carry none: a function is then compiled without the multiplication.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.dynamics.compiled import compiled
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
    ROWS,
    TAPS_X,
    TAPS_Y,
    WEIGHT,
)

# Unsigned indices below: they cannot count from the end, which spares compiled code a test per
# element, and lets it work on vectors.


@compiled
def add_run(
    wide: Any, target: Any, weights: Any, source: Any, length: Any, values: Any, k: Any
) -> None:
    """`length` adjacent weights to as many adjacent neurons, for event k."""
    to, at = np.uint64(target), np.uint64(source)
    if values is None:
        for j in range(np.uint64(length)):
            wide[to + j] += weights[at + j]
    else:
        value = values[k]
        for j in range(np.uint64(length)):
            wide[to + j] += value * weights[at + j]


@compiled
def add_rows(total: Any, weights: Any, start: int, ids: Any, lo: int, hi: int) -> None:
    """Add the rows `ids[lo:hi]` of a [source, len(total)] table to `total`, four at a time."""
    n = np.uint64(len(total))
    base = np.uint64(start)
    k = lo
    while k + 4 <= hi:
        a = base + np.uint64(ids[k]) * n
        b = base + np.uint64(ids[k + 1]) * n
        c = base + np.uint64(ids[k + 2]) * n
        d = base + np.uint64(ids[k + 3]) * n
        for j in range(n):
            total[j] += (weights[a + j] + weights[b + j]) + (weights[c + j] + weights[d + j])
        k += 4
    while k < hi:
        add_run(total, 0, weights, base + np.uint64(ids[k]) * n, n, None, k)
        k += 1


@compiled
def add_dense(
    weights: Any, row: Any, ids: Any, values: Any, lo: int, hi: int, wide: Any, narrow: Any
) -> int:
    """One row per event; sums of a few rows are taken in `narrow` first."""
    n = np.uint64(len(wide))
    if values is None:
        for first in range(lo, hi, row[ROWS]):
            narrow[:] = 0
            add_rows(narrow, weights, row[WEIGHT], ids, first, min(hi, first + row[ROWS]))
            for j in range(n):
                wide[j] += narrow[j]
    else:
        for k in range(lo, hi):
            add_run(wide, 0, weights, np.uint64(row[WEIGHT]) + np.uint64(ids[k]) * n, n, values, k)
    return (hi - lo) * len(wide)


@compiled
def add_sparse(flat: Any, row: Any, ids: Any, values: Any, lo: int, hi: int, wide: Any) -> int:
    """One list of synapses per event; `row` describes the edge."""
    weights, pointers, targets = flat.weights, flat.pointers, flat.targets
    rows, start = row[INDPTR], row[WEIGHT]
    done = 0
    for k in range(lo, hi):
        first, last = pointers[rows + ids[k]], pointers[rows + ids[k] + 1]
        if values is None:
            for p in range(first, last):
                wide[np.uint64(targets[p])] += weights[np.uint64(start + p)]
        else:
            value = values[k]
            for p in range(first, last):
                wide[np.uint64(targets[p])] += value * weights[np.uint64(start + p)]
        done += last - first
    return done


@compiled
def add_conv(flat: Any, row: Any, ids: Any, values: Any, lo: int, hi: int, wide: Any) -> int:
    """One run of taps per kernel row and event, or one per tap where outputs are apart."""
    weights, pixels = flat.weights, flat.pixels
    channels_in, channels_out = np.uint32(row[CHANNELS_IN]), row[CHANNELS_OUT]
    group_in, group_out = np.uint32(row[PER_GROUP_IN]), row[PER_GROUP_OUT]
    weight, pixel_row, taps_x = row[WEIGHT], row[INDPTR], row[TAPS_X]
    taps_all, weight_step = row[TAPS_Y] * taps_x, taps_x * group_out
    row_step, tap_step = row[ROW_STEP] * channels_out, row[PIXEL_STEP] * channels_out
    joined, split = tap_step == group_out, group_in < channels_in
    done = 0
    for k in range(lo, hi):
        pixel = np.uint32(np.uint32(ids[k]) // channels_in)
        channel = np.uint32(np.uint32(ids[k]) - np.uint32(pixel * channels_in))
        at = pixel_row + np.int64(pixel)
        rows, taps = np.int64(pixels[at, 2]), np.int64(pixels[at, 3])
        out = np.int64(pixels[at, 0]) * channels_out
        if split:
            out += np.int64(np.uint32(channel // group_in)) * group_out
        first = weight + (np.int64(channel) * taps_all + np.int64(pixels[at, 1])) * group_out
        for _ in range(rows):
            if joined:
                add_run(wide, out, weights, first, taps * group_out, values, k)
            else:
                for tap in range(taps):
                    target, source = out + tap * tap_step, first + tap * group_out
                    add_run(wide, target, weights, source, group_out, values, k)
            out += row_step
            first += weight_step
        done += rows * taps * group_out
    return done


@compiled
def add_table(
    flat: Any, row: Any, ids: Any, values: Any, lo: int, hi: int, wide: Any, narrow: Any
) -> int:
    """The events `ids[lo:hi]` through the table of the edge that `row` describes."""
    if row[KIND] == DENSE:
        return add_dense(flat.weights, row, ids, values, lo, hi, wide, narrow)
    if row[KIND] == CONV:
        return add_conv(flat, row, ids, values, lo, hi, wide)
    return add_sparse(flat, row, ids, values, lo, hi, wide)


@compiled
def remapped(
    flat: Any, first: int, ids: Any, values: Any, lo: int, hi: int, new_ids: Any, new_values: Any
) -> int:
    """The events after the event map that begins at `first`; returns how many."""
    pointers, targets = flat.pointers, flat.targets
    m = 0
    for k in range(lo, hi):
        for p in range(pointers[first + ids[k]], pointers[first + ids[k] + 1]):
            new_ids[m] = targets[p]
            if values is not None:
                new_values[m] = values[k]
            m += 1
    return m


@compiled
def add_edge(
    flat: Any,
    row: Any,
    ids: Any,
    values: Any,
    lo: int,
    hi: int,
    wide: Any,
    narrow: Any,
    new_ids: Any,
    new_values: Any,
) -> int:
    """The events `ids[lo:hi]` through one edge: event map, if any, then table.

    `new_ids` and `new_values` (None without values) have room for what becomes of `BLOCK` events.
    """
    if row[MAP] < 0:
        return add_table(flat, row, ids, values, lo, hi, wide, narrow)
    done = 0
    for first in range(lo, hi, BLOCK):
        last = min(hi, first + BLOCK)
        m = remapped(flat, row[MAP], ids, values, first, last, new_ids, new_values)
        done += add_table(flat, row, new_ids, new_values, 0, m, wide, narrow)
    return done
