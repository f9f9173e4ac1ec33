"""Every tensor of a spiking step in ONNX as `Terms`; layers and comparisons as named atoms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends.onnx_export import taps
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_layers import alike
from snnstack.frontends.onnx_linear import convolution
from snnstack.frontends.onnx_ops import ELEMENTS
from snnstack.frontends.onnx_terms import Atom, Terms, add, constant, single, times
from snnstack.frontends.onnx_values import Layer, Operations, Walk, noted
from snnstack.frontends.torch_layers import dense
from snnstack.ir.nodes import AvgPool2d, Flatten, Leaf, Shape
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import Conv

LARGEST = 2**26
"""Elements of a tensor of one step."""


def walked(onnx: OnnxGraph, first: str) -> Walk:
    """All tensors; what is not understood is an atom, which matters where it is used."""
    walk = Walk(onnx, convolutions=noted(onnx, "convolutions"))
    for name in onnx.inputs:
        kind: Any = "input" if name == first else "state"
        walk.values[name] = single(Atom(kind, name), (1, *(onnx.shapes.get(name) or ())))
    for node in onnx.nodes:
        try:
            made = _OPS[node.op](walk, node) if node.op in _OPS else None
        except (
            ValueError,
            IndexError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # shapes that do not go together
            made = None
        for name in node.outputs:
            walk.values[name] = _unknown(walk, node, name) if made is None else made
    _check_sizes(walk)
    return walk


def _check_sizes(walk: Walk) -> None:
    """ModelError for a tensor that the file gives a shape which nothing can hold."""
    wrong = (
        Problem(name, f"has {n} elements, at most {LARGEST}", "is the file damaged?")
        for name, n in ((name, math.prod(terms.shape)) for name, terms in walk.values.items())
        if not 0 <= n <= LARGEST
    )
    raise_if_any(ModelError, wrong)


def _unknown(walk: Walk, node: OnnxNode, tensor: str) -> Terms:
    atom = Atom("unknown", node.name)
    walk.unknown[atom] = node.op
    return single(atom, (1, *(walk.onnx.shapes.get(tensor) or ())))


def _layer(walk: Walk, node: OnnxNode, made: Leaf, source: Terms) -> Terms:
    shape = output_shape(made, source.shape[1:])
    return _placed(walk, node, made, source, shape)


def _placed(walk: Walk, node: OnnxNode, made: Leaf | Conv, source: Terms, shape: Shape) -> Terms:
    atom = Atom("layer", node.outputs[0])
    walk.layers[atom] = Layer(node.name, made, source)
    return single(atom, (1, *shape))


# Layers


def _dense(walk: Walk, node: OnnxNode) -> Terms | None:
    weight = walk.constant(node, 1)
    own = _own_convolution(walk, node)
    if own is not None or weight is None or weight.ndim != 2 or node.attributes.get("transA", 0):
        return own
    weight = np.asarray(weight, dtype=np.float64)
    weight = weight if node.op == "Gemm" and node.attributes.get("transB", 0) else weight.T
    weight, source = weight * node.attributes.get("alpha", 1.0), walk.of(node.inputs[0])
    if len(source.shape) != 2:
        return None
    bias = walk.constant(node, 2)
    if bias is not None:
        bias = np.broadcast_to(bias * node.attributes.get("beta", 1.0), (1, len(weight)))[0] + 0.0
    return _layer(walk, node, dense(weight, bias), source)


def _conv(walk: Walk, node: OnnxNode) -> Terms | None:
    weight, bias, source = walk.constant(node, 1), walk.constant(node, 2), walk.of(node.inputs[0])
    if weight is None or weight.ndim not in (3, 4) or len(source.shape) != weight.ndim:
        return None
    axes, said = weight.ndim - 2, node.attributes
    made = convolution(
        weight.astype(np.float64),
        np.zeros(len(weight)) if bias is None else bias.astype(np.float64),
        source.shape[2:],
        int(said.get("group", 1)),
        tuple(said.get("strides", [1] * axes)),
        alike(node, axes),
        tuple(said.get("dilations", [1] * axes)),
    )
    return _layer(walk, node, made, source)


def _batch_norm(walk: Walk, node: OnnxNode) -> Terms | None:
    found = [walk.constant(node, k) for k in range(1, 5)]
    given = walk.of(node.inputs[0])
    if any(values is None for values in found):
        return None
    scale, shift, mean, variance = (np.asarray(v, dtype=np.float64) for v in found)
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    column = (1, -1, *(1,) * (len(given.shape) - 2))
    scaled = times(given, constant(factor.reshape(column)))
    moved = constant((shift - mean * factor).reshape(column))
    return None if scaled is None else add(scaled, moved)


def _pool(walk: Walk, node: OnnxNode) -> Terms | None:
    source, said = walk.of(node.inputs[0]), node.attributes
    if len(source.shape) != 4:
        return None
    kernel = tuple(said.get("kernel_shape", source.shape[2:]))
    stride, around = tuple(said.get("strides", (1, 1))), alike(node, 2)
    if said.get("ceil_mode", 0) or (any(around) and not said.get("count_include_pad", 0)):
        return None
    return _layer(walk, node, AvgPool2d(kernel, stride, around), source)


def _reshape(walk: Walk, node: OnnxNode) -> Terms | None:
    """To one axis, or no change."""
    source = walk.of(node.inputs[0])
    total = int(np.prod(source.shape))
    if node.op == "Reshape":
        shape = walk.constant(node, 1)
        wanted = [] if shape is None else [int(n) for n in shape.ravel()]
        wanted = [source.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    else:
        wanted = [1, -1] if node.attributes.get("axis", 1) == 1 else []
    if len(wanted) == len(source.shape) and tuple(wanted[1:]) == source.shape[1:]:
        return source
    if len(wanted) != 2 or wanted[1] not in (-1, total):
        return None
    if len(source.shape) == 2:
        return source
    return _layer(walk, node, Flatten(source.shape[1:], 0, -1), source)


# Our own convolutions: Pad, Gather, MatMul, Reshape


def _own_convolution(walk: Walk, node: OnnxNode) -> Terms | None:
    """What `onnx_export` wrote for a `Conv`, if the constants are those of what it noted."""
    gather = walk.onnx.producer(node.inputs[1])
    said, weight = walk.convolutions.get(node.outputs[0]), walk.constant(node, 0)
    if said is None or weight is None or gather is None or gather.op != "Gather":
        return None
    pad = walk.onnx.producer(gather.inputs[0])
    index = walk.constant(gather, 1)
    if pad is None or pad.op != "Pad" or index is None:
        return None
    sizes: Any = {key: tuple(map(int, value)) for key, value in said.items() if key != "groups"}
    source = walk.of(pad.inputs[0])
    taken = weight.reshape(sizes.pop("weight"))
    if int(np.prod(sizes["out_shape"][1:])) != index.shape[-1]:
        return None
    conv = Conv(taken, groups=int(said["groups"]), **sizes)
    fits = int(np.prod(conv.in_shape)) == int(np.prod(source.shape))
    if not fits or not np.array_equal(taps(conv), index):
        return None
    return _placed(walk, node, conv, source, conv.out_shape)


def _flat_own(walk: Walk, node: OnnxNode) -> Terms | None:
    """A convolution of ours is flattened as it is placed."""
    source = walk.of(node.inputs[0])
    atom = source.only()
    layer = walk.layers.get(atom) if atom is not None else None
    if atom is not None and layer is not None and isinstance(layer.node, Conv):
        return single(atom, (1, int(np.prod(source.shape))))
    return _reshape(walk, node)


_OPS: Operations = {
    **ELEMENTS,
    **dict.fromkeys(("Gemm", "MatMul"), _dense),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool"), _pool),
    **dict.fromkeys(("Reshape", "Flatten"), _flat_own),
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
}
