"""Layers of an ANN in ONNX that move or mix the places of a map, and those that join maps."""

from __future__ import annotations

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends import onnx_spatial, spatial
from snnstack.frontends.onnx_file import OnnxNode
from snnstack.frontends.onnx_linear import Pending, Source, Value, convolution, folded_into
from snnstack.frontends.onnx_tensors import ONE, ZERO, Tensors
from snnstack.ir.nodes import Affine, Array, Flatten, Leaf, Linear, Shape
from snnstack.ir.shapes import output_shape


def over_places(c: Tensors, node: OnnxNode, value: Value, matrix: Array, out: Shape) -> Value:
    """A matrix over the places of a map, the same for every channel."""
    value = _unshifted(c, value)
    names = tuple(s.name for s in value.sources)
    for suffix, made in spatial.nodes(matrix, out):
        names = (c.build.add(f"{node.name}{suffix}", made, names),)
    return _behind(value, names[0], (value.shape[0], *out))


def _unshifted(c: Tensors, value: Value) -> Value:
    """The value as sources: one that is only scaled, or plain ones."""
    alone = len(value.sources) == 1 and not value.pending
    return value if alone and not np.any(value.sources[0].shift) else c.single(value)


def _behind(value: Value, name: str, shape: Shape) -> Value:
    scale = value.sources[0].scale if len(value.sources) == 1 else ONE
    return Value(shape, sources=(Source(name, scale, ZERO),))


def moved(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """DepthToSpace, SpaceToDepth, and a Transpose that changes the order of elements."""
    value = c.values[data[0]]
    order = onnx_spatial.order(node, value.shape)
    spatial.check_size(order.size, order.size)
    value = _unshifted(c, value)
    if len(value.sources) == 1 and value.sources[0].scale.size > 1:
        value = c.single(value)
    names = tuple(s.name for s in value.sources)
    weight = np.eye(order.size)[order.ravel()]
    parts: tuple[Leaf, ...] = (
        Flatten(None, 0, -1),
        Linear(weight),
        Flatten(None, 0, -1, into=order.shape),
    )
    for suffix, made in zip(("_flat", "", "_map"), parts, strict=True):
        names = (c.build.add(f"{node.name}{suffix}", made, names),)
    return _behind(value, names[0], order.shape)


def resize(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Resize and Upsample of a map."""
    value = c.values[data[0]]
    matrix, out = onnx_spatial.resize(node, c.constant, value.shape[1:])
    return over_places(c, node, value, matrix, out)


def transposed(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """A transposed convolution: places set apart, then a convolution of stride 1."""
    value, weight = c.values[data[0]], c.constant(node, 1)
    axes = weight.ndim - 2
    if axes not in (1, 2) or len(value.shape) != axes + 1:
        what = f"a transposed convolution over {axes} axes of the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "one or two axes are supported")
    bias = c.constant(node, 2)
    groups = int(node.attributes.get("group", 1))
    matrix, space, kernel, padding, dilation = onnx_spatial.transposed(
        node, weight, value.shape[1:]
    )
    if matrix.size:
        value = over_places(c, node, value, matrix, space)
    bias = np.zeros(len(kernel)) if bias is None else bias
    made = convolution(kernel, bias, space, groups, (1,) * axes, padding, dilation)
    return c.linear(node, value, made, output_shape(made, value.shape), any(padding))


def concat(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Maps or vectors laid behind each other along their first axis: a sum of parts placed."""
    values = [c.values[name] for name in data]
    rank = len(values[0].shape)
    if len(data) != len(node.inputs) or int(node.attributes.get("axis", 1)) % (rank + 1) != 1:
        what = f"joins along axis {node.attributes.get('axis')} of {list(values[0].shape)}"
        raise fail(ModelError, node.name, what, "join computed maps along their channels")
    if len({v.shape[1:] for v in values}) > 1:
        what = f"joins the shapes {', '.join(str(list(v.shape)) for v in values)}"
        raise fail(ModelError, node.name, what, "maps of one size")
    total, start, parts = sum(v.shape[0] for v in values), 0, []
    for value in values:
        weight = np.eye(total)[:, start : start + value.shape[0]]
        start += value.shape[0]
        parts += _part(c, node, value, weight)
    return Value((total, *values[0].shape[1:]), tuple(parts))


def _part(c: Tensors, node: OnnxNode, value: Value, weight: Array) -> list[Pending]:
    """One part where it belongs among the channels."""
    zeros = np.zeros(len(weight))
    spread = weight.reshape(*weight.shape, *(1,) * (len(value.shape) - 1))
    made = (
        Affine(weight, zeros)
        if len(value.shape) == 1
        else convolution(spread, zeros, value.shape[1:])
    )
    if value.pending or len(value.sources) > 1:
        return [Pending(node.name, made, c.build.placed(value))]
    source = value.sources[0]
    return [Pending(node.name, folded_into(source, made), (source.name,))]
