"""Neurons whose parameters a file gives as single numbers: one for each neuron that there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import NEURONS, Array, Input, Leaf, Shape
from snnstack.ir.shapes import output_shape, takes
from snnstack.ir.wellformed import arrays, malformed


def spread(graph: Graph) -> Graph:
    """The graph with single numbers spread over the shape of what enters the neurons.

    Norse writes thresholds and time constants like this, without axes; sinabs with one axis of
    length 1. Where that shape is not known, nodes
    stay as they are, and the rules of `snnstack.ir.check` name them.
    """
    nodes: dict[str, Leaf | Graph] = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            nodes[name] = spread(node)
        elif isinstance(node, NEURONS) and any(map(_is_single, arrays(node).values())):
            shape = _own(node) or _incoming(graph, name, frozenset())
            if shape is not None:
                nodes[name] = _full(node, shape)
    return graph.with_(nodes=nodes)


def _is_single(values: Array) -> bool:
    return values.ndim == 0 or values.shape == (1,)


def _own(node: Any) -> Shape | None:
    """The shape that the parameters which are no single numbers agree on."""
    shapes = {v.shape for v in arrays(node).values() if not _is_single(v)}
    return shapes.pop() if len(shapes) == 1 else None


def _full(node: Any, shape: Shape) -> Leaf:
    single = {name: v for name, v in arrays(node).items() if _is_single(v)}
    made: Leaf = replace(
        node, **{name: np.full(shape, v.item(), v.dtype) for name, v in single.items()}
    )
    return made


def _incoming(graph: Graph, name: str, seen: frozenset[str]) -> Shape | None:
    """The shape of what enters a node, by the first way that tells it."""
    for source in graph.predecessors(name):
        node = graph.nodes.get(source)
        if node is None or source in seen or isinstance(node, Graph):
            continue
        if isinstance(node, Input):
            return node.shape or None
        given = _own(node) if isinstance(node, NEURONS) else None
        given = given or _incoming(graph, source, seen | {name})
        if given is None or isinstance(node, NEURONS):
            if given is not None:
                return given
            continue
        if not any(malformed(node)) and takes(node, given):
            return output_shape(node, given)
    return None
