"""Learned: the weights after a run become those of the model, which no longer learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Graph
from snnstack.passes.paths import paths
from snnstack.trace import Trace


def learned(graph: Graph, trace: Trace, sample: int = 0) -> Graph:
    """`graph` with the weights that synapses had after `sample` of `trace`, and without rules.

    Raises ModelError for a plastic node whose weights the trace does not hold, and for one that
    joins several pairs of populations, whose weights have become different.
    """
    nodes: dict[str, Any] = dict(graph.nodes)
    problems: list[Problem] = []
    ends: dict[str, list[str]] = {}
    for path in paths(graph):
        for name in path.via:
            if getattr(graph.nodes[name], "rule", None) is not None:
                ends.setdefault(name, []).append(f"{path.source} -> {path.target}")
    for name, pairs in ends.items():
        node, found = nodes[name], trace.weights.get(pairs[0])
        if len(pairs) > 1:
            what = f"learns for {', '.join(pairs)}, each with weights of its own"
            problems.append(Problem(name, what, "give every pair a node of its own"))
        elif found is None or found.shape[1:] != node.weight.shape:
            problems.append(Problem(name, f"the trace has no weights of {pairs[0]} for it"))
        elif not 0 <= sample < len(found):
            what = f"the trace has {len(found)} samples, {sample} is none of them"
            problems.append(Problem(name, what, "counted from 0"))
        else:
            nodes[name] = replace(node, weight=found[sample], rule=None)
    raise_if_any(ModelError, problems)
    return graph.with_(nodes=nodes)
