"""Small questions about nodes, names and shapes that building a graph asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.frontends.torch_layers import LARGEST, dense
from snnstack.frontends.torch_values import Value
from snnstack.ir.graph import Edge
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import Array, AvgPool2d, Conv1d, Conv2d, Leaf, Scale, Shape, SumPool2d
from snnstack.ir.step import size
from snnstack.passes.compose import LinearMap, extend, finished


def free(name: str, taken: set[str]) -> str:
    """`name`, or with underscores behind it until nothing else is called so."""
    while name in taken:
        name += "_"
    return name


def plain(order: Any) -> bool:
    """Whether elements stand in the order of the input."""
    return bool(np.array_equal(order, np.arange(len(order))))


def spread(node: Leaf, shape: Shape) -> Leaf:
    """A scale with one factor for every neuron."""
    if isinstance(node, Scale):
        return Scale(np.array(np.broadcast_to(node.scale, shape)))
    return node


def neuron_shape(node: Any) -> Shape:
    """Shape of a neuron node."""
    shape: Shape = node.r.shape
    return shape


def flattened(node: Any) -> Leaf:
    """A neuron node of one axis."""
    arrays = {n: v.ravel() for n, v in vars(node).items() if isinstance(v, np.ndarray)}
    flat: Leaf = replace(node, **arrays)
    return flat


def is_map(value: Value) -> bool:
    """Whether a value has the axes of an image or a sequence, channel first."""
    if value.op in ("x", "max", "space"):
        return True
    if value.op in ("gate", "at"):
        return is_map(value.args[0])
    if value.op in ("affine", "sum") or (
        value.op == "node" and value.key[0] in ("scale", "add", "not")
    ):
        return is_map(value.args[0])
    if value.op == "node":
        made = value.data(value.args[0].shape)
        return any(isinstance(n, (Conv1d, Conv2d, AvgPool2d, SumPool2d)) for _, n in made)
    return False


def inputs(value: Value) -> Iterator[Value]:
    """Every use of the input in an expression."""
    if value.op == "x":
        yield value
    for inner in value.args:
        yield from inputs(inner)


def tidy(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """Delays are said only where one is not 0: a feed-forward network needs none."""
    if any(edge.delay for edge in edges):
        return edges
    return tuple(Edge(edge.source, edge.target) for edge in edges)


def is_flat(name: str, calls: Mapping[str, list[Value]], seen: frozenset[str]) -> bool:
    """Whether a neuron with several axes has one axis in the graph.

    It has if what enters it is no map, or a map that was made of something flat.
    """
    value = calls[name][-1]
    return name not in seen and (not is_map(value) or _was_flat(value, calls, seen | {name}))


def _was_flat(value: Value, calls: Mapping[str, list[Value]], seen: frozenset[str]) -> bool:
    if value.op == "spikes":
        return len(value.shape) > 1 and is_flat(value.key[0], calls, seen)
    before = value.args[0] if value.args else None
    if value.op == "reshape" and before is not None and before.op != "x":
        return len(value.shape) > 1
    return any(_was_flat(inner, calls, seen) for inner in value.args)


def unrolled(node: Leaf, shape: Shape) -> Leaf | None:
    """A convolution or pool of a flat population seen as `shape`: a full matrix, or None."""
    if not isinstance(node, (Conv1d, Conv2d, SumPool2d, AvgPool2d)):
        return None
    factor = 1.0
    if isinstance(node, AvgPool2d):
        factor = 1.0 / (node.kernel_size[0] * node.kernel_size[1])
        node = SumPool2d(node.kernel_size, node.stride, node.padding)
    (made,) = extend(LinearMap(shape, shape), node, None)
    if size(made.shape) * size(shape) > LARGEST:
        return None
    pool, synapses = finished(made)
    weight = matrix(synapses, size(made.shape))
    weight = weight if pool is None else weight @ pool_matrix(pool)
    bias = None
    if isinstance(node, (Conv1d, Conv2d)) and node.bias.any():
        bias = np.repeat(node.bias, size(made.shape) // len(node.bias))
    return dense(np.asarray(weight.toarray()) * factor, bias)


def stacked(value: Value) -> list[Array] | None:
    """[channel, channel of the part] for each part that a "gather" takes whole channels of.

    1 where a channel is that of the part; None where single elements are moved.
    """
    shapes = [part.shape for part in value.args]
    if len(value.shape) < 2 or any(shape[1:] != value.shape[1:] for shape in shapes):
        return None
    return whole_channels(value.data, shapes, value.shape)


def whole_channels(order: Array, shapes: list[Shape], shape: Shape) -> list[Array] | None:
    """`stacked` of an order of elements of maps of `shapes`, laid end to end."""
    rows = np.asarray(order).reshape(shape[0], -1)
    first, each = rows[:, 0] // rows.shape[1], rows.shape[1]
    if not np.array_equal(rows, first[:, None] * each + np.arange(each)):
        return None
    starts = np.cumsum([0, *(one[0] for one in shapes)])
    return [
        (first[:, None] == np.arange(start, start + one[0])).astype(np.float64)
        for start, one in zip(starts, shapes, strict=False)
    ]
