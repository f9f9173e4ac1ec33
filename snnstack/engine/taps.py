"""Convolution as scatter: for every input pixel, which taps reach which outputs.

Along one axis an event at position p meets tap k at output (p + padding - k * dilation) /
stride. Taps that share a remainder, taken from the last to the first, meet outputs that lie
`dilation / gcd` apart; with the weights stored in that order, an event adds runs of
consecutive taps, and where the outputs are adjacent a whole kernel row is one run.
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.plan import ConvTaps


class PixelTaps(NamedTuple):
    """A convolution in run order.

    `weight` [C_in, taps_y, taps_x, C_out / groups]. `pixels` int32 [H * W, 4], for each input
    pixel: first output pixel, first tap, taps in y, taps in x. `step`: distance of the outputs
    of two consecutive taps in y and x.
    """

    weight: NDArray[Any]
    pixels: NDArray[np.int32]
    step: tuple[int, int]


class _Axis(NamedTuple):
    order: NDArray[np.int64]
    step: int
    output: NDArray[np.int64]
    slot: NDArray[np.int64]
    taps: NDArray[np.int64]


def pixel_taps(table: ConvTaps) -> PixelTaps:
    """The run-order tables of a convolution."""
    y = _axis(table, 0)
    x = _axis(table, 1)
    width, taps_x = table.out_shape[2], len(x.order)
    pixels = np.stack(
        np.broadcast_arrays(
            y.output[:, None] * width + x.output,
            y.slot[:, None] * taps_x + x.slot,
            y.taps[:, None],
            x.taps[None, :],
        ),
        axis=-1,
    )
    weight = np.ascontiguousarray(table.weight[:, y.order][:, :, x.order])
    return PixelTaps(weight, pixels.reshape(-1, 4).astype(np.int32), (y.step, x.step))


def _axis(table: ConvTaps, axis: int) -> _Axis:
    kernel = int(table.weight.shape[1 + axis])
    stride, dilation = table.stride[axis], table.dilation[axis]
    common = gcd(stride, dilation)
    phases = stride // common
    taps = np.arange(kernel)
    order = np.lexsort((-taps, taps % phases))
    size, out = table.in_shape[1 + axis], table.out_shape[1 + axis]
    output, slot, count = (np.zeros(size, dtype=np.int64) for _ in range(3))
    for position in range(size):
        reached = position + table.padding[axis] - taps[order] * dilation
        inside = (reached % stride == 0) & (reached >= 0) & (reached < out * stride)
        hits = np.flatnonzero(inside)
        if len(hits):
            slot[position], count[position] = hits[0], len(hits)
            output[position] = reached[hits[0]] // stride
    return _Axis(order, dilation // common, output, slot, count)
