"""Models whose state is sent, and models with more synaptic inputs than they were written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Model, Names, Next


def sending(model: Model) -> Model:
    """`model`, which sends nothing, sending its first state ("v" if it has one) in every step."""
    state = "v" if "v" in model.states else model.states[0]
    step = partial(_sent, model, state)
    return replace(model, name=f"{model.name}_sending_{state}", sends="value", step=step)


def _sent(model: Model, state: str, n: Names, *inputs: E) -> Next:
    found = model.step(n, *inputs)
    return replace(found, sent=found.states.get(state, getattr(n, state)))


def with_inputs(model: Model, more: Mapping[str, Sequence[str]]) -> Model:
    """`model` with further inputs, whose sums are added to those of an input it has.

    `more`: by an input of the model, the names of the further ones.
    """
    added = [name for names in more.values() for name in names]
    inputs = (*model.inputs, *added)
    step = partial(_joined, model, tuple(more.items()), inputs)
    return replace(model, inputs=inputs, step=step)


def _joined(
    model: Model,
    more: tuple[tuple[str, Sequence[str]], ...],
    names: tuple[str, ...],
    n: Names,
    *inputs: E,
) -> Next:
    known = dict(zip(names, inputs, strict=True))
    for port, others in more:
        for name in others:
            known[port] = known[port] + known[name]
    return model.step(n, *(known[port] for port in model.inputs))
