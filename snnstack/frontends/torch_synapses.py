"""What projections give for what their sources send, in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse


def applied(projection: Projection, weight: Tensor, sent: Tensor, targets: int) -> Tensor:
    """[batch, targets] from what the source sends [batch, sources]."""
    if projection.pool is not None:
        sent = pooled(projection.pool, sent)
    synapses = projection.synapses
    match synapses:
        case Dense():
            return sent @ weight.T
        case Sparse():
            return _sparse(synapses, weight, sent, targets)
        case Conv():
            return convolved(synapses, weight, sent)


def _sparse(synapses: Sparse, weight: Tensor, sent: Tensor, targets: int) -> Tensor:
    count = len(synapses.indptr) - 1
    rows = torch.as_tensor(np.diff(synapses.indptr))
    source = torch.repeat_interleave(torch.arange(count), rows)
    target = torch.as_tensor(synapses.target.astype(np.int64))
    zeros = torch.zeros(len(sent), targets, dtype=sent.dtype)
    return zeros.index_add(1, target, sent[:, source] * weight)


def _padded(x: Tensor, out: tuple[int, int], kernel: tuple[int, int], conv: Conv | Pool) -> Tensor:
    """Zeros before by the padding, after (or a cut) as the output's shape needs."""
    pads = []
    dilation = conv.dilation if isinstance(conv, Conv) else (1, 1)
    for axis in (1, 0):
        reach = (out[axis] - 1) * conv.stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        before = conv.padding[axis]
        pads += [before, reach - before - x.shape[2 + axis]]
    return functional.pad(x, pads)


def convolved(conv: Conv, weight: Tensor, sent: Tensor) -> Tensor:
    """[batch, C_out * H' * W'] of `conv` with `weight` [C_out, C_in / groups, K_y, K_x]."""
    image = sent.reshape(-1, *conv.in_shape)
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    image = _padded(image, (conv.out_shape[1], conv.out_shape[2]), kernel, conv)
    found = functional.conv2d(
        image, weight, stride=conv.stride, dilation=conv.dilation, groups=conv.groups
    )
    return found.reshape(len(sent), -1)


def pooled(pool: Pool, sent: Tensor) -> Tensor:
    """[batch, C * H' * W']: the sums over the windows of `pool`."""
    image = sent.reshape(-1, *pool.in_shape)
    image = _padded(image, (pool.out_shape[1], pool.out_shape[2]), pool.kernel, pool)
    found = functional.avg_pool2d(image, pool.kernel, pool.stride, divisor_override=1)
    return found.reshape(len(sent), -1)
