"""Shapes that an exporter took from a whole sample: axes of batch and time before the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import (
    NEURONS,
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
    Shape,
    SumPool2d,
)
from snnstack.ir.shapes import inferred_shapes, show
from snnstack.ir.wellformed import arrays, malformed

Reading = tuple[Graph, tuple[str, ...]]


def without_sample_axes(graph: Graph) -> Reading:
    """The graph with inputs of the shape of one step of one sample, and a note for each changed.

    An input loses the leading axes that nothing behind it has. Other shapes stay, and
    `snnstack.ir.check` names what does not fit.
    """
    notes: list[str] = []
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        wanted = _wanted(graph, name) if isinstance(node, Input) else None
        if isinstance(node, Input) and wanted is not None and len(node.shape) > wanted:
            shape = node.shape[-wanted:]
            nodes[name] = replace(node, shape=shape)
            notes.append(_note(name, node.shape, shape))
    return graph.with_(nodes=nodes), tuple(notes)


def with_shapes_behind(graph: Graph) -> Reading:
    """The same for every Flatten and output, where what reaches them is the end of their shape."""
    notes: list[str] = []
    for name in graph.nodes:
        node: Any = graph.nodes[name]
        if not isinstance(node, (Flatten, Output)) or any(malformed(node)):
            continue
        whole = node.shape if isinstance(node, Output) else node.input_shape
        given = _given(graph, name)
        if not given or whole is None or len(whole) <= len(given):
            continue
        if whole[-len(given) :] == given:
            made = _shortened(node, len(whole) - len(given))
            notes.append(_note(name, whole, given))
            graph = graph.with_(nodes={**graph.nodes, name: made})
    return graph, tuple(notes)


def _shortened(node: Flatten | Output, lead: int) -> Flatten | Output:
    if isinstance(node, Output):
        return replace(node, shape=node.shape[lead:])
    start, end = (d - lead if d > 0 else d for d in (node.start_dim, node.end_dim))
    shape = (node.input_shape or ())[lead:]
    return replace(node, input_shape=shape, start_dim=max(start, 0), end_dim=end)


def _given(graph: Graph, name: str) -> Shape | None:
    """The shape that reaches a node, where the nodes before it tell it."""
    shapes = inferred_shapes(graph)
    return next((shapes[p] for p in graph.predecessors(name) if p in shapes), None)


def _note(name: str, whole: Shape, kept: Shape) -> str:
    return f"{name}: shape {show(whole)} is read as {show(kept)}: axes of batch and time go"


def _wanted(graph: Graph, name: str) -> int | None:
    """How many axes the nodes behind an input have; None where they do not tell one number."""
    told = set(_axes(graph, name, set()))
    return told.pop() if len(told) == 1 else None


def _axes(graph: Graph, name: str, seen: set[str]) -> Iterator[int]:
    for after in graph.successors(name):
        node: Any = graph.nodes.get(after)
        if after in seen or node is None:
            continue
        seen.add(after)
        match node:
            case Graph():
                yield from (len(inner.shape) for inner in node.inputs().values())
            case Conv1d():
                yield 2
            case Conv2d() | SumPool2d() | AvgPool2d():
                yield 3
            case Flatten() if node.input_shape is not None:
                yield len(node.input_shape)
            case Linear() | Affine() | Scale() | Delay() if _keeps_axes(node):
                yield from _axes(graph, after, seen)
            case _ if isinstance(node, NEURONS):
                yield from _own_axes(node)


def _keeps_axes(node: Any) -> bool:
    """Whether a node gives as many axes as it takes, however many."""
    return not isinstance(node, (Linear, Affine)) or node.weight.ndim == 2


def _own_axes(node: Any) -> Iterator[int]:
    """As many as the parameters have; with single numbers alone, one."""
    ranks = {a.ndim for a in arrays(node).values() if a.size > 1}
    if len(ranks) < 2:
        yield max(ranks, default=1)
