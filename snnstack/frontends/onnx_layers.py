"""Layers of an ANN in ONNX that mix neurons: dense, convolution, pooling, and reshapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends import onnx_spatial
from snnstack.frontends.onnx_file import OnnxNode
from snnstack.frontends.onnx_linear import Source, Value, convolution, flattened
from snnstack.frontends.onnx_maps import over_places
from snnstack.frontends.onnx_spatial import sides
from snnstack.frontends.onnx_tensors import ONE, ZERO, Tensors
from snnstack.frontends.windows import even
from snnstack.ir.nodes import Affine, AvgPool2d, Flatten, Shape
from snnstack.ir.shapes import output_shape


def gemm(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """A dense layer: Gemm, or MatMul with a constant from the right."""
    value = c.values[data[0]]
    position = 1 - node.inputs.index(data[0]) if len(node.inputs) > 1 else 1
    weight = c.constant(node, position)
    if node.op == "MatMul":
        if position == 0 or weight.ndim != 2:
            what = (
                f"multiplies by {list(weight.shape)} from the {'left' if not position else 'right'}"
            )
            raise fail(ModelError, node.name, what, "a layer is x W with W [in, out]")
        weight, bias = weight.T, None
    else:
        if node.attributes.get("transA", 0):
            raise fail(ModelError, node.name, "transA is 1", "export x W with transA = 0")
        weight = weight if node.attributes.get("transB", 0) else weight.T
        weight = weight * node.attributes.get("alpha", 1.0)
        bias = c.constant(node, 2)
        bias = None if bias is None else bias * node.attributes.get("beta", 1.0)
    out, wanted = weight.shape
    if len(value.shape) != 1 or value.shape[0] != wanted:
        what = f"takes {wanted} values, but gets the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "flatten before a dense layer")
    bias = np.zeros(out) if bias is None else np.broadcast_to(bias.ravel(), (out,))
    return c.linear(node, value, Affine(weight, bias), (out,), padded=False)


def conv(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """A convolution over one or two axes."""
    value = c.values[data[0]]
    weight, bias = c.constant(node, 1), c.constant(node, 2)
    axes = weight.ndim - 2
    if axes not in (1, 2) or len(value.shape) != axes + 1:
        what = f"a convolution over {axes} axes of the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "one or two axes are supported")
    stride = tuple(node.attributes.get("strides", [1] * axes))
    dilation = tuple(node.attributes.get("dilations", [1] * axes))
    padding, ends = padding_of(node, value.shape[1:], weight, c.pads.get(data[0]))
    if ends is not None:
        weight, padding, dilation = even(weight, padding, ends, dilation)
    bias = np.zeros(len(weight)) if bias is None else bias
    groups = int(node.attributes.get("group", 1))
    made = convolution(weight, bias, value.shape[1:], groups, stride, padding, dilation)
    sizes = (
        _length(n, k, s, p, d)
        for n, k, s, p, d in zip(
            value.shape[1:], weight.shape[2:], stride, _each(padding, axes), dilation, strict=True
        )
    )
    padded = padding == "same" or any(p for p in _each(padding, axes))
    return c.linear(node, value, made, (len(weight), *sizes), padded)


def _each(padding: Any, axes: int) -> tuple[Any, ...]:
    return (padding,) * axes if isinstance(padding, str) else tuple(padding)


def _length(n: int, kernel: int, stride: int, padding: Any, dilation: int) -> int:
    from snnstack.ir.shapes import conv_output

    return conv_output(n, kernel, stride, padding, dilation)


def padding_of(node: OnnxNode, space: Shape, weight: Any, more: Any = None) -> tuple[Any, Any]:
    """(padding of a convolution: "same", or one number per axis; behind the axes, None if alike).

    `more`: what a Pad in front of it adds, (before, after).
    """
    axes = len(space)
    auto = node.attributes.get("auto_pad", "NOTSET")
    ones = [1] * axes
    stride, dilation = (node.attributes.get(key, ones) for key in ("strides", "dilations"))
    if auto == "SAME_UPPER" and more is None and all(s == 1 for s in stride):
        return "same", None
    before, after = more or ((0,) * axes, (0,) * axes)
    whole = tuple(n + b + a for n, b, a in zip(space, before, after, strict=True))
    own = sides(node, whole, weight.shape[2:], stride, dilation)
    first = tuple(a + b for a, b in zip(own[0], before, strict=True))
    last = tuple(a + b for a, b in zip(own[1], after, strict=True))
    return first, None if first == last else last


def pad(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Zeros around a map, taken into the convolutions that read it; else a map of its own."""
    value = c.values[data[0]]
    space = value.shape[1:]
    taken = c.onnx.consumers(node.outputs[0])
    earlier = c.pads.get(data[0])
    matrix, out = onnx_spatial.pad(node, c.constant, space)
    found = (
        None if node.attributes.get("mode", "constant") != "constant" else around(node, c.constant)
    )
    if found is not None and taken and all(n.op == "Conv" for n in taken):
        before, after = earlier or ((0,) * len(space), (0,) * len(space))
        first = tuple(a + b for a, b in zip(found[0], before, strict=True))
        last = tuple(a + b for a, b in zip(found[1], after, strict=True))
        c.pads[node.outputs[0]] = (first, last)
        return value
    return over_places(c, node, value, matrix, out)


def around(node: OnnxNode, constant: Any) -> Any:
    """(before, after) of a Pad with zeros that cuts nothing off, else None."""
    pads = node.attributes.get("pads")
    sizes = [int(n) for n in np.ravel(constant(node, 1) if pads is None else pads)]
    rank = len(sizes) // 2
    if min(sizes) < 0 or (len(node.inputs) > 3 and node.inputs[3]):
        return None
    return tuple(sizes[2:rank]), tuple(sizes[rank + 2 :])


