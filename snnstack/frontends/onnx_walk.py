"""Every tensor of a spiking step in ONNX as `Terms`; layers and comparisons as named atoms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends import onnx_spatial, spatial
from snnstack.frontends.onnx_export import taps
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_layers import around, padding_of, plain_window
from snnstack.frontends.onnx_linear import convolution
from snnstack.frontends.onnx_ops import ELEMENTS
from snnstack.frontends.onnx_terms import Atom, Terms, add, constant, single, times
from snnstack.frontends.onnx_values import Layer, Operations, Walk, noted
from snnstack.frontends.torch_layers import dense
from snnstack.frontends.windows import even
from snnstack.ir.nodes import AvgPool2d, Flatten, Leaf, Linear, Shape
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
            ArithmeticError,
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
    weight, bias = walk.constant(node, 1), walk.constant(node, 2)
    source, more = _unpadded(walk, node)
    if weight is None or weight.ndim not in (3, 4) or len(source.shape) != weight.ndim:
        return None
    axes, said = weight.ndim - 2, node.attributes
    padding, ends = padding_of(node, source.shape[2:], weight, more)
    dilation = tuple(said.get("dilations", [1] * axes))
    weight = weight.astype(np.float64)
    if ends is not None:
        weight, padding, dilation = even(weight, padding, ends, dilation)
    made = convolution(
        weight,
        np.zeros(len(weight)) if bias is None else bias.astype(np.float64),
        source.shape[2:],
        int(said.get("group", 1)),
        tuple(said.get("strides", [1] * axes)),
        padding,
        dilation,
    )
    return _layer(walk, node, made, source)


def _unpadded(walk: Walk, node: OnnxNode) -> tuple[Terms, Any]:
    """What a convolution reads, and the zeros that a Pad puts around it."""
    pad = walk.onnx.producer(node.inputs[0])
    found = None
    if pad is not None and pad.op == "Pad":
        given = walk.of(pad.inputs[0])
        if pad.attributes.get("mode", "constant") == "constant":
            onnx_spatial.pad(pad, walk.constant, given.shape[2:])
            found = around(pad, walk.constant)
        if found is None:
            matrix, out = onnx_spatial.pad(pad, walk.constant, given.shape[2:])
            return _over_places(walk, pad, given, matrix, out), None
        return given, found
    return walk.of(node.inputs[0]), None


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
    source = walk.of(node.inputs[0])
    space = source.shape[2:]
    window = plain_window(node, space)
    if window is None:
        return _over_places(walk, node, source, *onnx_spatial.average(node, space))
    return _layer(walk, node, AvgPool2d(*window), source)


def _over_places(walk: Walk, node: OnnxNode, source: Terms, matrix: Any, out: Shape) -> Terms:
    """The same matrix at every channel of a map."""
    parts = (Flatten(None, 1, -1), Linear(matrix), Flatten(None, 1, 1, into=out))
    return _chained(walk, node, parts, source)


def _chained(walk: Walk, node: OnnxNode, parts: Any, source: Terms) -> Terms:
    """Several layers in the place of one node."""
    for k, part in enumerate(parts[:-1]):
        name = f"{node.outputs[0]}.{k}"
        shape = output_shape(part, source.shape[1:])
        atom = Atom("layer", name)
        walk.layers[atom] = Layer(f"{node.name}.{k}", part, source)
        source = single(atom, (1, *shape))
    return _layer(walk, node, parts[-1], source)


def _resize(walk: Walk, node: OnnxNode) -> Terms:
    source = walk.of(node.inputs[0])
    matrix, out = onnx_spatial.resize(node, walk.constant, source.shape[2:])
    return _over_places(walk, node, source, matrix, out)


def _pad(walk: Walk, node: OnnxNode) -> Terms | None:
    source = walk.of(node.inputs[0])
    readers = walk.onnx.consumers(node.outputs[0])
    if all(reader.op in ("Conv", "Gather") for reader in readers):  # they take it in
        return None
    matrix, out = onnx_spatial.pad(node, walk.constant, source.shape[2:])
    return _over_places(walk, node, source, matrix, out)


def _moved(walk: Walk, node: OnnxNode) -> Terms:
    source = walk.of(node.inputs[0])
    order = onnx_spatial.order(node, source.shape[1:])
    spatial.check_size(order.size, order.size)
    weight = np.eye(order.size)[order.ravel()]
    parts = (Flatten(None, 0, -1), Linear(weight), Flatten(None, 0, -1, into=order.shape))
    return _chained(walk, node, parts, source)


def _transposed(walk: Walk, node: OnnxNode) -> Terms | None:
    source, weight, bias = (
        walk.of(node.inputs[0]), walk.constant(node, 1), walk.constant(node, 2)
    )  # fmt: skip
    if weight is None or weight.ndim not in (3, 4) or len(source.shape) != weight.ndim:
        return None
    matrix, space, kernel, padding, dilation = onnx_spatial.transposed(
        node, weight.astype(np.float64), source.shape[2:]
    )
    shift = np.zeros(len(kernel)) if bias is None else bias.astype(np.float64)
    groups, ones = int(node.attributes.get("group", 1)), (1,) * len(space)
    made = convolution(kernel, shift, space, groups, ones, padding, dilation)
    if not matrix.size:
        return _layer(walk, node, made, source)
    apart = (Flatten(None, 1, -1), Linear(matrix), Flatten(None, 1, 1, into=space))
    return _chained(walk, node, (*apart, made), source)


def _concat(walk: Walk, node: OnnxNode) -> Terms | None:
    """Maps laid behind each other along their channels: a sum of parts placed."""
    given = [walk.of(name) for name in node.inputs]
    rank = len(given[0].shape)
    if int(node.attributes.get("axis", 1)) % rank != 1 or len({g.shape[2:] for g in given}) > 1:
        return None
    total, start, found = sum(g.shape[1] for g in given), 0, None
    for k, part in enumerate(given):
        weight = np.eye(total)[:, start : start + part.shape[1]]
        start += part.shape[1]
        made: Any = dense(weight, None)
        if rank > 2:
            spread = weight.reshape(*weight.shape, *(1,) * (rank - 2))
            made = convolution(spread, np.zeros(total), part.shape[2:])
        atom = Atom("layer", f"{node.outputs[0]}.{k}")
        walk.layers[atom] = Layer(f"{node.name}.{k}", made, part)
        placed = single(atom, (1, total, *part.shape[2:]))
        found = placed if found is None else add(found, placed)
    return found


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
        return _into(walk, node, source, wanted)
    if len(source.shape) == 2:
        return source
    return _layer(walk, node, Flatten(source.shape[1:], 0, -1), source)


def _into(walk: Walk, node: OnnxNode, source: Terms, wanted: list[int]) -> Terms | None:
    """Another shape of as many elements; the batch stays."""
    total, known = int(np.prod(source.shape[1:])), int(np.prod([n for n in wanted[1:] if n != -1]))
    shape = tuple(total // max(known, 1) if n == -1 else n for n in wanted[1:])
    if not shape or wanted[0] not in (1, -1) or int(np.prod(shape)) != total:
        return None
    return _layer(walk, node, Flatten(source.shape[1:], 0, -1, into=shape), source)


def _squeezed(walk: Walk, node: OnnxNode) -> Terms | None:
    """Axes of length 1 less or more, behind the batch or in front of it."""
    timed = ELEMENTS[node.op](walk, node)
    found = walk.constant(node, 1)
    axes = [int(a) for a in np.ravel(node.attributes.get("axes", []) if found is None else found)]
    source = walk.of(node.inputs[0])
    if timed is not None or not axes:
        return timed
    wanted = list(source.shape)
    if node.op == "Unsqueeze":
        rank = len(wanted) + len(axes)
        for axis in sorted(a % rank for a in axes):
            wanted.insert(axis, 1)
    else:
        gone = {a % len(wanted) for a in axes}
        wanted = [n for k, n in enumerate(wanted) if k not in gone]
    return _into(walk, node, source, wanted)


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
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth", "Transpose"), _moved),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _squeezed),
    "Pad": _pad,
    "Concat": _concat,
    "ConvTranspose": _transposed,
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
}
