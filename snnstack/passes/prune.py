"""Prune: the smallest weights of every layer become zero, and the rest a list of synapses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.ir.graph import Graph
from snnstack.ir.matrix import from_matrix
from snnstack.ir.nodes import Affine, Array, Conv1d, Conv2d, Linear
from snnstack.ir.step import Dense, Projection, StepGraph

KEY = "pruned"
"""Metadata of a pruned graph: the share of weights that were set to zero."""
DENSE_ABOVE = 0.5
"""A matrix fuller than this stays dense: a list of its synapses would take more room."""


def prune(graph: Graph, share: float) -> Graph:
    """`share` of the weights of every Linear, Affine and Conv node set to zero, the smallest.

    >>> from snnstack.passes.prune import smallest_to_zero
    >>> smallest_to_zero(np.array([[0.5, -0.1], [0.2, -0.9]]), 0.5).tolist()
    [[0.5, 0.0], [0.0, -0.9]]
    """
    if not 0 < share < 1:
        what = f"{share:g} is not a share of the weights"
        raise fail(ModelError, "prune", what, "above 0 and below 1, such as 0.9")
    nodes = {name: _pruned(node, share) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes, metadata={**graph.metadata, KEY: share})


def _pruned(node: Any, share: float) -> Any:
    if isinstance(node, Graph):
        return replace(node, nodes={k: _pruned(n, share) for k, n in node.nodes.items()})
    if isinstance(node, (Linear, Affine, Conv1d, Conv2d)):
        return replace(node, weight=smallest_to_zero(node.weight, share))
    return node


def smallest_to_zero(weight: Array, share: float) -> Array:
    """`weight` with the share of smallest magnitudes (rounded down) at zero."""
    count = int(share * weight.size)
    order = np.argsort(np.abs(weight), axis=None, kind="stable")[:count]
    kept = np.array(weight)
    kept.ravel()[order] = 0
    return kept


def as_lists(steps: StepGraph) -> StepGraph:
    """Dense projections that are mostly zero as lists of synapses; convolutions keep their form."""
    return steps.with_(projections=tuple(_as_list(p) for p in steps.projections))


def _as_list(projection: Projection) -> Projection:
    synapses = projection.synapses
    if projection.rule is not None or not isinstance(synapses, Dense) or not synapses.weight.size:
        return projection
    if np.count_nonzero(synapses.weight) > DENSE_ABOVE * synapses.weight.size:
        return projection
    import scipy.sparse as sp

    return replace(projection, synapses=from_matrix(sp.csr_matrix(synapses.weight)))
