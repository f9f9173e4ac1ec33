"""Neurons that never fire, put to use as copies of busy ones.

A neuron and its copies share what the neuron sent: with c of them, each sends 1/c of the outgoing
weights. In real numbers the network stays what it was. In integers it gains: the largest weights,
which set the scale of a row, get smaller, and copies can be rounded differently, so that their sum
has finer steps. (Outlier channel splitting, Zhao et al., arXiv 1901.09504, adds channels for that;
a trained spiking network often has idle neurons already.)
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Dense, Population, Projection, StepGraph

LEAST = 1e-30
"""Keeps rows of zeros apart from a division by zero."""


def reused(graph: StepGraph, counts: Mapping[str, Array]) -> StepGraph:
    """`graph` with silent neurons as copies of busy ones; the same object if there are none.

    `counts`: spikes of every neuron of a population on some samples, [n]; 0 is silent. Only
    populations that fire, are no output, and have dense projections on both sides are changed.
    """
    for p in graph.populations:
        owner = _owners(graph, p, counts[p.name]) if _can(graph, p, counts) else None
        if owner is not None:
            graph = _copied(graph, p, owner)
    return graph


def _can(graph: StepGraph, p: Population, counts: Mapping[str, Array]) -> bool:
    around = [q for q in graph.projections if p.name in (q.source, q.target)]
    dense = all(isinstance(q.synapses, Dense) and q.pool is None for q in around)
    return dense and p.threshold is not None and p.name not in graph.outputs and p.name in counts


def _owners(graph: StepGraph, p: Population, counts: Array) -> Array | None:
    """Whose copy every neuron is (busy ones: their own); None if there is nothing to do.

    The next silent neuron goes to whoever then still sends the largest weight, taken relative to
    the largest of the row that it stands in.
    """
    busy, silent = np.flatnonzero(counts > 0), np.flatnonzero(counts == 0)
    if not len(busy) or not len(silent):
        return None
    sent = _largest_sent(graph, p, busy)
    owner, waiting = np.arange(p.n), [(-value, j, 1) for j, value in enumerate(sent)]
    heapq.heapify(waiting)
    for k in silent:
        _, j, copies = waiting[0]
        owner[k] = busy[j]
        heapq.heapreplace(waiting, (-sent[j] / (copies + 1), j, copies + 1))
    return owner


def _largest_sent(graph: StepGraph, p: Population, busy: Array) -> Array:
    found = np.zeros(len(busy))
    for q in graph.projections:
        if q.source == p.name:
            weight = np.abs(q.synapses.weight[:, busy])
            weight = weight[busy] if q.target == p.name else weight
            found = np.maximum(found, (weight / (weight.max(1, keepdims=True) + LEAST)).max(0))
    return found


def _copied(graph: StepGraph, p: Population, owner: Array) -> StepGraph:
    share = 1.0 / np.bincount(owner, minlength=p.n)[owner]

    def synapses(q: Projection) -> Projection:
        weight = q.synapses.weight
        weight = weight[owner] if q.target == p.name else weight
        weight = weight[:, owner] * share if q.source == p.name else weight
        return q if weight is q.synapses.weight else replace(q, synapses=Dense(weight))

    populations = tuple(_rows(o, owner) if o.name == p.name else o for o in graph.populations)
    return graph.with_(
        populations=populations, projections=tuple(synapses(q) for q in graph.projections)
    )


def _rows(p: Population, owner: Array) -> Population:
    """Every parameter that has a value per neuron, as its owner has it."""
    return replace(p, values={k: v[owner] if np.ndim(v) else v for k, v in p.values.items()})
