"""What a set of spikes puts into a population: the plain definition of every projection.

Dense, slow and short, in whatever number type comes in.
"""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse, size


def synaptic_input(projection: Projection, spikes: Array, targets: int) -> Array:
    """[batch, targets] from the spikes (or values) [batch, sources] of one step."""
    if projection.pool is not None:
        spikes = pooled(projection.pool, spikes)
    match projection.synapses:
        case Dense() as dense:
            return np.asarray(spikes @ dense.weight.T)
        case Sparse() as sparse:
            return _sparse(sparse, spikes, targets)
        case Conv() as conv:
            return _convolved(conv, spikes)


def _sparse(sparse: Sparse, spikes: Array, targets: int) -> Array:
    dtype = np.result_type(spikes, sparse.weight)
    source = np.repeat(np.arange(len(sparse.indptr) - 1), np.diff(sparse.indptr))
    out = np.zeros((targets, len(spikes)), dtype=dtype)
    np.add.at(out, sparse.target, spikes.T[source] * sparse.weight[:, None])
    return np.ascontiguousarray(out.T)


def pooled(pool: Pool, spikes: Array) -> Array:
    """Sum over windows: [batch, C * H * W] to [batch, C * H' * W']."""
    _, oh, ow = pool.out_shape
    padded = _padded(spikes, pool.in_shape, pool.padding, pool.kernel)
    out = sum(
        padded[
            :,
            :,
            y : y + oh * pool.stride[0] : pool.stride[0],
            x : x + ow * pool.stride[1] : pool.stride[1],
        ][:, :, :oh, :ow]
        for y in range(pool.kernel[0])
        for x in range(pool.kernel[1])
    )
    return np.asarray(out).reshape(len(spikes), size(pool.out_shape))


def _padded(
    spikes: Array, shape: tuple[int, int, int], before: tuple[int, int], extra: tuple[int, int]
) -> Array:
    image = spikes.reshape(len(spikes), *shape)
    after = (before[0] + extra[0], before[1] + extra[1])
    return np.pad(image, ((0, 0), (0, 0), (before[0], after[0]), (before[1], after[1])))


def _convolved(conv: Conv, spikes: Array) -> Array:
    c_out, c_in, ky, kx = conv.weight.shape
    _, oh, ow = conv.out_shape
    (dy, dx), (sy, sx), per_group = conv.dilation, conv.stride, c_out // conv.groups
    reach = (oh * sy + ky * dy, ow * sx + kx * dx)
    image = _padded(spikes, conv.in_shape, conv.padding, reach)
    dtype = np.result_type(spikes, conv.weight)
    out = np.zeros((len(spikes), c_out, oh, ow), dtype=dtype)
    for g in range(conv.groups):
        channels = image[:, g * c_in : (g + 1) * c_in]
        rows = slice(g * per_group, (g + 1) * per_group)
        for y in range(ky):
            for x in range(kx):
                seen = channels[
                    :, :, y * dy : y * dy + oh * sy : sy, x * dx : x * dx + ow * sx : sx
                ]
                out[:, rows] += np.einsum("oc,bcyx->boyx", conv.weight[rows, :, y, x], seen)
    return out.reshape(len(spikes), size(conv.out_shape))
