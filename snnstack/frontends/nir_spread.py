"""Neurons whose parameters a file gives as single numbers: one for each neuron that there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import NEURONS, Input, Leaf, Shape
from snnstack.ir.shapes import output_shape, takes
from snnstack.ir.wellformed import arrays, malformed


def spread(graph: Graph) -> Graph:
    """The graph with single numbers spread over the shape of what enters the neurons.

    Norse writes thresholds and time constants like this. Where that shape is not known, nodes
    stay as they are, and the rules of `snnstack.ir.check` name them.
    """
    nodes: dict[str, Leaf | Graph] = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            nodes[name] = spread(node)
        elif isinstance(node, NEURONS) and any(v.ndim == 0 for v in arrays(node).values()):
            shape = _own(node) or _incoming(graph, name, frozenset())
            if shape is not None:
                nodes[name] = _full(node, shape)
    return graph.with_(nodes=nodes)


def _own(node: Any) -> Shape | None:
    """The shape that the parameters with axes agree on."""
    shapes = {v.shape for v in arrays(node).values() if v.ndim}
    return shapes.pop() if len(shapes) == 1 else None


def _full(node: Any, shape: Shape) -> Leaf:
    wide = {n: np.broadcast_to(v, shape) for n, v in arrays(node).items() if v.ndim == 0}
    made: Leaf = replace(node, **{name: np.array(value) for name, value in wide.items()})
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
