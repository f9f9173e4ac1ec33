"""Operations of an ANN in ONNX on single activations: ReLU, arithmetic, batch normalisation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_linear import Source, Value, identity
from snnstack.frontends.onnx_tensors import ONE, ZERO, Tensors
from snnstack.ir.nodes import IF


def is_relu(node: OnnxNode, graph: OnnxGraph) -> bool:
    """Whether the node clips at 0 from below, and no more than from above."""
    if node.op == "Clip":
        low = node.attributes.get("min")
        if len(node.inputs) > 1 and node.inputs[1] in graph.constants:
            low = float(graph.constants[node.inputs[1]])
        return low == 0.0
    if node.op == "Max":
        given = [graph.constants[i] for i in node.inputs if i in graph.constants]
        return len(node.inputs) == 2 and len(given) == 1 and not np.any(given[0])
    return node.op == "Relu"


def relu(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Integrate-and-fire neurons that subtract their threshold, begun half a threshold up."""
    if not is_relu(node, c.onnx):
        what = "Clip does not begin at 0" if node.op == "Clip" else "Max is not one with 0"
        raise fail(ModelError, node.name, what, "a spiking neuron sends nothing negative")
    value = c.values[data[0]]
    threshold = c.thresholds[node.name]
    if not value.pending:
        value = Value(value.shape, tuple(identity(s, value.shape) for s in value.sources))
    if c.delta is not None:
        name = c.build.add(node.name, c.delta.unit(value.shape, threshold), c.build.placed(value))
        return Value(value.shape, sources=(Source(name, threshold / c.delta.levels * ONE, ZERO),))
    first = value.pending[0].shifted(np.asarray(threshold / (2 * c.steps)))
    ends = c.build.placed(replace(value, pending=(first, *value.pending[1:])))
    full = np.full(value.shape, threshold)
    ones, zeros = np.ones(value.shape), np.zeros(value.shape)
    neuron = IF(r=ones, v_reset=zeros, v_threshold=full, reset="subtract", compare="ge")
    name = c.build.add(node.name, neuron, ends)
    return Value(value.shape, sources=(Source(name, np.asarray(threshold), ZERO),))


def _affine(c: Tensors, value: Value, scale: Any, shift: Any) -> Value:
    """`value * scale + shift`, each a number or one per channel."""
    pending = [p.scaled(scale) for p in value.pending]
    sources = [Source(s.name, s.scale * scale, s.shift * scale) for s in value.sources]
    if pending:
        pending[0] = pending[0].shifted(shift)
    else:
        first = sources[0]
        sources[0] = Source(first.name, first.scale, first.shift + shift)
    return Value(value.shape, tuple(pending), tuple(sources))


def _per_channel(values: Any, value: Value, node: OnnxNode) -> Any:
    """A constant that broadcasts with a tensor [batch, *shape], as one number per channel."""
    shape = value.shape
    if values.size == 1:
        return values.reshape(())
    kept = values
    while kept.ndim > len(shape) and kept.shape[0] == 1:
        kept = kept[0]
    if kept.ndim < len(shape):  # it lines up with the last axes
        kept = kept.reshape((1,) * (len(shape) - kept.ndim) + kept.shape)
    if kept.shape[0] == shape[0] and all(n == 1 for n in kept.shape[1:]):
        return kept.ravel()
    what = f"{node.op} with a constant of shape {list(values.shape)} on {list(shape)}"
    raise fail(ModelError, node.name, what, "one number, or one per channel")


def arithmetic(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Add, Sub, Mul, Div with a constant; Add and Sub of two tensors."""
    if len(data) == 2:
        return _sum(c, node, data)
    value = c.values[data[0]]
    first = node.inputs[0] == data[0]
    constant = c.constant(node, 1 if first else 0)
    number = _per_channel(constant, value, node)
    match node.op, first:
        case "Add", _:
            return _affine(c, value, ONE, number)
        case "Sub", True:
            return _affine(c, value, ONE, -number)
        case "Sub", False:
            return _affine(c, value, -ONE, number)
        case "Mul", _:
            return _affine(c, value, number, ZERO)
        case "Div", True:
            return _affine(c, value, 1.0 / number, ZERO)
    raise fail(ModelError, node.name, "divides by a tensor")


def _sum(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """Two tensors of one shape: a residual connection."""
    left, right = (c.values[name] for name in data)
    if node.op not in ("Add", "Sub"):
        hint = "a product of two activations has no spiking form"
        raise fail(ModelError, node.name, f"{node.op} of two tensors", hint)
    if left.shape != right.shape:
        what = f"adds the shapes {list(left.shape)} and {list(right.shape)}"
        raise fail(ModelError, node.name, what, "make both alike")
    if node.op == "Sub":
        right = _affine(c, right, -ONE, ZERO)
    return Value(left.shape, left.pending + right.pending, left.sources + right.sources)


def batch_norm(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """A factor and a shift per channel."""
    scale, shift, mean, variance = (c.constant(node, k) for k in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return _affine(c, c.values[data[0]], factor, shift - mean * factor)


def same(c: Tensors, node: OnnxNode, data: list[str]) -> Value:
    """What changes nothing at inference."""
    return c.values[data[0]]
