"""Neurons that take all of their input one step late, biases too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Affine, Flatten, Input, Leaf, Threshold
from snnstack.ir.step import size

ALWAYS = "always"
"""The neuron that brings a late bias: it fires in every step."""


def with_late_input(graph: Graph, late: list[str]) -> Graph:
    """All input of the neurons `late` of a flat graph one step later, biases too.

    Edges that close a loop say their delay already and keep it. Raises ModelError for a bias
    of maps, which no neuron can bring.
    """
    if not late:
        return graph
    biases = {name: bias for name, bias in _biases(graph).items() if name in late and bias.any()}
    raise_if_any(ModelError, (p for name in biases for p in _is_a_map(name, biases[name])))
    edges = tuple(
        replace(e, delay=1) if e.target in late and e.delay is None else e for e in graph.edges
    )
    graph = graph.with_(edges=edges)
    return _with_late(graph, biases) if biases else graph


def _biases(graph: Graph) -> dict[str, Any]:
    from snnstack.passes.discretise import discretise

    return {p.name: p.bias.reshape(p.shape) for p in discretise(graph).populations}


def _is_a_map(name: str, bias: Any) -> list[Problem]:
    if bias.ndim < 2:
        return []
    what = "answers a step late, so that the bias of the layer before acts from step 1 on only"
    return [Problem(name, what, "use bias=False in that layer")]


def _with_late(graph: Graph, biases: dict[str, Any]) -> Graph:
    """`graph` with biases that begin in step 1: a neuron that fires in every step brings them."""
    port, given = next((n, node) for n, node in graph.nodes.items() if isinstance(node, Input))
    n, source = size(given.shape), port
    nodes: dict[str, Leaf | Graph] = {
        f"{ALWAYS}_drive": Affine(np.zeros((1, n)), np.ones(1)),
        ALWAYS: Threshold(np.array([0.5])),
    }
    edges = [Edge(f"{ALWAYS}_drive", ALWAYS, 0)]
    if len(given.shape) > 1:
        source = f"{ALWAYS}_flat"
        nodes[source] = Flatten(None, 0, -1)
        edges.append(Edge(port, source, 0))
    edges.append(Edge(source, f"{ALWAYS}_drive", 0))
    for name, bias in biases.items():
        nodes[f"{name}_begin"] = Affine(bias[:, None], -bias)
        edges += [Edge(ALWAYS, f"{name}_begin", 1), Edge(f"{name}_begin", name, 0)]
    return graph.with_(nodes={**graph.nodes, **nodes}, edges=(*graph.edges, *edges))
