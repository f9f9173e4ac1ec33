"""What a population's input can reach at most: proofs for accumulator and state widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Projection, Sparse, StepInput
from snnstack.quant.network import QuantizedNetwork


@dataclass(frozen=True)
class Bounds:
    """Per target neuron, the sums of all negative and of all positive input: int64 (float64) [n].

    Whatever the order of the additions, every partial sum lies between the two.
    """

    low: Array
    high: Array

    @property
    def magnitude(self) -> int:
        """The largest absolute value any neuron's input can have."""
        if not len(self.low):
            return 0
        return max(int(-self.low.min()), int(self.high.max()))


Sent = Mapping[str, tuple[int, int]]
"""The least and the largest number that one element of a source sends in a step; spikes: 0, 1."""


def max_counts(inputs: tuple[StepInput, ...]) -> dict[str, tuple[int, int]]:
    """What one element of each input can bring."""
    return {port.name: port.span for port in inputs}


def sent_spans(network: QuantizedNetwork) -> dict[str, tuple[int, int]]:
    """What one element of each input and of each population that sends values can send."""
    payloads = {p.name: (-p.payload, p.payload) for p in network.populations if p.payload}
    return max_counts(network.inputs) | payloads


def input_bounds(projections: tuple[Projection, ...], n: int, sent: Sent) -> Bounds:
    """Bounds over all `projections` into one population of `n` neurons.

    `sent`: of sources that send more than one spike. An element of a pooled map can receive one
    event per window position.
    """
    kind = np.result_type(np.int64, *(p.synapses.weight.dtype for p in projections))
    low, high = np.zeros(n, dtype=kind), np.zeros(n, dtype=kind)
    for projection in projections:
        least, most = sent.get(projection.source, (0, 1))
        if projection.pool is not None:
            window = projection.pool.kernel[0] * projection.pool.kernel[1]
            least, most = least * window, most * window
        negative, positive = _sums(projection, n)
        low += most * negative + least * positive
        high += most * positive + least * negative
    return Bounds(low, high)


def _sums(projection: Projection, n: int) -> tuple[Array, Array]:
    synapses = projection.synapses
    negative, positive = np.minimum(synapses.weight, 0), np.maximum(synapses.weight, 0)
    match synapses:
        case Dense():
            return negative.sum(axis=1), positive.sum(axis=1)
        case Sparse():
            low, high = np.zeros(n, dtype=negative.dtype), np.zeros(n, dtype=positive.dtype)
            np.add.at(low, synapses.target, negative)
            np.add.at(high, synapses.target, positive)
            return low, high
        case Conv():
            repeat = n // synapses.out_shape[0]
            axes = (1, 2, 3)
            return (
                np.repeat(negative.sum(axis=axes), repeat),
                np.repeat(positive.sum(axis=axes), repeat),
            )


def low_pass_bound(magnitude: float, factor: Array, one: int) -> float:
    """The largest value of `s = dec(s) + x` with |x| <= `magnitude`; inf if it can grow forever.

    Rounding down adds at most 1 per step to the magnitude.
    """
    if not len(factor):
        return 0.0
    most = float(factor.max())
    if most >= one:
        return float("inf")
    return (magnitude + 1.0) / (1.0 - most / one)
