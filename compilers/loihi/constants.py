"""Constant input into synaptic currents: a neuron that fires in every step.

The chip's bias register acts on the membrane, at once and from the first step. A current that
builds up needs synapses; from one neuron, delayed by the lag of the population that they
reach, it starts exactly when that population's input does.
"""

from __future__ import annotations

import numpy as np

from snnstack.backends.loihi.formats import Format, exponent_for
from snnstack.backends.loihi.network import Connection, Cuba
from snnstack.backends.loihi.ranges import REGISTERS
from snnstack.backends.loihi.registers import DECAY_ONE, THRESHOLD_SHIFT, WEIGHT_SHIFT
from snnstack.backends.loihi.weights import Signs
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import Sparse
from snnstack.mapping.retime import Timing
from snnstack.quant.network import QuantizedNetwork

NAME = "constant"


def constants(
    network: QuantizedNetwork, timing: Timing
) -> tuple[tuple[Cuba, ...], tuple[Connection, ...]]:
    """The neuron (none if nothing needs it) and its connections.

    Raises ModelError for a population that is deeper than the longest delay.
    """
    driven = [p for p in network.populations if p.beta is not None and np.any(p.bias)]
    if not driven:
        return (), ()
    most = REGISTERS["delay"].high
    deep = [p.name for p in driven if timing.lag[p.name] - 1 > most]
    what = f"constant input into a population more than {most + 1} steps deep"
    raise_if_any(ModelError, (Problem(name, what, "remove the bias") for name in deep))
    name = _free_name({p.name for p in network.populations} | {network.inputs[0].name})
    wires = [
        _connection(name, p.name, weight, format, timing.lag[p.name] - 1)
        for p in driven
        for weight, format in _parts(p.bias >> WEIGHT_SHIFT)
    ]
    return (_neuron(name),), tuple(wires)


def _free_name(taken: set[str]) -> str:
    name = NAME
    while name in taken:
        name += "_"
    return name


def _neuron(name: str) -> Cuba:
    """It fires in every step: its bias alone is above its threshold."""
    one = np.ones(1, dtype=np.int64)
    return Cuba(
        name=name,
        shape=(1,),
        i_decay=one * DECAY_ONE,
        v_decay=one * 0,
        bias=one * (2 << THRESHOLD_SHIFT),
        threshold=one << THRESHOLD_SHIFT,
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
