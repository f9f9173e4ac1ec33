"""An ONNX network of ReLUs becomes a spiking `Graph`: each ReLU is integrate-and-fire neurons.

A neuron of threshold L that subtracts L per spike and gets the ReLU's input in every step fires
at the rate relu(x) / L, up to one spike per step. L is the layer's largest usual activation
(threshold balancing: Rueckauer et al., Front. Neurosci. 11, 682, 2017). Half a threshold, spread
over the `steps` of an inference, turns rounding down into rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_linear import (
    Builder,
    Pending,
    Source,
    Value,
    constant_part,
    convolution,
    flattened,
    folded_into,
    identity,
)
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, Affine, AvgPool2d, EventKind, Flatten, Input, Output, Shape

ONE, ZERO = np.ones(()), np.zeros(())
MONOTONE = ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "HardSigmoid")
"""At the very end these do not change which class is largest: left out."""
HINTS = {
    "MaxPool": "train with average pooling instead: spikes have no maximum",
    "LeakyRelu": "train with ReLU: a spiking neuron sends nothing negative",
    "PRelu": "train with ReLU: a spiking neuron sends nothing negative",
    "Elu": "train with ReLU",
    "Gelu": "train with ReLU",
    "Tanh": "train with ReLU",
    "Erf": "train with ReLU (this is part of a GELU)",
    "Sigmoid": "train with ReLU; a sigmoid can only be the last operation",
    "LSTM": "recurrent networks are not converted; train a spiking one",
    "GRU": "recurrent networks are not converted; train a spiking one",
    "QuantizeLinear": "give the float model: snnstack quantises for the target",
    "DequantizeLinear": "give the float model: snnstack quantises for the target",
}


@dataclass(frozen=True)
class InputRange:
    """What the input's rate 0..1 (or count per step, up to `levels`) means to the ANN."""

    low: float = 0.0
    high: float = 1.0
    levels: int = 1

    @property
    def events(self) -> EventKind:
        """What the input carries per step."""
        return "binary" if self.levels == 1 else "count"


def relu_tensors(graph: OnnxGraph) -> dict[str, str]:
    """{node name: its output} of every ReLU, for measuring activations."""
    return {n.name: n.outputs[0] for n in graph.nodes if _is_relu(n, graph)}


def _is_relu(node: OnnxNode, graph: OnnxGraph) -> bool:
    if node.op == "Clip":
        low = node.attributes.get("min")
        if len(node.inputs) > 1 and node.inputs[1] in graph.constants:
            low = float(graph.constants[node.inputs[1]])
        return low == 0.0
    return node.op == "Relu"


def converted(
    graph: OnnxGraph, shape: Shape, thresholds: Mapping[str, float], given: InputRange, steps: int
) -> Graph:
    """The spiking network for inferences of `steps` steps; `thresholds` by ReLU node.

    Raises ModelError naming every operation that cannot be converted, with what would do.
    """
    unknown = [n for n in graph.nodes if n.op not in _HANDLERS and n.op not in MONOTONE]
    raise_if_any(ModelError, [_unsupported(n) for n in unknown])
    return _Converter(graph, shape, thresholds, given, steps).graph()


def _unsupported(node: OnnxNode) -> Problem:
    known = ", ".join(sorted(op for op in _HANDLERS if op not in ("Clip", "Cast")))
    return Problem(node.name, f"{node.op} cannot be converted", HINTS.get(node.op, f"of: {known}"))