def pool(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """AveragePool and GlobalAveragePool."""
    value = c.values[data[0]]
    space = value.shape[1:]
    if len(space) not in (1, 2):
        what = f"pools the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "pooling over one or two axes is supported")
    window = plain_window(node, space)
    if window is None:
        return over_places(c, node, value, *onnx_spatial.average(node, space))
    kernel, stride, padding = window
    averaged = AvgPool2d(kernel, stride, padding)
    alone = len(value.sources) == 1 and not value.pending
    if not alone or (any(padding) and np.any(value.sources[0].shift != 0.0)):
        value = c.single(value)
    name = c.build.add(node.name, averaged, tuple(s.name for s in value.sources))
    shape = output_shape(averaged, value.shape)
    if len(value.sources) == 1:  # the mean of what is scaled is the scaled mean
        first = value.sources[0]
        return Value(shape, sources=(Source(name, first.scale, first.shift),))
    return Value(shape, sources=(Source(name, ONE, ZERO),))


def plain_window(node: OnnxNode, space: Shape) -> Any:
    """(kernel, stride, padding) of a mean over equal windows of two axes, else None."""
    said = node.attributes
    if node.op != "AveragePool":
        said = {"kernel_shape": space}
    kernel, ones = tuple(said["kernel_shape"]), (1,) * len(space)
    before, after = sides(replace(node, attributes=said), space, kernel, ones, ones)
    uneven = said.get("ceil_mode", 0) or any(d != 1 for d in said.get("dilations", ones))
    if str(said.get("auto_pad", "NOTSET")).startswith("SAME") or len(space) != 2:
        return None
    if uneven or before != after or (any(before) and not said.get("count_include_pad", 0)):
        return None
    return kernel, tuple(said.get("strides", ones)), before


def mean(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """ReduceMean over both image axes: a global pool."""
    axes = node.attributes.get("axes")
    if len(node.inputs) > 1:
        axes = c.constant(node, 1)
    rank = len(c.values[data[0]].shape) + 1
    found = sorted(int(a) % rank for a in np.ravel(axes)) if axes is not None else []
    if rank != 4 or found != [2, 3]:
        raise fail(ModelError, node.name, f"a mean over the axes {found}", "only over the image")
    pooled = pool(c, node, data)
    return pooled if node.attributes.get("keepdims", 1) else flat(c, node, pooled)


def reshape(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Flatten, Reshape and Squeeze, as far as they flatten or change nothing."""
    value = c.values[data[0]]
    if node.op == "Reshape":
        shape = tuple(int(n) for n in c.constant(node, 1))
        total = int(np.prod(value.shape))
        if len(shape) == 2 and shape[1] in (-1, total):
            return flat(c, node, value)
        wanted = tuple(value.shape[k] if n == 0 and k < len(value.shape) else n
                       for k, n in enumerate(shape[1:]))  # fmt: skip
        if wanted == value.shape or (-1 in wanted and len(wanted) == len(value.shape)):
            return value
        return _into(c, node, value, wanted)
    if node.op == "Flatten" and node.attributes.get("axis", 1) != 1:
        raise fail(ModelError, node.name, "flattens the batch as well", "use axis = 1")
    if node.op in ("Squeeze", "Unsqueeze"):
        return _squeezed(c, node, value)
    return flat(c, node, value)


def _squeezed(c: Tensors, node: OnnxNode, value: Value) -> Value:
    """Axes of length 1 less or more."""
    found = c.constant(node, 1) if len(node.inputs) > 1 else node.attributes.get("axes")
    if found is None:
        return flat(c, node, value)
    shape, axes = [1, *value.shape], [int(a) for a in np.ravel(found)]
    if node.op == "Unsqueeze":
        rank = len(shape) + len(axes)
        for axis in sorted(a % rank for a in axes):
            shape.insert(axis, 1)
    else:
        gone = {a % len(shape) for a in axes}
        shape = [n for k, n in enumerate(shape) if k not in gone]
    wanted = tuple(shape[1:])
    return value if wanted == value.shape else _into(c, node, value, wanted)


def _into(c: Tensors, node: OnnxNode, value: Value, wanted: Shape) -> Value:
    """Any other shape of as many elements."""
    total, known = int(np.prod(value.shape)), int(np.prod([n for n in wanted if n != -1]))
    shape = tuple(total // max(known, 1) if n == -1 else n for n in wanted)
    if not shape or int(np.prod(shape)) != total:
        what = f"reshapes {list(value.shape)} to {list(wanted)}"
        raise fail(ModelError, node.name, what, "the batch stays, and all elements")
    if value.pending or len(value.sources) != 1 or not value.sources[0].alike:
        value = c.single(value)
    made = Flatten(value.shape, 0, -1, into=shape)
    name = c.build.add(node.name, made, tuple(s.name for s in value.sources))
    if len(value.sources) == 1:
        return Value(shape, sources=(replace(value.sources[0], name=name),))
    return Value(shape, sources=(Source(name, ONE, ZERO),))


def flat(c: Tensors, node: OnnxNode, value: Value) -> Value:
    """One axis; where there is one already, nothing changes."""
    shape = value.shape
    if len(shape) == 1:
        return value
    value = value if not value.pending and len(value.sources) == 1 else c.single(value)
    flat = (int(np.prod(shape)),)
    name = c.build.add(node.name, Flatten(shape, 0, -1), tuple(s.name for s in value.sources))
    if len(value.sources) == 1:
        spread = flattened(value.sources[0], shape)
        return Value(flat, sources=(Source(name, spread.scale, spread.shift),))
    return Value(flat, sources=(Source(name, ONE, ZERO),))
