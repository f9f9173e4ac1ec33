"""Populations with programs of their own, and when they begin: with what first reaches them.

A population runs some steps behind the input. One that would not stay as it begins until then
counts these steps in a state of its own and holds all others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.backends.loihi.legal import cost
from snnstack.backends.loihi.network import Programmed
from snnstack.dynamics.expr import E, lift
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.terms import most, where
from snnstack.dynamics.trace import roots_of, traced
from snnstack.dynamics.written import listed
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection, Sparse, size
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.partition import Wire
from snnstack.quant.network import QuantizedPopulation

LATE = "late"


def programmed(p: QuantizedPopulation, lag: int) -> Programmed:
    """`p` on the chip, where its first step is step `lag`."""
    made = Programmed(p.name, p.shape, p.model, p.values, p.initial, payload=p.payload)
    return made if not lag or _rests(made) else _waiting(made, lag)


def _rests(p: Programmed) -> bool:
    """Whether a step without input changes no state and sends nothing."""
    layer = Definition(p.neurons, 1)
    before = {name: value.copy() for name, value in layer.state.items()}
    sent = layer(*(np.zeros((1, p.n), dtype=np.int64) for _ in p.ports))
    same = all(np.array_equal(layer.state[name], value) for name, value in before.items())
    return same and (sent is None or not sent.any())


def _waiting(p: Programmed, lag: int) -> Programmed:
    model, name = p.model, LATE
    while name in model.states or name in p.values:
        name += "_"
    late = E("state", value=name)
    waits = late > 0
    roots = {}
    for key, e in roots_of(model, {}).items():
        kind, _, state = key.partition(" ")
        if kind == "state":
            roots[key] = where(waits, E("state", value=state), e)
        elif kind == "sent":
            roots[key] = where(waits, 0, e) if model.sends == "value" else ~waits & e
    roots[f"state {name}"] = most(late - 1, lift(0))
    states = (*model.states, name)
    step = listed(roots, model.inputs)
    return replace(
        p, model=replace(model, states=states, step=step), initial={**p.initial, name: lag}
    )


def neuron_memory(p: Programmed, source: str, shape: tuple[int, ...]) -> Wire:
    """What the neurons of `p` take of a core's memory, as a wire without synapses from `source`."""
    of = cost(traced(p.neurons))
    nothing = np.zeros(0, dtype=np.int64)
    synapses = Sparse(np.zeros(size(shape) + 1, np.int64), nothing.astype(np.int32), nothing)

    def block_bytes(blocks: Blocks) -> Array:
        return np.asarray(blocks.sizes() * of.beyond_bytes + of.table_bytes)

    return Wire(Projection(source, p.name, synapses), lambda lengths, targets: lengths, block_bytes)
