"""What operations are counted on: a network in chip units, its delays on the input's clock."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, ChipPopulation, Cuba, Programmed
from snnstack.backends.loihi.program import Program
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.report.operations import Wiring, parameter_bytes


def wiring(program: Program) -> Wiring:
    """Synapses of a program; weights count with the bits that they are stored with."""
    network = program.network
    weights = sum(-(-c.synapses.weight.size * c.bits // 8) for c in network.connections)
    neurons = sum(parameter_bytes(*_parameters(p)) for p in network.populations)
    sizes = {p.name: p.n for p in network.populations}
    return Wiring(sizes, tuple(_projections(network)), weights + neurons)


def _projections(network: ChipNetwork) -> Iterator[Projection]:
    """A spike arrives one step later on the chip, where its target may run behind as well."""
    late = {network.input.name: 0, **network.lag}
    for c in network.connections:
        delay = 1 + c.delay + late.get(c.source, 0) - late.get(c.target, 0)
        yield Projection(c.source, c.target, c.synapses, delay, c.pool)


def _parameters(population: ChipPopulation) -> tuple[Array | None, ...]:
    if isinstance(population, Programmed):
        return tuple(np.asarray(value) for value in population.values.values())
    bias = population.bias if np.any(population.bias) else None
    if isinstance(population, Cuba):
        return population.i_decay, population.v_decay, population.threshold, bias
    return population.threshold, bias
