"""Transposes of an ANN in ONNX taken out: what reads them is turned instead.

Exporters of networks that keep channels last (Keras) put a Transpose in front of convolutions and
one behind them. The maps stay as convolutions have them; constants behind a Transpose, and the
weights of a dense layer behind a flattened one, change places.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.ir.nodes import Array, Shape

ALONE = ("Relu", "Clip", "Identity", "Dropout", "Cast", "Max")
"""Operations on single elements, without constants that have axes."""
JOINING = ("Add", "Sub", "Mul", "Div")
FIRST = "export with channels first, or give samples [sample, channel, y, x]"


@dataclass
class _Turned:
    """`views`: what a tensor of the file is of the one that is kept: the order of its axes (batch
    included), or, flat, of its elements. `names`: of the tensor that is kept.
    """

    graph: OnnxGraph
    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    views: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flat: dict[str, Array] = field(default_factory=dict)


def without_transposes(graph: OnnxGraph, shape: Shape) -> tuple[OnnxGraph, Shape]:
    """(the same network without Transpose nodes, the shape of its input); ModelError if it cannot.

    The input keeps the order of its elements.
    """
    if all(node.op != "Transpose" for node in graph.nodes):
        return graph, shape
    t = _Turned(graph)
    for node in graph.nodes:
        if node.op == "Transpose" and node.inputs[0] == graph.inputs[0]:
            shape = _input(t, node, shape)
        elif node.op == "Transpose":
            _transpose(t, node)
        else:
            _other(t, node)
    for name in graph.outputs:
        if name in t.views or name in t.names or name in t.flat:
            raise fail(ModelError, name, "is a transposed map", "return classes")
    made = replace(graph, nodes=tuple(t.nodes), constants={**graph.constants, **t.constants})
    return made, shape


def _order(node: OnnxNode, rank: int) -> tuple[int, ...]:
    return tuple(node.attributes.get("perm", range(rank)[::-1]))


def _input(t: _Turned, node: OnnxNode, shape: Shape) -> Shape:
    """Shape of the input behind its Transpose, which goes if it moves axes of length 1 only."""
    order, whole = _order(node, len(shape) + 1), (0, *shape)
    moved = [axis for axis in order if whole[axis] != 1]
    if order[0] != 0:
        what = f"transposes the input {list(shape)} by {list(order)}"
        raise fail(ModelError, node.name, what, FIRST)
    if moved != sorted(moved) or len(t.graph.consumers(node.inputs[0])) > 1:
        t.nodes.append(node)  # elements change places: a layer of its own
        return shape
    t.names[node.outputs[0]] = node.inputs[0]
    return tuple(whole[axis] for axis in order[1:])


def _transpose(t: _Turned, node: OnnxNode) -> None:
    name, out = node.inputs[0], node.outputs[0]
    known = t.graph.shapes.get(name)
    if known is None or name in t.flat:
        raise fail(ModelError, node.name, "transposes something of unknown shape", FIRST)
    order = _order(node, len(known) + 1)
    before = t.views.get(name, tuple(range(len(order))))
    after = tuple(before[axis] for axis in order)
    t.names[out] = t.names.get(name, name)
    if after != tuple(range(len(after))):
        t.views[out] = after


def _other(t: _Turned, node: OnnxNode) -> None:
    """A node with its inputs as they are kept."""
    seen = {t.views[i] for i in node.inputs if i in t.views}
    flat = [t.flat[i] for i in node.inputs if i in t.flat]
    out, data = node.outputs[0], [i for i in node.inputs if i and i not in t.graph.constants]
    mixed = len(data) > 1 and not all(i in t.views for i in data)
    if seen and node.op == "ReduceMean" and len(seen) == 1:
        t.nodes.append(_mean(t, node, next(iter(seen))))
        return
    if seen and (len(seen) > 1 or mixed or (node.op not in (*ALONE, *JOINING, *_FLATTENING))):
        raise fail(ModelError, node.name, f"{node.op} reads a transposed map", FIRST)
    if seen and node.op in _FLATTENING:
        t.flat[out] = _elements(t, node, data[0], next(iter(seen)))
    elif seen:
        node = _constants(t, node, next(iter(seen)))
        t.views[out] = next(iter(seen))
    elif flat and node.op in ALONE:
        t.flat[out] = flat[0]
    elif flat:
        node = _weights(t, node, flat[0])
    inputs = tuple(t.names.get(i, i) for i in node.inputs)
    t.nodes.append(replace(node, inputs=inputs))


def _mean(t: _Turned, node: OnnxNode, view: tuple[int, ...]) -> OnnxNode:
    """A mean over the axes of a map as it is kept; ModelError where it keeps those axes."""
    found = node.attributes.get("axes")
    if len(node.inputs) > 1:
        found = t.graph.constants.get(node.inputs[1])
    axes = [view[int(a) % len(view)] for a in np.ravel([] if found is None else found)]
    if node.attributes.get("keepdims", 1) or sorted(axes) != list(range(2, len(view))):
        raise fail(ModelError, node.name, "ReduceMean reads a transposed map", FIRST)
    inputs = (t.names.get(node.inputs[0], node.inputs[0]),)
    return replace(node, inputs=inputs, attributes={**node.attributes, "axes": sorted(axes)})


_FLATTENING = ("Flatten", "Reshape")


def _elements(t: _Turned, node: OnnxNode, name: str, view: tuple[int, ...]) -> Array:
    """For each element of a flattened transposed map its number in the flattened kept map."""
    shape, made = t.graph.shapes.get(name), t.graph.shapes.get(node.outputs[0])
    if shape is None or made is None or len(made) != 1 or view[0] != 0:
        raise fail(ModelError, node.name, "reshapes a transposed map", "flatten it")
    kept = [0] * len(shape)
    for axis, length in zip(view[1:], shape, strict=True):
        kept[axis - 1] = length
    numbers = np.arange(int(np.prod(kept))).reshape(kept)
    return numbers.transpose([axis - 1 for axis in view[1:]]).ravel()


def _constants(t: _Turned, node: OnnxNode, view: tuple[int, ...]) -> OnnxNode:
    """Constants that line up with the axes of the map as it is kept."""
    inputs = list(node.inputs)
    for k, name in enumerate(inputs):
        values = t.graph.constants.get(name)
        if node.op in JOINING and values is not None and values.size > 1:
            full = values.reshape((1,) * (len(view) - values.ndim) + values.shape)
            inputs[k] = f"{name}@{node.name}"
            t.constants[inputs[k]] = full.transpose(np.argsort(view))
    return replace(node, inputs=tuple(inputs))


def _weights(t: _Turned, node: OnnxNode, order: Array) -> OnnxNode:
    """A dense layer whose inputs change places."""
    weight: Any = t.graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if node.op not in ("Gemm", "MatMul") or weight is None or weight.ndim != 2:
        hint = "a dense layer is read behind a flattened transposed map"
        raise fail(ModelError, node.name, f"{node.op} reads a transposed map", hint)
    name, back = f"{node.inputs[1]}@{node.name}", np.argsort(order)
    turned = node.op == "Gemm" and node.attributes.get("transB", 0)
    t.constants[name] = weight[:, back] if turned else weight[back]
    return replace(node, inputs=(node.inputs[0], name, *node.inputs[2:]))
