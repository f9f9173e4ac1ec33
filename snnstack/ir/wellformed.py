"""Whether one node makes sense by itself: its arrays' axes, and the numbers of a window."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from snnstack.ir.nodes import (
    NEURONS,
    Affine,
    Array,
    AvgPool2d,
    Cells,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Leaf,
    Linear,
    Output,
    Shape,
    SumPool2d,
)


def arrays(node: Any) -> dict[str, Array]:
    """The array parameters of a node by name."""
    values = {name: getattr(node, name) for name in node.__dataclass_fields__}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def malformed(node: Leaf) -> Iterator[str]:
    """What is wrong with the axes and window of a node, a phrase each; nothing if it is sound."""
    match node:
        case Input() | Output():
            yield from _bad_shape(node.shape)
        case Linear() | Affine():
            yield from _bad_linear(node)
        case Conv1d() | Conv2d():
            yield from _bad_conv(node)
        case SumPool2d() | AvgPool2d():
            window = {"kernel_size": node.kernel_size, "stride": node.stride}
            yield from _not_pairs({**window, "padding": node.padding})
            yield from _below(1, window)
            yield from _below(0, {"padding": node.padding})
        case Flatten():
            if node.into is not None:
                yield from _bad_shape(node.into, "into")
            if node.input_shape is not None:
                yield from _bad_shape(node.input_shape, "input_shape")
                yield from bad_axes(node, node.input_shape)
        case Cells():
            yield from _bad_shape(node.shape) if _is_bad(node.shape) else _bad_cells(node)
        case _ if isinstance(node, NEURONS):
            yield from _bad_neuron(node)


def bad_axes(node: Flatten, shape: Shape) -> Iterator[str]:
    """Why a Flatten cannot be applied to `shape`: an axis it lacks, or a reversed range."""
    rank = len(shape)
    outside = [
        f"{key} {dim} is not an axis of its input {list(shape)}"
        for key, dim in (("start_dim", node.start_dim), ("end_dim", node.end_dim))
        if not -rank <= dim < rank
    ]
    yield from outside
    if rank and not outside and node.start_dim % rank > node.end_dim % rank:
        yield f"start_dim {node.start_dim} comes after end_dim {node.end_dim}"
    elif rank and not outside and node.into is not None:
        held = prod(shape[node.start_dim % rank : node.end_dim % rank + 1])
        if prod(node.into) != held:
            yield f"into {list(node.into)} does not hold the {held} elements of its axes"


def _bad_shape(shape: Shape, key: str = "shape") -> Iterator[str]:
    if not shape:
        yield f"its {key} is [], which has no axes"
    elif min(shape) < 1:
        yield f"its {key} {list(shape)} holds a length below 1"


def _bad_linear(node: Linear | Affine) -> Iterator[str]:
    shape = node.weight.shape
    if len(shape) < 2:
        yield f"weight {list(shape)} needs at least two axes, [out, in]"
    elif 0 in shape:
        yield f"weight {list(shape)} is empty"
    elif isinstance(node, Affine) and node.bias.shape != shape[:-1]:
        yield f"bias {list(node.bias.shape)} does not match weight {list(shape)}"
    if node.delay is not None and node.delay.shape != shape:
        yield f"delay {list(node.delay.shape)} does not match weight {list(shape)}"


def _bad_conv(node: Conv1d | Conv2d) -> Iterator[str]:
    shape, axes = node.weight.shape, 1 if isinstance(node, Conv1d) else 2
    if len(shape) != 2 + axes:
        yield f"weight {list(shape)} needs {2 + axes} axes"
        return
    if 0 in shape:
        yield f"weight {list(shape)} is empty"
    if node.bias.shape != shape[:1]:
        yield f"bias {list(node.bias.shape)} does not match weight {list(shape)}"
    if node.groups < 1 or shape[0] % node.groups:
        yield f"groups {node.groups} does not divide its {shape[0]} output channels"
    window = {"stride": node.stride, "dilation": node.dilation}
    if axes == 2:
        given = {} if isinstance(node.padding, str) else {"padding": node.padding}
        yield from _not_pairs(window | given)
    yield from _below(1, window)
    if node.input_shape is not None:
        yield from _below(1, {"input_shape": node.input_shape})
        if np.size(node.input_shape) != axes:
            yield f"input_shape {_plain(node.input_shape)} needs {axes} lengths"
    if not isinstance(node.padding, str):
        yield from _below(0, {"padding": node.padding})
    elif node.padding not in ("same", "valid"):
        yield f"padding '{node.padding}' is neither 'same' nor 'valid' nor a number"
    elif node.padding == "same" and np.any(np.array(node.stride) != 1):
        yield f"padding 'same' needs stride 1, not {_plain(node.stride)}"


def _bad_neuron(node: Any) -> Iterator[str]:
    shapes = {name: value.shape for name, value in arrays(node).items()}
    listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    if len(set(shapes.values())) > 1:
        yield f"its parameters differ in shape: {listed}"
    elif () in shapes.values():
        yield f"its parameters have no axes: {listed}"
    elif any(0 in shape for shape in shapes.values()):
        yield f"its parameters are empty: {listed}"


def _is_bad(shape: Shape) -> bool:
    return not shape or min(shape) < 1


def _bad_cells(node: Cells) -> Iterator[str]:
    """Numbers that the model does not have or that do not fit the neurons."""
    model = node.model
    known = {f.name: f for f in model.parameters}
    for name in (f.name for f in model.parameters if f.default is None):
        if name not in node.values:
            yield f"{model.name} needs a value for {name}"
    for kind, given, names in (
        ("parameter", node.values, set(known)),
        ("state", node.initial, set(model.states)),
        ("option", node.options, set(model.options)),
    ):
        for name in sorted(set(given) - names):
            listed = ", ".join(sorted(names)) or "none"
            yield f"{model.name} has no {kind} {name!r}; it has: {listed}"
    for name, value in {**node.values, **node.initial}.items():
        if not _spreads(np.shape(value), node.shape):
            yield f"{name} {list(np.shape(value))} does not spread over {list(node.shape)}"
    for name, value in node.options.items():
        words = model.choices.get(name, ())
        if name in model.options and type(value) is not type(model.options[name]):
            yield f"{name} is {value!r}, must be {type(model.options[name]).__name__}"
        elif words and value not in words:
            yield f"{name} is {value!r}, one of: {', '.join(map(str, words))}"


def _spreads(shape: Shape, over: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, over) == over
    except ValueError:
        return False


def _not_pairs(values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if np.shape(value) != (2,):
            yield f"{name} {_plain(value)} needs two numbers, (y, x)"


def _below(least: int, values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if np.any(np.array(value) < least):
            yield f"{name} {_plain(value)} is below {least}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
