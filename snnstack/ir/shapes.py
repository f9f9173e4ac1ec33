"""Shape inference: what every node gives and takes, from the inputs and the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    NEURONS,
    Affine,
    AvgPool2d,
    Cells,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    I,
    Input,
    Leaf,
    Linear,
    Output,
    Scale,
    Shape,
    SumPool2d,
    Threshold,
)
from snnstack.ir.wellformed import bad_axes, malformed

Pattern = tuple[int | str, ...]
"""A shape in which a letter stands for any length, and `...` for any number of axes."""


def conv_padding(padding: int | str, kernel: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros (before, after) one axis; 'same' puts the odd one after, as torch does."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = dilation * (kernel - 1)
        return total // 2, total - total // 2
    return int(padding), int(padding)


def conv_output(
    size: int, kernel: int, stride: int = 1, padding: int | str = 0, dilation: int = 1
) -> int:
    """Length of one axis after a convolution or a pool; below 1 if the kernel does not fit.

    Equation: torch.nn.Conv2d, https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """
    before, after = conv_padding(padding, kernel, dilation)
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def show(shape: Pattern) -> str:
    """A shape or pattern as users see it: `[2, 34, 34]`."""
    return "[" + ", ".join(str(length) for length in shape) + "]"


def own_shape(node: Leaf | Graph) -> Shape | None:
    """Shape a node gives whatever it is fed, or None where that depends on its input."""
    match node:
        case Graph():
            return next((n.shape for n in node.outputs().values()), None)
        case Input() | Output():
            return node.shape
        case Linear() | Affine():
            lead, out = node.weight.shape[:-2], node.weight.shape[-2]
            return (*lead, out) if lead else None
        case Conv1d() | Conv2d():
            known = node.input_shape
            sizes = known if isinstance(known, tuple) else (known,)
            return None if known is None else _conv_shape(node, sizes)  # type: ignore[arg-type]
        case Flatten():
            return None if node.input_shape is None else _flat_shape(node, node.input_shape)
        case Threshold():
            return node.threshold.shape
        case I():
            return node.r.shape
        case Cells():
            return node.shape
        case _ if isinstance(node, NEURONS):
            return node.v_leak.shape if hasattr(node, "v_leak") else node.v_threshold.shape
    return None


def output_shape(node: Leaf | Graph, given: Shape) -> Shape:
    """Shape a node gives when fed `given`, a shape that it takes."""
    match node:
        case Linear() | Affine():
            return (*given[:-1], node.weight.shape[-2])
        case Conv1d() | Conv2d():
            return _conv_shape(node, given[1:])
        case SumPool2d() | AvgPool2d():
            return _pool_shape(node, given)
        case Flatten():
            return _flat_shape(node, given)
    return own_shape(node) or given


def taken(node: Leaf | Graph) -> Pattern:
    """What a node can be fed; `("...",)` is anything."""
    match node:
        case Graph():
            return next((n.shape for n in node.inputs().values()), ("...",))
        case Linear() | Affine():
            lead, size = node.weight.shape[:-2], node.weight.shape[-1]
            return (*lead, size) if lead else ("...", size)
        case Conv1d():
            return _channels(node), "N" if node.input_shape is None else node.input_shape
        case Conv2d():
            return (_channels(node), *(node.input_shape or ("H", "W")))
        case SumPool2d() | AvgPool2d():
            return "C", "H", "W"
        case Flatten():
            return ("...",) if node.input_shape is None else node.input_shape
        case Scale() | Delay():
            return ("...",)
    return own_shape(node) or ("...",)


def takes(node: Leaf | Graph, shape: Shape) -> bool:
    """Whether a node can be fed `shape`."""
    if isinstance(node, (Scale, Delay)):
        return _spans(node.scale if isinstance(node, Scale) else node.delay, shape)
    if isinstance(node, Graph):
        return all(n.shape == shape for n in node.inputs().values())
    pattern = taken(node)
    if pattern[:1] == ("...",):
        tail = pattern[1:]
        return len(shape) >= len(tail) and shape[len(shape) - len(tail) :] == tail
    if len(pattern) != len(shape):
        return False
    return all(isinstance(p, str) or p == s for p, s in zip(pattern, shape, strict=True))


def output_shapes(graph: Graph) -> dict[str, Shape]:
    """Shape that every node gives, by name, without batch and time.

    Raises ModelError naming both ends of every edge whose shapes disagree, and every node
    whose shape nothing determines.
    """
    shapes = inferred_shapes(graph)
    problems = list(shape_problems(graph))
    if not problems:
        hint = "connect it to an input"
        missing = [name for name in graph.nodes if name not in shapes]
        problems = [Problem(name, "its shape cannot be determined", hint) for name in missing]
    raise_if_any(ModelError, problems)
    return {name: shapes[name] for name in graph.nodes}


def with_shapes(graph: Graph) -> Graph:
    """The same graph with `input_shape` filled in where Conv and Flatten nodes leave it out.

    Raises ModelError as `output_shapes` does.
    """
    shapes = output_shapes(graph)
    fed = {edge.target: shapes[edge.source] for edge in graph.edges}
    nodes = {name: _with_shape(node, fed.get(name)) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def shape_problems(graph: Graph) -> Iterator[Problem]:
    """Every edge whose two shapes disagree and every window that does not fit its input.

    Nodes that are malformed themselves are passed over, and so are edges to missing nodes.
    """
    shapes = inferred_shapes(graph)
    fed: dict[str, tuple[str, Shape]] = {}
    for edge in graph.edges:
        node, shape = graph.nodes.get(edge.target), shapes.get(edge.source)
        if node is None or shape is None or not _usable(node):
            continue
        wrong = takes(node, shape)
        if not wrong:
            yield _disagreement(edge, node, shape)
            continue
        yield from _unfit(edge.target, node, shape)
        first, seen = fed.setdefault(edge.target, (edge.source, shape))
        if seen != shape:
            what = f"{first} gives {show(seen)} but {edge.source} gives {show(shape)}"
            yield Problem(edge.target, f"{what}; they are added", "inputs of a node need one shape")


def _disagreement(edge: Edge, node: Leaf | Graph, shape: Shape) -> Problem:
    what = f"{edge.source} gives {show(shape)} but {edge.target} takes {_wanted(node)}"
    pattern = taken(node)
    flat = len(shape) > 1 and (prod(shape),) == tuple(p for p in pattern if p != "...")
    return Problem(str(edge), what, "put a Flatten between them" if flat else "")


def _wanted(node: Leaf | Graph) -> str:
    if isinstance(node, (Scale, Delay)):
        return show((node.scale if isinstance(node, Scale) else node.delay).shape)
    return show(taken(node))


def _unfit(name: str, node: Leaf | Graph, shape: Shape) -> Iterator[Problem]:
    if isinstance(node, Flatten):
        for what in bad_axes(node, shape):
            yield Problem(name, what, "axes are counted without batch and time")
        return
    kernel: Shape = ()
    if isinstance(node, (Conv1d, Conv2d)):
        kernel = node.weight.shape[2:]
    elif isinstance(node, (SumPool2d, AvgPool2d)):
        kernel = node.kernel_size
    out = output_shape(node, shape)
    if kernel and min(out) < 1:
        what = f"its kernel {show(kernel)} does not fit into its input {show(shape)}"
        yield Problem(name, what, f"the output would be {show(out)}")


def inferred_shapes(graph: Graph) -> dict[str, Shape]:
    """Shapes of all nodes that can be determined, by name, without judging them.

    Loops are followed to a fixed point.
    """
    shapes = {}
    for name, node in graph.nodes.items():
        shape = own_shape(node) if _usable(node) else None
        if shape is not None and min(shape) > 0:
            shapes[name] = shape
    front = list(shapes)
    while front:
        source = front.pop()
        for target in graph.successors(source):
            if target in shapes or target not in graph.nodes:
                continue
            node = graph.nodes[target]
            if _usable(node) and _fits(node, shapes[source]):
                shapes[target] = output_shape(node, shapes[source])
                front.append(target)
    return shapes


def _fits(node: Leaf | Graph, shape: Shape) -> bool:
    return takes(node, shape) and not any(_unfit("", node, shape))


def _usable(node: Leaf | Graph) -> bool:
    return isinstance(node, Graph) or not any(malformed(node))


def _with_shape(node: Leaf | Graph, given: Shape | None) -> Leaf | Graph:
    if isinstance(node, Graph):
        return with_shapes(node)
    match node:
        case Conv1d(input_shape=None) if given is not None:
            return replace(node, input_shape=given[1])
        case Conv2d(input_shape=None) if given is not None:
            return replace(node, input_shape=(given[1], given[2]))
        case Flatten(input_shape=None) if given is not None:
            return replace(node, input_shape=given)
    return node


def _channels(node: Conv1d | Conv2d) -> int:
    return int(node.weight.shape[1]) * node.groups


def _spans(values: Any, shape: Shape) -> bool:
    """Whether `values` can be spread over `shape` without enlarging it."""
    try:
        return np.broadcast_shapes(values.shape, shape) == shape
    except ValueError:
        return False


def _conv_shape(node: Conv1d | Conv2d, sizes: Shape) -> Shape:
    out = []
    for axis, (size, kernel) in enumerate(zip(sizes, node.weight.shape[2:], strict=True)):
        stride, dilation, padding = (
            value[axis] if isinstance(value, tuple) else value
            for value in (node.stride, node.dilation, node.padding)
        )
        out.append(conv_output(size, kernel, stride, padding, dilation))  # type: ignore[arg-type]
    return (int(node.weight.shape[0]), *out)


def _pool_shape(node: SumPool2d | AvgPool2d, given: Shape) -> Shape:
    axes = zip(given[1:], node.kernel_size, node.stride, node.padding, strict=True)
    return (given[0], *(conv_output(n, k, s, p) for n, k, s, p in axes))


def _flat_shape(node: Flatten, given: Shape) -> Shape:
    """NIR's counting: negative axes from the end, both ends included."""
    rank = len(given)
    start, end = node.start_dim % rank, node.end_dim % rank
    made = (prod(given[start : end + 1]),) if node.into is None else node.into
    return (*given[:start], *made, *given[end + 1 :])
