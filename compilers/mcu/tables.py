"""Synapse tables: weights of a projection in the memory order of its two ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.backends.mcu.program import (
    ConvTable,
    DenseTable,
    Order,
    Route,
    SparseTable,
    Table,
)
from snnstack.compilers.mcu.order import permutation
from snnstack.ir.matrix import from_matrix, matrix
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Dense, Projection, Sparse, size
from snnstack.quant.numerics import Numerics

SPARSE_BELOW = 0.4
"""A dense layer this empty is smaller and faster as sparse rows."""


def routes(
    projection: Projection, shapes: dict[str, Shape], orders: dict[str, Order], numerics: Numerics
) -> list[Route]:
    """The routes of one projection: one for its ordinary weights, one for those that are wide."""
    synapses, bits, n = projection.synapses, numerics.weight_bits, size(shapes[projection.target])
    weight, wide = synapses.weight, np.abs(synapses.weight) > numerics.weight_max
    if not wide.any():
        return [route(projection, shapes, orders, bits)]
    rest = replace(synapses, weight=np.where(wide, 0, weight))
    if isinstance(rest, Sparse):
        rest = from_matrix(matrix(rest, n))
    apart = from_matrix(matrix(replace(synapses, weight=np.where(wide, weight, 0)), n))
    many = 16 if int(np.abs(weight).max()) < 2**15 else 32
    parts = [(rest, bits)] if rest.weight.any() else []
    return [
        route(replace(projection, synapses=part), shapes, orders, width)
        for part, width in (*parts, (apart, many))
    ]


def route(
    projection: Projection, shapes: dict[str, Shape], orders: dict[str, Order], bits: int
) -> Route:
    """The route of one projection, with weights of `bits`."""
    source, target = projection.source, projection.target
    if projection.pool is None:
        sources = permutation(shapes[source], orders[source])
    else:
        sources = permutation(projection.pool.out_shape, "hwc")
    targets = permutation(shapes[target], orders[target])
    if bits > 8:
        return Route(
            source, projection.delay, _wide(projection, sources, targets, bits), projection.pool
        )
    table = _packed(_table(projection, sources, targets), bits)
    return Route(source, projection.delay, table, projection.pool)


def _wide(projection: Projection, sources: Array, targets: Array, bits: int) -> SparseTable:
    assert isinstance(projection.synapses, Sparse)
    return replace(_sparse(projection.synapses, sources, targets, f"int{bits}"), bits=bits)


def _packed(table: Table, bits: int) -> Table:
    """Said to have weights of `bits`: of 2 where there are only -1 and 1 but synapses miss."""
    return replace(table, bits=2 if bits == 1 and not np.all(table.weight) else bits)


def _table(projection: Projection, sources: Array, targets: Array) -> Table:
    match projection.synapses:
        case Conv() as conv:
            return _conv(conv)
        case Dense() as dense:
            return _dense(dense.weight.T[sources][:, targets])
        case Sparse() as sparse:
            return _sparse(sparse, sources, targets)


def _dense(weight: Array) -> DenseTable | SparseTable:
    """Rows [source, target]; sparse rows where most weights are zero."""
    if np.count_nonzero(weight) >= SPARSE_BELOW * weight.size:
        return DenseTable(weight.astype(np.int8))
    rows, columns = np.nonzero(weight)
    return SparseTable(
        _indptr(rows, len(weight)), columns.astype(np.int32), weight[rows, columns].astype(np.int8)
    )


def _sparse(sparse: Sparse, sources: Array, targets: Array, dtype: str = "int8") -> SparseTable:
    position = np.empty(len(targets), dtype=np.int64)
    position[targets] = np.arange(len(targets))
    memory_row = np.empty(len(sources), dtype=np.int64)
    memory_row[sources] = np.arange(len(sources))
    rows = np.repeat(memory_row, np.diff(sparse.indptr))
    columns = position[sparse.target]
    order = np.lexsort((columns, rows))
    return SparseTable(
        _indptr(rows, len(sources)),
        columns[order].astype(np.int32),
        sparse.weight[order].astype(dtype),
    )


def _indptr(rows: Array, count: int) -> Array:
    indptr = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=indptr[1:])
    return indptr


def _conv(conv: Conv) -> ConvTable:
    """[C_out, C_in / groups, K_y, K_x] to [C_in, K_y, K_x, C_out / groups]."""
    c_out, c_in, ky, kx = conv.weight.shape
    groups = conv.groups
    split = conv.weight.reshape(groups, c_out // groups, c_in, ky, kx)
    weight = split.transpose(0, 2, 3, 4, 1).reshape(groups * c_in, ky, kx, c_out // groups)
    return ConvTable(
        weight=weight.astype(np.int8),
        in_shape=conv.in_shape,
        out_shape=conv.out_shape,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=groups,
    )
