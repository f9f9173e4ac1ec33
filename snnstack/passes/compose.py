"""Compose stateless nodes along a path into one `LinearMap`: a pool, then synapses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.ir.matrix import diagonal, from_matrix, matrix, pool_matrix, scale_targets
from snnstack.ir.nodes import (
    Affine,
    Array,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Scale,
    Shape,
    SumPool2d,
)
from snnstack.ir.shapes import conv_output, conv_padding, output_shape
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size

DENSE_FROM = 0.5
"""A product of synapses at least this full is stored as `Dense`."""


@dataclass(frozen=True)
class LinearMap:
    """`pool`, then `synapses` (None: identity), from `source_shape` to `shape`, `delay` later."""

    source_shape: Shape
    shape: Shape
    pool: Pool | None = None
    synapses: Synapses | None = None
    delay: int = 0


def finished(path: LinearMap) -> tuple[Pool | None, Synapses]:
    """The pool and synapses of a map; an identity becomes one-to-one synapses of weight 1."""
    synapses = path.synapses
    if synapses is None:
        synapses = diagonal(np.ones(size(path.shape)))
    return path.pool, synapses


def extend(path: LinearMap, node: Any, steps: Any) -> list[LinearMap]:
    """`path` followed by a stateless `node`; several maps where its delays differ.

    `steps(seconds)` turns a Delay node's array into integer steps.
    """
    match node:
        case Flatten():
            return [replace(path, shape=output_shape(node, path.shape))]
        case SumPool2d():
            return [_pool(path, node)]
        case Scale():
            shape = np.broadcast_shapes(path.shape, node.scale.shape)
            values = np.broadcast_to(node.scale, shape).ravel().astype(np.float64)
            return [_then(path, diagonal(values), shape)]
        case Delay():
            return _delayed(path, steps(np.broadcast_to(node.delay, path.shape).ravel()))
        case Conv1d():
            flat = _then(path, *_conv((path.shape[0], 1, path.shape[1]), _as_2d(node)))
            return [replace(flat, shape=(flat.shape[0], flat.shape[2]))]
        case Conv2d():
            return [_then(path, *_conv(path.shape, node))]
        case Linear() | Affine():
            return _linear(path, node)
    raise TypeError(f"not a stateless node: {type(node).__name__}")


def _pool(path: LinearMap, node: SumPool2d) -> LinearMap:
    c, h, w = path.shape
    kernel, stride, padding = node.kernel_size, node.stride, node.padding
    out = tuple(
        (length + 2 * pad - k) // step + 1
        for length, pad, k, step in zip((h, w), padding, kernel, stride, strict=True)
    )
    pool = Pool((c, h, w), (c, out[0], out[1]), kernel, stride, padding)
    if path.pool is None and path.synapses is None:
        return replace(path, pool=pool, shape=pool.out_shape)
    return _then(path, from_matrix(pool_matrix(pool)), pool.out_shape)


def _delayed(path: LinearMap, delays: Array) -> list[LinearMap]:
    values = np.unique(delays)
    if len(values) == 1:
        return [replace(path, delay=path.delay + int(values[0]))]
    return [
        replace(
            _then(path, from_matrix(_mask(delays == value)), path.shape),
            delay=path.delay + int(value),
        )
        for value in values
    ]


def _mask(keep: Array) -> Any:
    import scipy.sparse as sp

    return sp.diags(keep.astype(np.float64))


def _as_2d(node: Conv1d) -> Conv2d:
    return Conv2d(
        input_shape=None,
        weight=node.weight[:, :, None, :],
        stride=(1, node.stride),
        padding=node.padding if isinstance(node.padding, str) else (0, node.padding),
        dilation=(1, node.dilation),
        groups=node.groups,
        bias=node.bias,
    )


def _conv(shape: Shape, node: Conv2d) -> tuple[Conv, Shape]:
    """The convolution of an input of `shape` [C, H, W], and its output shape."""
    out, before = [], []
    for axis in (0, 1):
        padding = node.padding if isinstance(node.padding, str) else node.padding[axis]
        kernel, dilation = int(node.weight.shape[2 + axis]), node.dilation[axis]
        before.append(conv_padding(padding, kernel, dilation)[0])
        out.append(conv_output(shape[1 + axis], kernel, node.stride[axis], padding, dilation))
    out_shape = (int(node.weight.shape[0]), out[0], out[1])
    conv = Conv(
        weight=node.weight.astype(np.float64),
        in_shape=(shape[0], shape[1], shape[2]),
        out_shape=out_shape,
        stride=node.stride,
        padding=(before[0], before[1]),
        dilation=node.dilation,
        groups=node.groups,
    )
    return conv, out_shape


def _linear(path: LinearMap, node: Linear | Affine) -> list[LinearMap]:
    weight = node.weight.astype(np.float64)
    shape = (*path.shape[:-1], weight.shape[-2])
    if node.delay is None:
        return [_then(path, _on_last_axis(weight, path.shape), shape)]
    parts = []
    for delay in np.unique(node.delay):
        part = _on_last_axis(np.where(node.delay == delay, weight, 0.0), path.shape)
        synapses = from_matrix(matrix(part, size(shape)))
        parts.append(replace(_then(path, synapses, shape), delay=path.delay + int(delay)))
    return parts


def _on_last_axis(weight: Array, shape: Shape) -> Synapses:
    """`weight` [..., out, in] on the last axis of `shape`: one block for each leading element."""
    import scipy.sparse as sp

    if len(shape) == 1 and weight.ndim == 2:
        return Dense(weight)
    blocks = np.broadcast_to(weight, (*shape[:-1], *weight.shape[-2:]))
    return from_matrix(sp.block_diag(blocks.reshape(-1, *weight.shape[-2:]), format="csr"))


def _then(path: LinearMap, after: Synapses, shape: Shape) -> LinearMap:
    """`path` followed by `after`; both become one set of synapses."""
    if path.synapses is None:
        return replace(path, synapses=after, shape=shape)
    before = path.synapses
    merged = _scaled(before, after, size(path.shape), size(shape))
    if merged is None:
        product = matrix(after, size(shape)) @ matrix(before, size(path.shape))
        full = product.nnz >= DENSE_FROM * product.shape[0] * product.shape[1]
        merged = Dense(product.toarray()) if full else from_matrix(product)
    return replace(path, synapses=merged, shape=shape)


def _scaled(before: Synapses, after: Synapses, middle: int, targets: int) -> Synapses | None:
    """The product where one factor only scales and the other keeps its form, else None."""
    if isinstance(after, Sparse) and targets == middle and _is_diagonal(after, middle):
        return scale_targets(before, after.weight, strict=False)
    if isinstance(before, Sparse) and _is_diagonal(before, middle):
        if isinstance(after, Dense):
            return Dense(after.weight * before.weight)
        if isinstance(after, Conv) and np.all(before.weight == before.weight[0]):
            return replace(after, weight=after.weight * before.weight[0])
    return None


def _is_diagonal(synapses: Sparse, n: int) -> bool:
    """Whether synapses to `n` targets are one-to-one."""
    return len(synapses.weight) == n == len(synapses.indptr) - 1 and np.array_equal(
        synapses.target, np.arange(n)
    )
