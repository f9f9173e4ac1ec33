"""Layers of an ANN in ONNX that mix neurons: dense, convolution, pooling, and reshapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_file import OnnxNode
from snnstack.frontends.onnx_linear import Source, Value, convolution, flattened
from snnstack.frontends.onnx_tensors import ONE, ZERO, Tensors
from snnstack.frontends.windows import even
from snnstack.ir.nodes import Affine, AvgPool2d, Flatten


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
    padding, ends = padding_of(node, axes, c.pads.get(data[0]))
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


def padding_of(node: OnnxNode, axes: int, more: Any = None) -> tuple[Any, Any]:
    """(padding of a convolution: "same", or one number per axis; behind the axes, None if alike).

    `more`: what a Pad in front of it adds, (before, after).
    """
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME") and more is None:
        return alike(node, axes), None
    if auto.startswith("SAME"):
        raise fail(ModelError, node.name, f"auto_pad is {auto}", "export explicit pads")
    pads = tuple(node.attributes.get("pads", [0] * (2 * axes)))
    before, after = more or ((0,) * axes, (0,) * axes)
    first = tuple(a + b for a, b in zip(pads[:axes], before, strict=True))
    last = tuple(a + b for a, b in zip(pads[axes:], after, strict=True))
    return first, None if first == last else last


def pad(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Zeros around a map, taken into the convolutions that read it."""
    value, axes = c.values[data[0]], len(c.values[data[0]].shape) - 1
    pads = node.attributes.get("pads")
    pads = c.constant(node, 1) if pads is None else pads
    fill = c.constant(node, 2) if len(node.inputs) > 2 else node.attributes.get("value", 0.0)
    sizes = [int(n) for n in np.ravel(pads)]
    if (len(node.inputs) > 3 and node.inputs[3]) or len(sizes) != 2 * (axes + 2):
        raise fail(ModelError, node.name, f"pads {sizes} on some axes only", "name all axes")
    mode = node.attributes.get("mode", "constant")
    if mode != "constant" or (fill is not None and np.any(np.asarray(fill) != 0)):
        what = f"pads by {mode!r}" if mode != "constant" else f"pads with {fill}"
        raise fail(ModelError, node.name, what, "only padding with zeros exists")
    before, after = sizes[: axes + 2], sizes[axes + 2 :]
    if not any(sizes):
        return value
    readers = c.onnx.consumers(node.outputs[0])
    outside = [*before[:2], *after[:2]]
    if any(outside) or min(sizes) < 0 or not readers or any(n.op != "Conv" for n in readers):
        what = f"pads {sizes} in front of {', '.join(n.op for n in readers) or 'the output'}"
        raise fail(ModelError, node.name, what, "pad maps in front of convolutions")
    earlier = c.pads.get(data[0], ((0,) * axes, (0,) * axes))
    both = zip(earlier, (before[2:], after[2:]), strict=True)
    first, last = (tuple(a + b for a, b in zip(*two, strict=True)) for two in both)
    c.pads[node.outputs[0]] = (first, last)
    return value


def alike(node: OnnxNode, axes: int) -> Any:
    """Padding of a convolution or pool that is alike on both sides: "same", or one per axis."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    strides = node.attributes.get("strides", [1] * axes)
    if auto == "SAME_UPPER" and all(s == 1 for s in strides):
        return "same"
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        raise fail(ModelError, node.name, f"auto_pad is {auto}", "export explicit pads")
    pads = tuple(node.attributes.get("pads", [0] * (2 * axes)))
    if pads[:axes] != pads[axes:]:
        what = f"pads {list(pads)} differ before and after"
        raise fail(ModelError, node.name, what, "pad both sides alike")
    return pads[:axes]


def pool(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """AveragePool and GlobalAveragePool over both image axes."""
    value = c.values[data[0]]
    if len(value.shape) != 3:
        what = f"pools the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "pooling over two axes is supported")
    if node.op != "AveragePool":
        kernel = stride = (value.shape[1], value.shape[2])
        padding: Any = (0, 0)
    else:
        kernel = tuple(node.attributes["kernel_shape"])
        stride = tuple(node.attributes.get("strides", (1, 1)))
        padding = alike(node, 2)
        if node.attributes.get("ceil_mode", 0):
            raise fail(ModelError, node.name, "ceil_mode is 1", "use ceil_mode = 0")
        if any(padding) and not node.attributes.get("count_include_pad", 0):
            hint = "use count_include_pad = 1, or no padding"
            raise fail(ModelError, node.name, "padding is left out of the mean", hint)
    sizes = (
        _length(n, k, s, p, 1)
        for n, k, s, p in zip(value.shape[1:], kernel, stride, padding, strict=True)
    )
    averaged = AvgPool2d((kernel[0], kernel[1]), (stride[0], stride[1]), (padding[0], padding[1]))
    alone = len(value.sources) == 1 and not value.pending
    if not alone or (any(padding) and np.any(value.sources[0].shift != 0.0)):
        value = c.single(value)
    name = c.build.add(node.name, averaged, tuple(s.name for s in value.sources))
    shape = (value.shape[0], *sizes)
    if len(value.sources) == 1:  # the mean of what is scaled is the scaled mean
        first = value.sources[0]
        return Value(shape, sources=(Source(name, first.scale, first.shift),))
    return Value(shape, sources=(Source(name, ONE, ZERO),))


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
        raise fail(
            ModelError, node.name, f"reshapes to {list(shape)}", "only flattening is supported"
        )
    if node.op == "Flatten" and node.attributes.get("axis", 1) != 1:
        raise fail(ModelError, node.name, "flattens the batch as well", "use axis = 1")
    if node.op == "Squeeze" and len(value.shape) != 3:
        return value
    return flat(c, node, value)


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
