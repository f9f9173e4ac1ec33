"""Loops of a graph that cannot be run step by step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import NEURONS, Delay, Leaf

Successors = Mapping[str, set[str]]


def algebraic_loops(graph: Graph) -> list[list[str]]:
    """Loops of nodes without state, each as a walk that ends where it began."""
    stateless = {name for name, node in graph.nodes.items() if not _has_state(node)}
    after: dict[str, set[str]] = {name: set() for name in stateless}
    for edge in graph.edges:
        if edge.source in stateless and edge.target in stateless:
            after[edge.source].add(edge.target)
    return loops(after)


def zero_delay_loops(graph: Graph) -> list[list[str]]:
    """Loops of neurons whose every connection is said to act within the step.

    A connection is a path between neurons through stateless nodes; its delay is the sum of
    those that its edges state. One whose edges state none gets its delay later.
    """
    neurons = [name for name, node in graph.nodes.items() if _has_state(node)]
    return loops({name: _reached(graph, name) for name in neurons})


def loops(after: Successors) -> list[list[str]]:
    """One shortest loop for each group of names that can reach each other."""
    found: list[list[str]] = []
    covered: set[str] = set()
    for name in sorted(after):
        loop = None if name in covered else _loop_through(after, name)
        if loop is not None:
            found.append(loop)
            covered |= _reachable(after, name) & {n for n in after if name in _reachable(after, n)}
    return found


def _has_state(node: Leaf | Graph) -> bool:
    if isinstance(node, Graph):
        return any(_has_state(inner) for inner in node.nodes.values())
    return isinstance(node, NEURONS)


def _reached(graph: Graph, start: str) -> set[str]:
    """Neurons that `start` acts on within the step, by paths with at least one stated delay."""
    found: set[str] = set()
    seen: set[tuple[str, bool]] = set()
    front = [(start, False)]
    while front:
        name, stated = front.pop()
        for edge in graph.edges:
            node = graph.nodes.get(edge.target)
            if edge.source != name or edge.delay not in (None, 0) or node is None:
                continue
            state = (edge.target, stated or edge.delay == 0)
            if _has_state(node):
                found |= {edge.target} if state[1] else set()
            elif state not in seen and not _delays(node):
                seen.add(state)
                front.append(state)
    return found


def _delays(node: Leaf | Graph) -> bool:
    """Whether everything that passes this node arrives in a later step."""
    delay = getattr(node, "delay", None)
    if delay is None or isinstance(node, Graph):
        return False
    limit = 0 if isinstance(node, Delay) else 0.5
    return bool(delay.size and np.all(delay > limit))


def _reachable(after: Successors, start: str) -> set[str]:
    seen: set[str] = set()
    front = [start]
    while front:
        new = after.get(front.pop(), set()) - seen
        seen |= new
        front.extend(new)
    return seen


def _loop_through(after: Successors, start: str) -> list[str] | None:
    came: dict[str, str] = {}
    front = [start]
    while front:
        name = front.pop(0)
        for target in sorted(after.get(name, set())):
            if target == start:
                walk = [start, name]
                while walk[-1] != start:
                    walk.append(came[walk[-1]])
                return walk[::-1] if name != start else [start, start]
            if target not in came:
                came[target] = name
                front.append(target)
    return None
