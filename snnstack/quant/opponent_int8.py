"""The opponent in int8: what its kernels compute, and how real weights become theirs.

    input   min(count >> right, 127)
    pool    (sum over the window * round(65536 / size) + 32768) >> 16
    layer   clip((sum of w x + bias + half) >> shift, 0 or -128, 127)        half = 2**shift / 2

Weights and activations int8, sums and biases int32. A ReLU is the lower limit 0; the last layer
has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.quant.opponent import Layer, Opponent, with_arrays

LARGEST = 127
SCALES = 9
"""Weight scales that are tried between half and all of the int8 range."""
Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Int8Opponent:
    """`net` with integer weights and biases; `shifts`: one for each of its layers.

    `right`: bits by which counts of events are shifted to fit int8.
    """

    net: Opponent
    shifts: tuple[int, ...]
    right: int

    def given(self, frames: Numbers) -> NDArray[np.int8]:
        """Frames as the network reads them: int8 [sample, input]."""
        return np.asarray(np.minimum(frames >> self.right, LARGEST), dtype=np.int8)

    def run(self, given: NDArray[np.int8]) -> NDArray[np.int64]:
        """int8 outputs [sample, n] of the last layer, exactly."""
        values: Numbers = given.astype(np.float64)
        for k, layer in enumerate(self.net.layers):
            last = layer is self.net.layers[-1]
            values = narrowed(sums(layer, _pooled_int(layer, values)), self.shifts[k], last)
        return values.astype(np.int64)

    def classes(self, frames: Numbers) -> NDArray[np.int64]:
        """[sample]: the largest output, the first of equals."""
        return np.asarray(self.run(self.given(frames)).argmax(axis=1), dtype=np.int64)


def right_shift(largest: int) -> int:
    """Bits that counts up to `largest` must lose to fit int8.

    >>> [right_shift(n) for n in (1, 127, 128, 300)]
    [0, 0, 1, 2]
    """
    return max(0, int(largest).bit_length() - 7)


def scaled(frames: Numbers, largest: int) -> NDArray[np.float64]:
    """Frames as the real network reads them: 0..1, with the steps that int8 leaves."""
    right = right_shift(largest)
    top = max(1, min(largest >> right, LARGEST))
    return np.asarray(np.minimum(frames >> right, LARGEST) / top, dtype=np.float64)


def run_real(net: Opponent, values: Numbers) -> NDArray[np.float64]:
    """Outputs of the real network for `scaled` frames."""
    for layer in net.layers:
        values = sums(layer, _pooled(layer, values))
        values = values if layer is net.layers[-1] else np.maximum(values, 0)
    return np.asarray(values, dtype=np.float64)


def quantise_opponent(net: Opponent, frames: Numbers, largest: int) -> Int8Opponent:
    """Layer by layer the scale and shift with the least squared error on `frames`.

    `largest`: the largest count that the frames of the training had.
    """
    right = right_shift(largest)
    scale = float(max(1, min(largest >> right, LARGEST)))
    real: Numbers = scaled(frames, largest)
    whole: Numbers = np.minimum(frames >> right, LARGEST).astype(np.float64)
    arrays, shifts = [], []
    for layer in net.layers:
        last = layer is net.layers[-1]
        real = sums(layer, _pooled(layer, real))
        real = real if last else np.maximum(real, 0)
        whole = _pooled_int(layer, whole)
        found = _best(layer, whole, real, scale, last)
        arrays.append((found.weight, found.bias))
        shifts.append(found.shift)
        whole, scale = found.values, found.scale
    return Int8Opponent(with_arrays(net, arrays), tuple(shifts), right)


@dataclass(frozen=True, eq=False)
class _Try:
    weight: Numbers
    bias: Numbers
    shift: int
    values: Numbers
    scale: float
    error: float


def _best(layer: Layer, whole: Numbers, real: Numbers, scale: float, last: bool) -> _Try:
    """Of all scales of the weights, and the two shifts that fill the range best."""
    top = float(np.abs(layer.synapses.weight).max(initial=0.0)) or 1.0
    tries = []
    for part in np.linspace(0.5, 1.0, SCALES):
        by = LARGEST / top * part
        weight = np.rint(layer.synapses.weight * by)
        bias = np.rint(layer.bias * by * scale)
        made = replace(layer, synapses=replace(layer.synapses, weight=weight), bias=bias)
        total = sums(made, whole)
        enough = right_shift(int(np.abs(total).max(initial=0.0)))
        for shift in {enough, max(0, enough - 1)}:
            values = narrowed(total, shift, last)
            out = by * scale / 2.0**shift
            error = float(np.mean((values / out - real) ** 2))
            kinds = (weight.astype(np.int8), bias.astype(np.int32))
            tries.append(_Try(*kinds, shift, values, out, error))
    return min(tries, key=lambda one: one.error)


def narrowed(total: Numbers, shift: int, last: bool) -> Numbers:
    """Sums as int8 values, as the kernels do it."""
    shifted = np.floor((total + (1 << shift >> 1)) / 2.0**shift)
    return np.clip(shifted, -128 if last else 0, LARGEST)


def sums(layer: Layer, values: Numbers) -> Numbers:
    """Weighted sums and bias of a layer: [sample, n]. Exact for integers below 2**53."""
    bias = np.repeat(layer.bias, layer.n // len(layer.bias))
    return np.asarray((layer.matrix @ values.T).T + bias)


def _pooled(layer: Layer, values: Numbers) -> Numbers:
    return _mean(layer, values, lambda total, size: total / size)


def _pooled_int(layer: Layer, values: Numbers) -> Numbers:
    return _mean(layer, values, _divided)


def _mean(layer: Layer, values: Numbers, divide: Callable[[Numbers, int], Numbers]) -> Numbers:
    if layer.pool is None:
        return values
    total = np.asarray((layer.pooling @ values.T).T)
    return divide(total, layer.pool.kernel[0] * layer.pool.kernel[1])


def _divided(total: Numbers, size: int) -> Numbers:
    return np.floor((total * reciprocal(size) + 32768) / 65536)


def reciprocal(size: int) -> int:
    """65536 divided by the number of elements of a pooling window."""
    return round(65536 / size)
