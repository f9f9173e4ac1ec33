"""Synapses and pools as sparse matrices, and back: the general form any of them can take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size

if TYPE_CHECKING:
    import scipy.sparse as sp


def _coo(rows: list[Array], columns: list[Array], data: list[Array], shape: tuple[int, int]) -> Any:
    import scipy.sparse as sp

    if not rows:
        return sp.csr_matrix(shape)
    triple = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
    return sp.coo_matrix(triple, shape=shape).tocsr()


def _taps(out: int, size_in: int, stride: int, start: int) -> tuple[Array, Array]:
    """(output, input) positions along one axis for one kernel tap that begins at `start`."""
    outputs = np.arange(out)
    inputs = outputs * stride + start
    inside = (inputs >= 0) & (inputs < size_in)
    return outputs[inside], inputs[inside]


def conv_matrix(conv: Conv) -> sp.csr_matrix:
    """[targets, sources] of a convolution."""
    c_out, c_in, ky, kx = conv.weight.shape
    per_group = c_out // conv.groups
    (_, h, w), (_, oh, ow) = conv.in_shape, conv.out_shape
    rows, columns, data = [], [], []
    for y in range(ky):
        oy, iy = _taps(oh, h, conv.stride[0], y * conv.dilation[0] - conv.padding[0])
        for x in range(kx):
            ox, ix = _taps(ow, w, conv.stride[1], x * conv.dilation[1] - conv.padding[1])
            target = (oy[:, None] * ow + ox).ravel()
            source = (iy[:, None] * w + ix).ravel()
            for o in range(c_out):
                first = (o // per_group) * c_in
                for i in range(c_in):
                    rows.append(o * oh * ow + target)
                    columns.append((first + i) * h * w + source)
                    data.append(np.full(len(target), conv.weight[o, i, y, x]))
    return _coo(rows, columns, data, (size(conv.out_shape), size(conv.in_shape)))


def pool_matrix(pool: Pool) -> sp.csr_matrix:
    """[pooled, sources] of a sum pool, entries 1."""
    (c, h, w), (_, oh, ow) = pool.in_shape, pool.out_shape
    rows, columns, data = [], [], []
    for y in range(pool.kernel[0]):
        oy, iy = _taps(oh, h, pool.stride[0], y - pool.padding[0])
        for x in range(pool.kernel[1]):
            ox, ix = _taps(ow, w, pool.stride[1], x - pool.padding[1])
            for channel in range(c):
                rows.append((channel * oh * ow + oy[:, None] * ow + ox).ravel())
                columns.append((channel * h * w + iy[:, None] * w + ix).ravel())
                data.append(np.ones(len(oy) * len(ox)))
    return _coo(rows, columns, data, (size(pool.out_shape), size(pool.in_shape)))


def matrix(synapses: Synapses, targets: int) -> sp.csr_matrix:
    """Any synapses as [targets, sources]."""
    import scipy.sparse as sp

    match synapses:
        case Dense():
            return sp.csr_matrix(synapses.weight)
        case Conv():
            return conv_matrix(synapses)
        case Sparse():
            triple = (synapses.weight, synapses.target, synapses.indptr)
            return sp.csc_matrix(triple, shape=(targets, len(synapses.indptr) - 1)).tocsr()


def from_matrix(weights: Any) -> Sparse:
    """A [targets, sources] sparse matrix as `Sparse`; explicit zeros are dropped."""
    columns = weights.tocsc(copy=True)
    columns.sum_duplicates()
    columns.eliminate_zeros()
    columns.sort_indices()
    return Sparse(columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data)


def diagonal(values: Array) -> Sparse:
    """One-to-one synapses with these weights (zeros kept: one synapse each)."""
    n = len(values)
    return Sparse(np.arange(n + 1, dtype=np.int64), np.arange(n, dtype=np.int32), values)


def scale_targets(synapses: Synapses, factor: Array, strict: bool = True) -> Synapses | None:
    """Synapses with every weight multiplied by the factor [targets] of its target.

    A convolution keeps its form when the factor is one per output channel; otherwise it
    becomes `Sparse` (`strict`), or None is returned.
    """
    match synapses:
        case Dense():
            return Dense(synapses.weight * factor[:, None])
        case Sparse():
            return replace(synapses, weight=synapses.weight * factor[synapses.target])
        case Conv():
            channels = factor.reshape(synapses.out_shape[0], -1)
            if np.all(channels == channels[:, :1]):
                weight = synapses.weight * channels[:, 0, None, None, None]
                return replace(synapses, weight=weight)
            return (
                from_matrix(_mask_scale(matrix(synapses, len(factor)), factor)) if strict else None
            )


def _mask_scale(weights: Any, factor: Array) -> Any:
    import scipy.sparse as sp

    return sp.diags(factor) @ weights
