"""Several inputs as one, for machines that know a single one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.step import Dense, Projection, Sparse, StepGraph, door, size


def on_one_input(graph: StepGraph) -> StepGraph:
    """The same network behind its door: synapses from any input leave the door's elements.

    Convolutions and pools that read an input of several become lists of synapses.
    """
    if len(graph.inputs) == 1:
        return graph
    entry = door(graph.inputs)
    first, at = {}, 0
    for port in graph.inputs:
        first[port.name], at = at, at + port.n
    sizes = {p.name: size(p.shape) for p in graph.populations}
    projections = tuple(
        _shifted(p, entry.name, first[p.source], entry.n, sizes[p.target])
        if p.source in first
        else p
        for p in graph.projections
    )
    return graph.with_(inputs=(entry,), projections=projections)


def _shifted(p: Projection, name: str, first: int, n: int, targets: int) -> Projection:
    """The projection from the elements `first` and following of `n`."""
    synapses = p.synapses
    if isinstance(synapses, Dense):
        weight = np.zeros((targets, n), dtype=synapses.weight.dtype)
        weight[:, first : first + synapses.weight.shape[1]] = synapses.weight
        if np.count_nonzero(weight) * 2 >= weight.size:
            return replace(p, source=name, synapses=Dense(weight))
    if not isinstance(synapses, Sparse):
        weights = matrix(synapses, targets)
        if p.pool is not None:
            weights = weights @ pool_matrix(p.pool)
        synapses = from_matrix(weights)
    elif p.pool is not None:
        synapses = from_matrix(matrix(synapses, targets) @ pool_matrix(p.pool))
    ends = synapses.indptr
    indptr = np.concatenate(
        [np.zeros(first, ends.dtype), ends, np.full(n - first - len(ends) + 1, ends[-1])]
    ).astype(np.int64)
    return replace(p, source=name, synapses=replace(synapses, indptr=indptr), pool=None)
