"""A network in chip units as the engine reads it: every hop takes a step, registers wrap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Connection, same_place
from snnstack.backends.loihi.reference import chip_neurons
from snnstack.engine import plan as engine
from snnstack.engine.order import Index
from snnstack.engine.tables import Memory, edge, memory_order, unrolled
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Projection, Synapses, size


@dataclass(frozen=True, eq=False)
class Planned:
    """The plan, the shape of everything in C order, and where its neurons lie in memory."""

    plan: engine.NetworkPlan
    shapes: Mapping[str, Shape]
    memory: Memory


def planned(network: ChipNetwork, graded: bool, parts: Mapping[str, Array]) -> Planned:
    """`network` for input with values (`graded`) or without.

    `parts`: by population, which part each neuron counts for (int [n]); none: all for one.
    """
    port = network.input
    shapes = {port.name: port.shape, **{p.name: p.shape for p in network.populations}}
    joined = [unrolled(p, shapes) for p in projections(network.connections)]
    memory = memory_order(joined, shapes)
    numbers = {name: k for k, name in enumerate(shapes)}
    layers = tuple(
        engine.LayerPlan(
            p.name,
            p.n,
            tuple(
                replace(
                    edge(projection, numbers[projection.source], memory, _narrowest(projection)),
                    port=p.ports.index(projection.port),
                )
                for projection in joined
                if projection.target == p.name
            ),
            chip_neurons(p).at(_back(memory[p.name])),
            None if p.name not in parts else parts[p.name][_back(memory[p.name])],
        )
        for p in network.populations
    )
    inputs = frozenset({0}) if graded else frozenset()
    return Planned(engine.NetworkPlan((size(port.shape),), layers, inputs), shapes, memory)


def projections(connections: Sequence[Connection]) -> Iterator[Projection]:
    """Connections that differ only in their weights are one: the chip adds what arrives."""
    rest = list(connections)
    while rest:
        first = rest.pop(0)
        same = [c for c in rest if same_place(first, c)]
        rest = [c for c in rest if not any(c is s for s in same)]
        weight = np.sum([c.synapses.weight for c in (first, *same)], axis=0)
        synapses: Synapses = replace(first.synapses, weight=weight)
        ends = first.source, first.target
        yield Projection(*ends, synapses, first.delay + 1, first.pool, first.port)


def _narrowest(projection: Projection) -> Any:
    """The smallest integer type that holds the weights: narrow rows are added faster."""
    weight = projection.synapses.weight
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    for dtype in (np.int8, np.int16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return np.int32


def _back(index: Index | None) -> Any:
    """What takes an array in C order to memory order."""
    return slice(None) if index is None else np.argsort(index)
