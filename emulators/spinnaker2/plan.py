"""A network in chip units as the engine reads it: packed weights where both sums are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation, Connection
from snnstack.backends.spinnaker2.reference import chip_neurons
from snnstack.engine.order import inverse
from snnstack.engine.plan import LayerPlan, NetworkPlan, packed
from snnstack.engine.tables import Memory, edge, memory_order, unrolled
from snnstack.errors import ModelError, fail
from snnstack.ir.matrix import from_matrix
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Dense, Projection, Sparse, Synapses, size

SPARSE = 0.05
"""Share of synapses up to which lists are faster than rows."""
EXACT = 2**24
"""Integers up to this are exact in float32, so their sums are too."""


def shapes_of(network: ChipNetwork) -> dict[str, Shape]:
    """{input or population: shape}, in the order in which the engine numbers them."""
    return {network.input.name: network.input.shape} | {
        p.name: p.shape for p in network.populations
    }


def plan(network: ChipNetwork, max_count: int = 1) -> tuple[NetworkPlan, Memory]:
    """The engine's plan, and the memory order of the input and every population.

    `max_count`: most spikes of an input element in one step. Raises `ModelError` for a sum of
    input that could leave 31 bits.
    """
    shapes = shapes_of(network)
    numbers = {name: k for k, name in enumerate(shapes)}
    bits = {p.name: _sum_bits(network, p, max_count) for p in network.populations}
    arriving = {
        p.name: [unrolled(_projection(c, bits[p.name]), shapes) for c in network.into(p.name)]
        for p in network.populations
    }
    memory = memory_order([c for entering in arriving.values() for c in entering], shapes)
    layers = []
    for p in network.populations:
        entering = arriving[p.name]
        dtype = _smallest(entering)
        edges = tuple(edge(c, numbers[c.source], memory, dtype) for c in entering)
        index = memory[p.name]
        neurons = chip_neurons(p).at(slice(None) if index is None else inverse(index))
        layers.append(LayerPlan(p.name, p.n, edges, neurons, sum_bits=bits[p.name]))
    return NetworkPlan((size(network.input.shape),), tuple(layers)), memory


def _projection(c: Connection, sum_bits: int) -> Projection:
    """A connection as a projection; the step that every hop takes is part of its delay."""
    synapses = _listed(c.synapses)
    if sum_bits:
        synapses = replace(synapses, weight=packed(synapses.weight, sum_bits))
    return Projection(c.source, c.target, synapses, 1 + c.delay, c.pool)


def _listed(synapses: Synapses) -> Synapses:
    """The synapses, those of a matrix that is nearly empty as lists."""
    if not isinstance(synapses, Dense) or not synapses.weight.size:
        return synapses
    if np.count_nonzero(synapses.weight) > SPARSE * synapses.weight.size:
        return synapses
    import scipy.sparse as sp

    return from_matrix(sp.csr_matrix(synapses.weight))


def _sum_bits(network: ChipNetwork, p: ChipPopulation, max_count: int) -> int:
    """How the population's weights are packed; 0: not at all, one exact sum is enough."""
    bounds = np.zeros(2, dtype=np.int64)
    for c in network.into(p.name):
        times = max_count if c.source == network.input.name else 1
        bounds += times * _largest_sums(c)
    if p.exc_decay is None and bounds.sum() <= EXACT:
        return 0
    if bounds[0] < 2**16 and bounds[1] < 2**15:
        return 16
    if bounds.max() < 2**31:
        return 31
    raise fail(ModelError, p.name, f"input of a step may sum to {bounds.max()}, 2147483647 is most")


def _largest_sums(c: Connection) -> Array:
    """Bounds of the sums of positive and of negative weights onto any neuron, if all fire."""
    weight, sums = np.asarray(c.synapses.weight), []
    for part in (np.maximum(weight, 0), np.minimum(weight, 0)):
        match c.synapses:
            case Dense():
                onto = part.sum(axis=1, dtype=np.int64)
            case Sparse(target=target):
                onto = np.bincount(target, weights=part)
            case Conv():
                onto = part.reshape(len(part), -1).sum(axis=1, dtype=np.int64)
        sums.append(int(np.abs(onto).max(initial=0)))
    windows = 1 if c.pool is None else size(c.pool.kernel)
    return np.array(sums, dtype=np.int64) * windows


def _smallest(entering: Sequence[Projection]) -> type[np.signedinteger]:
    """The narrowest type that holds all weights."""
    weights = [c.synapses.weight for c in entering]
    lowest = min((int(w.min(initial=0)) for w in weights), default=0)
    highest = max((int(w.max(initial=0)) for w in weights), default=0)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return kind
    return np.int64
