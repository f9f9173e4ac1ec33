"""Memory order: which layers keep their channels last, and the permutations that follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.backends.mcu.program import Order
from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Projection, size
from snnstack.quant.network import QuantizedNetwork


def permutation(shape: Shape, order: Order) -> Array:
    """For each memory position the element's number in C order: int64 [n].

    >>> permutation((2, 1, 3), "hwc").tolist()
    [0, 3, 1, 4, 2, 5]
    """
    numbers = np.arange(size(shape))
    return numbers if order == "c" else numbers.reshape(shape[0], -1).T.ravel()


def plain(network: QuantizedNetwork) -> QuantizedNetwork:
    """Convolutions and pools whose channels are not their populations' first axis, unrolled."""
    shapes = {port.name: port.shape for port in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    projections = tuple(_plain(p, shapes) for p in network.projections)
    return network.with_(projections=projections)


def _plain(projection: Projection, shapes: dict[str, Shape]) -> Projection:
    source, target = shapes[projection.source], shapes[projection.target]
    pool, synapses = projection.pool, projection.synapses
    if pool is not None and pool.in_shape[0] != source[0]:
        weights = matrix(synapses, size(target)) @ pool_matrix(pool)
        return replace(projection, pool=None, synapses=from_matrix(weights.astype(np.int64)))
    if isinstance(synapses, Conv):
        first = source[0] if pool is None else pool.out_shape[0]
        if synapses.in_shape[0] != first or synapses.out_shape[0] != target[0]:
            weights = matrix(synapses, size(target)).astype(np.int64)
            return replace(projection, synapses=from_matrix(weights))
    return projection


def orders(network: QuantizedNetwork) -> dict[str, Order]:
    """Channel last for every population or input that a convolution or a pool touches."""
    found: dict[str, Order] = {port.name: "c" for port in network.inputs}
    found |= {p.name: "c" for p in network.populations}
    for projection in network.projections:
        if isinstance(projection.synapses, Conv):
            found[projection.target] = "hwc"
        if isinstance(projection.synapses, Conv) or projection.pool is not None:
            found[projection.source] = "hwc"
    return found
