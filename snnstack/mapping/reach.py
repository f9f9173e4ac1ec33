"""Which source reaches which block of targets, through how many synapses: all in numpy.

One pass over `pairs` answers everything that placing needs: input axons of a core are its
pairs, copies of a spike are the pairs of its source, synaptic memory follows from the lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse
from snnstack.mapping.blocks import Blocks

CHUNK = 1 << 22
"""Synapses looked at in one go."""


class Pairs(NamedTuple):
    """One list of synapses each: from element `source` to `length` neurons of `block`."""

    source: Array
    block: Array
    length: Array


def pairs(projection: Projection, blocks: Blocks) -> Iterator[Pairs]:
    """All (source, block) pairs that at least one synapse joins, in chunks.

    Sources are those of the population before the pool. A convolution counts every tap,
    whatever its weight; other synapses count where the weight is not zero.
    """
    match projection.synapses:
        case Dense() as dense:
            found = _dense(dense, blocks)
        case Sparse() as sparse:
            found = _sparse(sparse, blocks)
        case Conv() as conv:
            yield from _conv(conv, projection.pool, blocks)
            return
    for part in found:
        yield part if projection.pool is None else _before_pool(projection.pool, part)


def _dense(dense: Dense, blocks: Blocks) -> Iterator[Pairs]:
    targets, sources = dense.weight.shape
    order = blocks.of_neurons()
    rows = max(CHUNK // max(targets, 1), 1)
    for start in range(0, sources, rows):
        used = (dense.weight[:, start : start + rows] != 0).T
        source, target = np.nonzero(used)
        key = source * blocks.count + order[target]
        yield _counted(key, blocks.count, start)


def _sparse(sparse: Sparse, blocks: Blocks) -> Iterator[Pairs]:
    order = blocks.of_neurons()
    sources = len(sparse.indptr) - 1
    start = 0
    while start < sources:
        reach = np.searchsorted(sparse.indptr, sparse.indptr[start] + CHUNK, side="right") - 1
        stop = min(max(int(reach), start + 1), sources)
        part = slice(int(sparse.indptr[start]), int(sparse.indptr[stop]))
        source = np.repeat(np.arange(stop - start), np.diff(sparse.indptr[start : stop + 1]))
        used = sparse.weight[part] != 0
        key = source * blocks.count + order[sparse.target[part]]
        yield _counted(key if used.all() else key[used], blocks.count, start)
        start = stop


def _counted(key: Array, blocks: int, start: int) -> Pairs:
    """Runs of equal keys as pairs; keys need sorting only where blocks are not intervals."""
    if len(key) and np.any(key[1:] < key[:-1]):
        key = np.sort(key)
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else key
    length = np.diff(np.append(first, len(key)))
    return Pairs(key[first] // blocks + start, key[first] % blocks, length)


def _before_pool(pool: Pool, found: Pairs) -> Pairs:
    """Pairs of pooled elements as pairs of all elements in their windows."""
    _, height, width = pool.in_shape
    _, out_height, out_width = pool.out_shape
    rows = _axis(height, out_height, pool.kernel[0], pool.stride[0], pool.padding[0])
    columns = _axis(width, out_width, pool.kernel[1], pool.stride[1], pool.padding[1])
    c, rest = np.divmod(found.source, out_height * out_width)
    oy, ox = np.divmod(rest, out_width)
    parts = []
    for ky in range(pool.kernel[0]):
        for kx in range(pool.kernel[1]):
            y, x = rows[oy, ky], columns[ox, kx]
            inside = (y >= 0) & (x >= 0)
            source = (c * height + y) * width + x
            parts.append(Pairs(*(p[inside] for p in (source, found.block, found.length))))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _axis(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Array:
    """The input position of every output position and tap, -1 outside: [out, kernel]."""
    at = np.arange(out)[:, None] * stride - padding + np.arange(kernel) * dilation
    return np.where((at >= 0) & (at < size), at, -1)


def _conv(conv: Conv, pool: Pool | None, blocks: Blocks) -> Iterator[Pairs]:
    """Rows, columns and channels are independent: lengths are products of three."""
    shape = conv.in_shape if pool is None else pool.in_shape
    by_row = _reached(conv, pool, 0, blocks)
    by_column = _reached(conv, pool, 1, blocks)
    by_channel = _channels(conv, blocks)
    counts = blocks.counts
    source = np.arange(int(np.prod(shape))).reshape(shape)
    for g, r, x in _steps(by_channel, by_row, by_column):
        length = _outer(by_channel[1][:, g], by_row[1][:, r], by_column[1][:, x])
        block = _outer_index(by_channel[0][:, g], by_row[0][:, r], by_column[0][:, x], counts)
        found = length > 0
        yield Pairs(source[found], block[found], length[found])


def _steps(*axes: tuple[Array, Array]) -> Iterator[tuple[int, int, int]]:
    a, b, c = (axis[0].shape[1] for axis in axes)
    return ((i, j, k) for i in range(a) for j in range(b) for k in range(c))


def _outer(a: Array, b: Array, c: Array) -> Array:
    return a[:, None, None] * b[:, None] * c


def _outer_index(a: Array, b: Array, c: Array, counts: tuple[int, ...]) -> Array:
    return (a[:, None, None] * counts[1] + b[:, None]) * counts[2] + c


def _reached(conv: Conv, pool: Pool | None, axis: int, blocks: Blocks) -> tuple[Array, Array]:
    """Per source position the intervals it reaches and how many outputs in each.

    Two arrays [position, k]; unused places have the count 0.
    """
    size, out = conv.in_shape[1 + axis], conv.out_shape[1 + axis]
    taps = conv.weight.shape[2 + axis]
    at = _axis(size, out, taps, conv.stride[axis], conv.padding[axis], conv.dilation[axis])
    interval = np.broadcast_to(blocks.along(1 + axis)[:, None], at.shape)
    position, interval = at[at >= 0], interval[at >= 0]
    table = np.zeros((size, blocks.counts[1 + axis]), dtype=np.int64)
    np.add.at(table, (position, interval), 1)
    if pool is not None:
        windows = _axis(
            pool.in_shape[1 + axis],
            pool.out_shape[1 + axis],
            pool.kernel[axis],
            pool.stride[axis],
            pool.padding[axis],
        )
        spread = np.zeros((pool.in_shape[1 + axis], table.shape[1]), dtype=np.int64)
        for tap in range(windows.shape[1]):
            inside = windows[:, tap] >= 0
            np.add.at(spread, windows[inside, tap], table[inside])
        table = spread
    return _compact(table)


def _channels(conv: Conv, blocks: Blocks) -> tuple[Array, Array]:
    """As `_reached`, for channels: those of a group reach the outputs of that group."""
    c_out, per_group = conv.weight.shape[:2]
    group = np.arange(c_out) // (c_out // conv.groups)
    table = np.zeros((conv.groups, blocks.counts[0]), dtype=np.int64)
    np.add.at(table, (group, blocks.along(0)), 1)
    return _compact(np.repeat(table, per_group, axis=0))


def _compact(table: Array) -> tuple[Array, Array]:
    """The non-zero entries of every row, moved to the left: (column, value) [row, most]."""
    used = table > 0
    most = max(int(used.sum(axis=1).max(initial=0)), 1)
    column = np.argsort(~used, axis=1, kind="stable")[:, :most]
    return column, np.take_along_axis(table, column, axis=1)
