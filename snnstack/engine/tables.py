"""Projections as engine tables: memory order of both ends, weights in the engine's layout.

A population or input that a convolution or a pool touches is numbered channel last, every other
one in C order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.engine.order import Index, channel_last, pool_map
from snnstack.engine.plan import ConvTaps, DenseRows, Edge, SparseRows, Table
from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Shape
from snnstack.ir.step import Conv, Dense, Projection, Sparse, size

Shapes = Mapping[str, Shape]
Memory = dict[str, Index | None]


def unrolled(projection: Projection, shapes: Shapes) -> Projection:
    """Itself; a convolution or pool whose channels are no population's first axis: sparse."""
    source, target = shapes[projection.source], shapes[projection.target]
    pool, synapses = projection.pool, projection.synapses
    seen = source if pool is None else pool.out_shape
    plain = pool is None or pool.in_shape[0] == source[0]
    if isinstance(synapses, Conv):
        plain &= synapses.in_shape[0] == seen[0] and synapses.out_shape[0] == target[0]
    if plain:
        return projection
    weights = matrix(synapses, size(target))
    if pool is not None:
        weights = weights @ pool_matrix(pool)
    return replace(projection, synapses=from_matrix(weights), pool=None)


def memory_order(projections: Iterable[Projection], shapes: Shapes) -> Memory:
    """For each name in `shapes`: where its neurons lie; None is C order."""
    touched = set()
    for p in projections:
        if isinstance(p.synapses, Conv):
            touched |= {p.source, p.target}
        if p.pool is not None:
            touched.add(p.source)
    return {name: channel_last(shapes[name]) if name in touched else None for name in shapes}


def edge(projection: Projection, source: int, memory: Memory, dtype: Any) -> Edge:
    """The projection as it reads source number `source`, weights as `dtype`."""
    remap = None if projection.pool is None else pool_map(projection.pool)
    return Edge(source, projection.delay, _table(projection, memory, dtype), remap)


def _table(projection: Projection, memory: Memory, dtype: Any) -> Table:
    """The synapses with both ends in memory order; that of a pooled map is channel last."""
    pool, target = projection.pool, memory[projection.target]
    source = memory[projection.source] if pool is None else channel_last(pool.out_shape)
    match projection.synapses:
        case Conv() as conv:
            return _taps(conv, dtype)
        case Dense(weight=weight):
            rows = np.asarray(weight, dtype=dtype).T
            rows = rows if source is None else rows[np.argsort(source)]
            rows = rows if target is None else rows[:, np.argsort(target)]
            return DenseRows(np.ascontiguousarray(rows))
        case Sparse() as sparse:
            return _rows(sparse, source, target, dtype)


def _rows(sparse: Sparse, source: Index | None, target: Index | None, dtype: Any) -> SparseRows:
    weight = np.asarray(sparse.weight, dtype=dtype)
    if source is None and target is None:
        return SparseRows(sparse.indptr, sparse.target.astype(np.int32, copy=False), weight)
    lengths = np.diff(sparse.indptr)
    rows = np.repeat(np.arange(len(lengths)) if source is None else source, lengths)
    columns = sparse.target if target is None else target[sparse.target]
    order = np.lexsort((columns, rows))
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(lengths)), out=indptr[1:])
    return SparseRows(indptr, columns[order].astype(np.int32), weight[order])


def _taps(conv: Conv, dtype: Any) -> ConvTaps:
    """[C_out, C_in / groups, K_y, K_x] to [C_in, K_y, K_x, C_out / groups]."""
    c_out, group_in, taps_y, taps_x = conv.weight.shape
    group_out = c_out // conv.groups
    split = np.asarray(conv.weight, dtype=dtype).reshape(
        conv.groups, group_out, group_in, taps_y, taps_x
    )
    weight = split.transpose(0, 2, 3, 4, 1).reshape(-1, taps_y, taps_x, group_out)
    return ConvTaps(
        weight,
        conv.in_shape,
        conv.out_shape,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    )
