"""A network in chip units as the engine reads it: narrow weights, memory order, parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Connection, Cuba, SigmaDelta
from snnstack.backends.loihi.reference import (
    CURRENT_BITS,
    DECAY_BITS,
    READS_ON_SPIKE,
    VOLTAGE_MAX,
    WEIGHT_SHIFT,
)
from snnstack.engine.order import Index, inverse
from snnstack.engine.plan import CubaNeurons, DeltaNeurons, LayerPlan, NetworkPlan
from snnstack.engine.tables import Memory, edge, memory_order, unrolled
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Projection, size

MOST_COMMON_BITS = 15
"""Low zero bits that are taken out of a population's weights, at most."""


def shapes_of(network: ChipNetwork) -> dict[str, Shape]:
    """{input or population: shape}, in the order in which the engine numbers them."""
    return {network.input.name: network.input.shape} | {
        p.name: p.shape for p in network.populations
    }


def plan(
    network: ChipNetwork, graded: bool, parts: Mapping[str, Array]
) -> tuple[NetworkPlan, Memory]:
    """The engine's plan, and the memory order of the input and every population.

    `graded`: input events carry values. `parts`: for some populations the part of every neuron
    in C order, for the counts.
    """
    shapes = shapes_of(network)
    numbers = {name: k for k, name in enumerate(shapes)}
    found = arriving(network)
    memory = memory_order([c for entering in found.values() for c in entering], shapes)
    layers = []
    for p in network.populations:
        common, entering = _reduced(found[p.name])
        dtype = _smallest(entering)
        edges = tuple(edge(c, numbers[c.source], memory, dtype) for c in entering)
        order = _order(memory[p.name])
        neurons = _cuba(p, common, order) if isinstance(p, Cuba) else _delta(p, common, order)
        part = parts[p.name][order] if p.name in parts else None
        layers.append(LayerPlan(p.name, p.n, edges, neurons, part))
    values = frozenset({0}) if graded else frozenset()
    return NetworkPlan((size(network.input.shape),), tuple(layers), values), memory


def arriving(network: ChipNetwork) -> dict[str, list[Projection]]:
    """What enters each population, in a form that the engine has a table for."""
    shapes = shapes_of(network)
    return {
        p.name: [unrolled(_projection(c), shapes) for c in network.into(p.name)]
        for p in network.populations
    }


def _projection(c: Connection) -> Projection:
    """A connection as a projection; the step that every hop takes is part of its delay."""
    return Projection(c.source, c.target, c.synapses, 1 + c.delay, c.pool)


def _reduced(entering: list[Projection]) -> tuple[int, list[Projection]]:
    """Low zero bits that all weights have in common, and the projections without them."""
    bits = 0
    for c in entering:
        bits |= int(np.bitwise_or.reduce(_weight(c), axis=None, initial=0))
    common = min((bits & -bits).bit_length() - 1, MOST_COMMON_BITS) if bits else 0
    if common == 0:
        return 0, entering
    return common, [
        replace(c, synapses=replace(c.synapses, weight=_weight(c) >> common)) for c in entering
    ]


def _weight(c: Projection) -> Array:
    return np.asarray(c.synapses.weight, dtype=np.int64)


def _smallest(entering: list[Projection]) -> type[np.signedinteger]:
    """The narrowest type that holds all weights."""
    lowest = min((int(_weight(c).min(initial=0)) for c in entering), default=0)
    highest = max((int(_weight(c).max(initial=0)) for c in entering), default=0)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return kind
    return np.int64


def _order(index: Index | None) -> slice | Index:
    return slice(None) if index is None else inverse(index)


def _cuba(p: Cuba, common: int, order: slice | Index) -> CubaNeurons:
    one = 1 << DECAY_BITS
    return CubaNeurons(
        alpha=one - p.v_decay[order],
        beta=one - p.i_decay[order],
        shift=WEIGHT_SHIFT + common,
        bias=p.bias[order],
        threshold=None if p.threshold is None else p.threshold[order],
        subtract=p.reset == "subtract",
        refractory=p.refractory,
        reads=READS_ON_SPIKE if p.reset == "zero" else None,
        current_bits=CURRENT_BITS,
        state_max=VOLTAGE_MAX,
    )


def _delta(p: SigmaDelta, common: int, order: slice | Index) -> DeltaNeurons:
    return DeltaNeurons(
        shift=common,
        payload_shift=p.exponent,
        bias=p.bias[order],
        threshold=p.threshold[order],
        rectify=p.activation == "relu",
    )
