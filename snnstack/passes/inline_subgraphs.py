"""Replace nested graphs by their nodes; names are joined with a dot."""

from __future__ import annotations

from dataclasses import replace

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Input, Leaf, Output


def inline_subgraphs(graph: Graph) -> Graph:
    """The same network without nested graphs.

    An edge into a nested graph reaches the successors of its input nodes; an edge out of it
    starts at the predecessors of its output nodes. Delays add up; an edge ends in the port that
    the last of its parts names.
    """
    while any(isinstance(node, Graph) for node in graph.nodes.values()):
        name = next(n for n, node in graph.nodes.items() if isinstance(node, Graph))
        graph = _inline(graph, name)
    return graph


def _inline(outer: Graph, name: str) -> Graph:
    inner = outer.nodes[name]
    assert isinstance(inner, Graph)
    nodes: dict[str, Leaf | Graph] = {}
    for key, node in outer.nodes.items():
        if key != name:
            nodes[key] = node
            continue
        for part, leaf in inner.nodes.items():
            if not isinstance(leaf, (Input, Output)):
                nodes[f"{name}.{part}"] = leaf
    edges = [edge for edge in inner.edges if not _touches_port(inner, edge)]
    kept = [Edge(f"{name}.{e.source}", f"{name}.{e.target}", e.delay, e.port) for e in edges]
    for edge in outer.edges:
        kept += _rewired(outer, inner, name, edge)
    return replace(outer, nodes=nodes, edges=tuple(dict.fromkeys(kept)))


def _touches_port(inner: Graph, edge: Edge) -> bool:
    return isinstance(inner.nodes[edge.source], Input) or isinstance(
        inner.nodes[edge.target], Output
    )


def _rewired(outer: Graph, inner: Graph, name: str, edge: Edge) -> list[Edge]:
    """The edges of the flat graph that one edge of the outer graph stands for."""
    sources = [(edge.source, edge.delay)]
    if edge.source == name:
        sources = [
            (f"{name}.{e.source}", _sum(edge.delay, e.delay))
            for e in inner.edges
            if isinstance(inner.nodes[e.target], Output)
        ]
    targets: list[tuple[str, int | None, str | None]] = [(edge.target, None, edge.port)]
    if edge.target == name:
        targets = [
            (f"{name}.{e.target}", e.delay, e.port)
            for e in inner.edges
            if isinstance(inner.nodes[e.source], Input)
        ]
    return [Edge(s, t, _sum(ds, dt), port) for s, ds in sources for t, dt, port in targets]


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)
