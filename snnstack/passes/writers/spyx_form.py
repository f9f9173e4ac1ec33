"""What a file of spyx says about layers, as NIR would say it: order of maps, loops, padding.

spyx has its maps as [y, x, channel]; its exporter turns kernels and neurons around, but not the
weights behind a Flatten, which follow spyx's order. It leads the input of a recurrent layer
through the recurrent weights, which its layers do not. `SAME` pads as XLA does: as many zeros as
the strides need, the odd one behind. 0.1 wrote matrices as [in, out].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    LI,
    LIF,
    Affine,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Shape,
    SumPool2d,
    Threshold,
)
from snnstack.passes.writers.writer import Reading

EARLY = ("linear", "LIF", "IF", "LI", "CuBaLIF")
"""Names of layers in files of 0.1, before an underscore and a number."""


def form(graph: Graph, dt: float | None = None) -> Reading:
    """`graph` with the layers that spyx computes. Raises ModelError for padding that NIR lacks."""
    notes: tuple[str, ...] = ()
    if _of_0_1(graph):
        graph = graph.with_(nodes={n: _transposed(node) for n, node in graph.nodes.items()})
        notes = ("matrices are turned around: spyx 0.1 writes them as [in, out]",)
    nodes = {n: _loop(node) if isinstance(node, Graph) else node for n, node in graph.nodes.items()}
    graph = _fused(graph.with_(nodes=nodes))
    problems: list[Problem] = []
    nodes = {name: _padded(name, node, problems) for name, node in graph.nodes.items()}
    raise_if_any(ModelError, problems)
    return _in_order(graph.with_(nodes=nodes)), notes


def _of_0_1(graph: Graph) -> bool:
    named = [name.split("_")[0] for name in graph.nodes if name not in ("input", "output")]
    return bool(named) and all(name in EARLY for name in named)


def _transposed(node: Any) -> Any:
    if isinstance(node, (Linear, Affine)) and node.weight.ndim == 2:
        return replace(node, weight=node.weight.T)
    return node


def _loop(inner: Graph) -> Graph:
    """A recurrent layer whose input goes to the neurons, and whose spikes act one step later."""
    loops = [e for e in inner.edges if Edge(e.target, e.source) in inner.edges]
    weights = {n for e in loops for n in (e.source, e.target)} & {
        name for name, node in inner.nodes.items() if isinstance(node, (Linear, Affine))
    }
    if len(weights) != 1 or len(loops) != 2:
        return inner
    (weight,) = weights
    neuron = next(e.target for e in loops if e.source == weight)
    edges = []
    for edge in inner.edges:
        if isinstance(inner.nodes[edge.source], Input) and edge.target == weight:
            edges.append(Edge(edge.source, neuron))
        elif edge == Edge(weight, neuron):
            edges.append(Edge(weight, neuron, 1))
        elif edge == Edge(neuron, weight):
            edges.append(Edge(neuron, weight, 0))
        else:
            edges.append(edge)
    return inner.with_(edges=tuple(edges))


def _fused(graph: Graph) -> Graph:
    """LI and Threshold behind it as one neuron without a reset."""
    nodes, gone = dict(graph.nodes), {}
    for edge in graph.edges:
        first, second = graph.nodes.get(edge.source), graph.nodes.get(edge.target)
        alone = graph.successors(edge.source) == [edge.target]
        if isinstance(first, LI) and isinstance(second, Threshold) and alone:
            rest = np.zeros_like(second.threshold)
            nodes[edge.source] = LIF(
                first.tau, first.r, first.v_leak, rest, second.threshold, reset="none"
            )
            gone[edge.target] = edge.source
            del nodes[edge.target]
    kept = [Edge(gone.get(e.source, e.source), e.target, e.delay) for e in graph.edges
            if e.target not in gone]  # fmt: skip
    return graph.with_(nodes=nodes, edges=tuple(kept))


def _padded(name: str, node: Any, problems: list[Problem]) -> Any:
    if isinstance(node, SumPool2d) and any(node.padding):
        odd, whole = any(p % 2 for p in node.padding), tuple(p // 2 for p in node.padding)
    elif isinstance(node, Conv2d) and node.padding == "same" and node.input_shape is not None:
        total = tuple(map(_same, node.input_shape, node.weight.shape[-2:], node.stride))
        odd, whole = any(p % 2 for p in total), tuple(p // 2 for p in total)
    else:
        return node
    if odd:
        what = "is padded with one more zero behind than in front (SAME), which NIR cannot say"
        problems.append(Problem(name, what, "use VALID, or an odd kernel and stride 1"))
        return node
    return replace(node, padding=whole)


def _same(size: int, kernel: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


def _in_order(graph: Graph) -> Graph:
    """Weights behind a Flatten of maps, whose columns follow [y, x, channel], in NIR's order."""
    nodes = dict(graph.nodes)
    for name, shape in _flattened(graph):
        node = graph.nodes[name]
        order = np.arange(prod(shape)).reshape(*shape[1:], shape[0]).transpose(2, 0, 1).ravel()
        if isinstance(node, (Linear, Affine)) and node.weight.shape[-1] == order.size:
            nodes[name] = replace(node, weight=node.weight[..., order])
    return graph.with_(nodes=nodes)


def _flattened(graph: Graph) -> Iterator[tuple[str, Shape]]:
    """Matrices behind a Flatten of [channel, y, x], over neurons between them, and its shape."""
    for name, node in graph.nodes.items():
        if isinstance(node, Flatten) and len(node.input_shape or ()) == 3:
            found, seen = list(graph.successors(name)), set()
            while found:
                after = found.pop()
                if isinstance(graph.nodes[after], (Linear, Affine)):
                    yield after, node.input_shape or ()
                elif after not in seen:
                    seen.add(after)
                    found += graph.successors(after)
