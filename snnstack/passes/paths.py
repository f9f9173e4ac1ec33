"""Find every way from a population or input, through stateless nodes, to a population."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import NEURONS, Input, Output


@dataclass(frozen=True)
class Path:
    """`source` to `target` through the stateless nodes `via`, along `edges`."""

    source: str
    via: tuple[str, ...]
    target: str
    edges: tuple[Edge, ...]

    @property
    def explicit_delay(self) -> int | None:
        """The sum of the edges' delays in steps, or None if no edge says one."""
        stated = [edge.delay for edge in self.edges if edge.delay is not None]
        return sum(stated) if stated else None


def target_names(graph: Graph) -> list[str]:
    """Nodes that hold state or results: neurons, and outputs not fed by a neuron directly."""
    names = []
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS):
            names.append(name)
        elif isinstance(node, Output):
            before = graph.predecessors(name)
            if any(not isinstance(graph.nodes[p], NEURONS) for p in before):
                names.append(name)
    return names


def paths(graph: Graph) -> list[Path]:
    """All paths, in a fixed order (by target, then as the edges stand)."""
    into: Mapping[str, list[Edge]] = {name: [] for name in graph.nodes}
    for edge in graph.edges:
        into[edge.target].append(edge)
    return [path for name in target_names(graph) for path in _back(graph, into, name, (), ())]


def _back(
    graph: Graph,
    into: Mapping[str, list[Edge]],
    target: str,
    via: tuple[str, ...],
    edges: tuple[Edge, ...],
) -> Iterator[Path]:
    at = via[0] if via else target
    for edge in into[at]:
        node, walked = graph.nodes[edge.source], (edge, *edges)
        if isinstance(node, (*NEURONS, Input)):
            yield Path(edge.source, via, target, walked)
        elif edge.source not in via:
            yield from _back(graph, into, target, (edge.source, *via), walked)


def bias_paths(graph: Graph) -> list[Path]:
    """As `paths`, but from every node with a bias: `source` is that node, `via` what follows."""
    found = []
    for path in paths(graph):
        for position, name in enumerate(path.via):
            if hasattr(graph.nodes[name], "bias"):
                rest = path.via[position + 1 :]
                found.append(Path(name, rest, path.target, path.edges[position + 1 :]))
    return list(dict.fromkeys(found))
