"""Gains and lags that a NIR file leaves to the program that wrote it.

NIR's equations with the numbers in the file are not what Norse and Rockpool compute from their
own modules. With the step dt, u the input of a neuron:

    Norse    LIFCell     v = v + dt / tau_mem (v_leak - v + i);  i = (1 - dt / tau_syn) i + u
             IAFCell     v = v + u
    Rockpool LIFTorch    i = exp(-dt / tau_syn) (i + u);  v = exp(-dt / tau_mem) v + i
             ExpSynTorch i = exp(-dt / tau) (i + u)

Norse's LIFCell takes its input after the membrane: one step late. Its membranes begin at v_leak.
Sources: norse 1.1,
`functional/lif.py`, `functional/iaf.py`; Rockpool 3.1, `modules/torch/lif_torch.py`,
`exp_syn_torch.py`. Norse's LIFBoxCell and LIBoxCell, and sinabs' neurons, are NIR's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, LI, LIF, Affine, CubaLIF, Flatten, Input, Leaf, Threshold
from snnstack.ir.step import size

ALWAYS = "always"
"""The neuron that brings a late bias: it fires in every step."""


def as_written(graph: Graph, writer: str) -> Graph:
    """A flat `graph` with all choices made, with the gains and lags of `writer`.

    Raises ModelError where a lag cannot be expressed.
    """
    assert graph.dt is not None
    exact = {"norse": "euler", "rockpool": "exponential"}
    if exact.get(writer) != graph.integrator:
        return graph
    change = _of_norse if writer == "norse" else _of_rockpool
    nodes = {name: change(node, graph.dt) for name, node in graph.nodes.items()}
    graph = graph.with_(nodes=nodes)
    return _late_currents(graph) if writer == "norse" else graph


def _of_norse(node: Any, dt: float) -> Any:
    if isinstance(node, (LIF, CubaLIF)):
        node = _from_leak(node)
    if isinstance(node, CubaLIF):
        return replace(node, w_in=node.w_in * node.tau_syn / dt)
    return replace(node, r=node.r / dt) if isinstance(node, IF) else node


def _from_leak(node: Any) -> Any:
    """Membranes counted from `v_leak`, where Norse's begin; here all begin at 0."""
    rest = node.v_leak
    return replace(
        node, v_leak=np.zeros_like(rest), v_reset=node.v_reset - rest,
        v_threshold=node.v_threshold - rest,
    )  # fmt: skip


def _of_rockpool(node: Any, dt: float) -> Any:
    if isinstance(node, CubaLIF):
        left, membrane = np.exp(-dt / node.tau_syn), np.exp(-dt / node.tau_mem)
        return replace(node, w_in=left / (1.0 - left), r=1.0 / (1.0 - membrane))
    if isinstance(node, LI):
        left = np.exp(-dt / node.tau)
        return replace(node, r=left / (1.0 - left))
    return node


def _late_currents(graph: Graph) -> Graph:
    """All input of CubaLIF neurons one step later, biases too."""
    late = [name for name, node in graph.nodes.items() if isinstance(node, CubaLIF)]
    if not late:
        return graph
    raise_if_any(ModelError, (p for name in late for p in _in_a_loop(graph, name)))
    biases = {name: bias for name, bias in _biases(graph).items() if name in late and bias.any()}
    raise_if_any(ModelError, (p for name in biases for p in _is_a_map(graph, name)))
    edges = tuple(
        replace(e, delay=(e.delay or 0) + 1) if e.target in late else e for e in graph.edges
    )
    graph = graph.with_(edges=edges)
    return _with_late(graph, biases) if biases else graph


def _biases(graph: Graph) -> dict[str, Any]:
    from snnstack.passes.discretise import discretise

    return {p.name: p.bias for p in discretise(graph).populations}


def _in_a_loop(graph: Graph, name: str) -> list[Problem]:
    seen, found = {name}, [name]
    while found:
        for after in graph.successors(found.pop()):
            if after == name:
                what = "is a LIFCell in a loop, whose input Norse takes a step late"
                hint = "leave out --written-by and give the edges their delays, or use LIFBoxCell"
                return [Problem(name, what, hint)]
            if after not in seen:
                seen.add(after)
                found.append(after)
    return []


def _is_a_map(graph: Graph, name: str) -> list[Problem]:
    node = graph.nodes[name]
    if isinstance(node, CubaLIF) and node.tau_mem.ndim > 1:
        what = "is a LIFCell, which Norse gives the bias of the layer before only from step 1 on"
        return [Problem(name, what, "use bias=False in that layer, or LIFBoxCell")]
    return []


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
