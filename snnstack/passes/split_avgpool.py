"""Replace AvgPool2d by SumPool2d and a Scale of 1 / window size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import AvgPool2d, Scale, SumPool2d
from snnstack.ir.shapes import output_shapes


def split_avgpool(graph: Graph) -> Graph:
    """The same network with sum pools only; the new node is called `<pool>.mean`."""
    averages = {n: p for n, p in graph.nodes.items() if isinstance(p, AvgPool2d)}
    if not averages:
        return graph
    shapes = output_shapes(graph)
    nodes = dict(graph.nodes)
    for name, pool in averages.items():
        factor = 1.0 / (pool.kernel_size[0] * pool.kernel_size[1])
        nodes[name] = SumPool2d(pool.kernel_size, pool.stride, pool.padding, pool.metadata)
        nodes[f"{name}.mean"] = Scale(np.full(shapes[name], factor))
    edges = [
        replace(edge, source=f"{edge.source}.mean") if edge.source in averages else edge
        for edge in graph.edges
    ]
    edges += [Edge(name, f"{name}.mean") for name in averages]
    return replace(graph, nodes=nodes, edges=tuple(edges))