class _Converter:
    """Walks the ANN once, in order; `values` are the tensors seen so far."""

    def __init__(
        self,
        graph: OnnxGraph,
        shape: Shape,
        thresholds: Mapping[str, float],
        given: InputRange,
        steps: int,
    ) -> None:
        self.onnx, self.steps, self.thresholds = graph, steps, thresholds
        self.build = Builder()
        self.dropped: list[str] = []
        name = self.build.add(graph.inputs[0], Input(shape, given.events), ())
        scale = np.asarray((given.high - given.low) / given.levels)
        first = Source(name, scale, np.asarray(given.low))
        self.values = {graph.inputs[0]: Value(shape, sources=(first,))}

    def graph(self) -> Graph:
        for node in self.onnx.nodes:
            self._visit(node)
        for name in self.onnx.outputs:
            value = self.values[name]
            ones = np.ones(value.shape)
            readout = LI(tau=ones, r=ones, v_leak=np.zeros(value.shape))
            result = self.build.add(f"{name}.sum", readout, self.build.placed(value))
            self.build.add(f"{name}.output", Output(value.shape), (result,))
        about: dict[str, Any] = {"name": self.onnx.name}
        if self.dropped:
            about["dropped"] = ", ".join(self.dropped)
        return Graph(
            nodes=self.build.nodes,
            edges=tuple(self.build.edges),
            dt=1.0,
            integrator="euler",
            settings={k: "file" for k in ("reset", "compare", "events")},
            metadata=about,
        )

    def _visit(self, node: OnnxNode) -> None:
        data = [i for i in node.inputs if i and i not in self.onnx.constants]
        if node.op in MONOTONE:
            if any(self.onnx.consumers(o) for o in node.outputs):
                raise ModelError(_unsupported(node))
            self.dropped.append(f"{node.op} {node.name}")
            self.values[node.outputs[0]] = self.values[data[0]]
            return
        self.values[node.outputs[0]] = _HANDLERS[node.op](self, node, data)

    def constant(self, node: OnnxNode, position: int) -> Any:
        """The constant input at `position`, None if it is not there."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.onnx.constants:
            what = f"input {name!r} of {node.op} is computed, not constant"
            raise fail(ModelError, node.name, what, "export the trained weights with the model")
        return np.asarray(self.onnx.constants[name], dtype=np.float64)

    def single(self, value: Value) -> Value:
        """The same value as sources only."""
        ends = self.build.placed(value)
        return Value(value.shape, sources=tuple(Source(e, ONE, ZERO) for e in ends))

    def linear(self, node: OnnxNode, value: Value, made: Any, shape: Shape, padded: bool) -> Value:
        """`made` applied to `value`, with a lone source's scale and shift folded in.

        Before padding a shift is not the same everywhere: it goes a way of its own, as a bias
        that passes through a second copy of the node.
        """
        if len(value.sources) != 1 or value.pending:
            return Value(shape, (Pending(node.name, made, self.build.placed(value)),))
        source = value.sources[0]
        if not padded or not np.any(source.shift != 0.0):
            folded = folded_into(source, made)
            return Value(shape, (Pending(node.name, folded, (source.name,)),))
        scaled = folded_into(Source(source.name, source.scale, ZERO), made)
        still = constant_part(source, value.shape)
        shift = self.build.add(still.name, still.node, still.sources)
        copy = replace(made, bias=np.zeros_like(made.bias))
        both = (
            Pending(node.name, scaled, (source.name,)),
            Pending(f"{node.name}.border", copy, (shift,)),
        )
        return Value(shape, both)


def _gemm(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
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


def _conv(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    value = c.values[data[0]]
    weight, bias = c.constant(node, 1), c.constant(node, 2)
    axes = weight.ndim - 2
    if axes not in (1, 2) or len(value.shape) != axes + 1:
        what = f"a convolution over {axes} axes of the shape {list(value.shape)}"
        raise fail(ModelError, node.name, what, "one or two axes are supported")
    stride = tuple(node.attributes.get("strides", [1] * axes))
    dilation = tuple(node.attributes.get("dilations", [1] * axes))
    padding = padding_of(node, axes)
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


def padding_of(node: OnnxNode, axes: int) -> Any:
    """Padding of a convolution or pool: "same", or one number per axis."""
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


def _relu(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    if not _is_relu(node, c.onnx):
        what = "Clip does not begin at 0"
        raise fail(ModelError, node.name, what, "a spiking neuron sends nothing negative")
    value = c.values[data[0]]
    threshold = c.thresholds[node.name]
    if not value.pending:
        value = Value(value.shape, tuple(identity(s, value.shape) for s in value.sources))
    first = value.pending[0].shifted(np.asarray(threshold / (2 * c.steps)))
    ends = c.build.placed(replace(value, pending=(first, *value.pending[1:])))
    full = np.full(value.shape, threshold)
    ones, zeros = np.ones(value.shape), np.zeros(value.shape)
    neuron = IF(r=ones, v_reset=zeros, v_threshold=full, reset="subtract", compare="ge")
    name = c.build.add(node.name, neuron, ends)
    return Value(value.shape, sources=(Source(name, np.asarray(threshold), ZERO),))


def _affine(c: _Converter, value: Value, scale: Any, shift: Any) -> Value:
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


def _arithmetic(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
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
    raise fail(ModelError, node.name, "divides by a tensor", HINTS.get(node.op, ""))


def _sum(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
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


def _batch_norm(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    scale, shift, mean, variance = (c.constant(node, k) for k in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return _affine(c, c.values[data[0]], factor, shift - mean * factor)


def _pool(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
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
        padding = padding_of(node, 2)
        if node.attributes.get("ceil_mode", 0):
            raise fail(ModelError, node.name, "ceil_mode is 1", "use ceil_mode = 0")
        if any(padding) and not node.attributes.get("count_include_pad", 0):
            hint = "use count_include_pad = 1, or no padding"
            raise fail(ModelError, node.name, "padding is left out of the mean", hint)
    sizes = (
        _length(n, k, s, p, 1)
        for n, k, s, p in zip(value.shape[1:], kernel, stride, padding, strict=True)
    )
    pool = AvgPool2d((kernel[0], kernel[1]), (stride[0], stride[1]), (padding[0], padding[1]))
    alone = len(value.sources) == 1 and not value.pending
    if not alone or (any(padding) and np.any(value.sources[0].shift != 0.0)):
        value = c.single(value)
    name = c.build.add(node.name, pool, tuple(s.name for s in value.sources))
    shape = (value.shape[0], *sizes)
    if len(value.sources) == 1:  # the mean of what is scaled is the scaled mean
        first = value.sources[0]
        return Value(shape, sources=(Source(name, first.scale, first.shift),))
    return Value(shape, sources=(Source(name, ONE, ZERO),))


def _mean(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    """ReduceMean over both image axes: a global pool."""
    axes = node.attributes.get("axes")
    if len(node.inputs) > 1:
        axes = c.constant(node, 1)
    rank = len(c.values[data[0]].shape) + 1
    found = sorted(int(a) % rank for a in np.ravel(axes)) if axes is not None else []
    if rank != 4 or found != [2, 3]:
        raise fail(ModelError, node.name, f"a mean over the axes {found}", "only over the image")
    pooled = _pool(c, node, data)
    return pooled if node.attributes.get("keepdims", 1) else _flat(c, node, pooled)


def _reshape(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    value = c.values[data[0]]
    if node.op == "Reshape":
        shape = tuple(int(n) for n in c.constant(node, 1))
        total = int(np.prod(value.shape))
        if len(shape) == 2 and shape[1] in (-1, total):
            return _flat(c, node, value)
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
    return _flat(c, node, value)


def _flat(c: _Converter, node: OnnxNode, value: Value) -> Value:
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


def _same(c: _Converter, node: OnnxNode, data: list[str]) -> Value:
    return c.values[data[0]]


_HANDLERS: Mapping[str, Callable[[_Converter, OnnxNode, list[str]], Value]] = {
    "Gemm": _gemm,
    "MatMul": _gemm,
    "Conv": _conv,
    "Relu": _relu,
    "Clip": _relu,
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "BatchNormalization": _batch_norm,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "ReduceMean": _mean,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Identity": _same,
    "Dropout": _same,
    "Cast": _same,
}
