"""Constant input from step 0 of the network on: neurons that fire in every step, and once.

The chip's bias register acts on the membrane, at once and from the chip's first step. A current
that builds up needs synapses; from one neuron, delayed by the lag of the population that they
reach, it starts exactly when that population's input does. So does a membrane constant whose
early steps no initial membrane takes back (`snnstack.compilers.loihi.lead`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.backends.loihi.formats import Format, exponent_for
from snnstack.backends.loihi.network import Connection, Cuba
from snnstack.backends.loihi.registers import DECAY_ONE, THRESHOLD_SHIFT, WEIGHT_SHIFT
from snnstack.backends.loihi.weights import Signs
from snnstack.compilers.loihi.lead import Constant
from snnstack.ir.nodes import Array
from snnstack.ir.step import Sparse
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation

NAME, ONCE = "constant", "start"


@dataclass(frozen=True, eq=False)
class Sources:
    """The neurons that bring constants, and their connections."""

    populations: tuple[Cuba, ...]
    connections: tuple[Connection, ...]


def needs_current(p: QuantizedPopulation) -> bool:
    """Whether constant input reaches the synaptic current of `p`."""
    return p.is_lif and p.beta is not None and bool(np.any(p.bias))


def sources(
    network: QuantizedNetwork, membranes: Mapping[str, Constant], lag: Mapping[str, int]
) -> Sources:
    """A neuron for every step and one for the first, each only if something needs it.

    A population that they reach has a `lag` of at least 1.
    """
    taken = {p.name for p in network.populations} | {network.inputs[0].name}
    fixed = [p for p in network.populations if p.is_lif]
    every = {p.name: membranes[p.name].every + _current(p) for p in fixed}
    first = {p.name: membranes[p.name].first for p in fixed}
    found = []
    for name, weights, bias in ((NAME, every, 2), (ONCE, first, 0)):
        free = free_name(name, taken)
        wires = tuple(_wires(free, weights, lag))
        if wires:
            found.append((_neuron(free, bias), wires))
    return Sources(tuple(p for p, _ in found), tuple(c for _, wires in found for c in wires))


def _current(p: QuantizedPopulation) -> Array:
    return p.bias >> WEIGHT_SHIFT if needs_current(p) else np.zeros(p.n, dtype=np.int64)


def _wires(
    source: str, weights: Mapping[str, Array], lag: Mapping[str, int]
) -> Iterator[Connection]:
    for name, weight in weights.items():
        for part, format in _parts(weight):
            yield _connection(source, name, part, format, lag[name] - 1)


def free_name(name: str, taken: set[str]) -> str:
    """`name`, with as many underscores as it needs to be nobody else's."""
    while name in taken:
        name += "_"
    return name


def _neuron(name: str, bias: int) -> Cuba:
    """It fires in the first step, and with a `bias` above its threshold of 1 in every other."""
    one = np.ones(1, dtype=np.int64)
    return Cuba(
        name=name,
        shape=(1,),
        i_decay=one * DECAY_ONE,
        v_decay=one * 0,
        bias=one * (bias << THRESHOLD_SHIFT),
        threshold=one << THRESHOLD_SHIFT,
        v_init=None if bias else one * (2 << THRESHOLD_SHIFT),
    )


def _parts(weight: Array) -> list[tuple[Array, Format]]:
    """Integers of up to 15 bits as sums of a coarse and a fine weight of 8 bits, by sign."""
    found = []
    signed: tuple[tuple[Signs, int], ...] = (("excitatory", 1), ("inhibitory", -1))
    for signs, sign in signed:
        rest = np.maximum(sign * weight, 0)
        while rest.any():
            format = Format(signs, exponent_for(float(rest.max()), signs))
            part = np.minimum(rest // format.step, format.most) * format.step
            found.append((sign * part, format))
            rest = rest - part
    return found


def _connection(source: str, target: str, weight: Array, format: Format, delay: int) -> Connection:
    reached = np.flatnonzero(weight)
    indptr = np.array([0, len(reached)], dtype=np.int64)
    synapses = Sparse(indptr, reached.astype(np.int32), weight[reached])
    return Connection(
        source=source,
        target=target,
        synapses=synapses,
        delay=delay,
        exponent=format.exponent,
        signs=format.signs,
    )
