"""`Step`: a model's step as it is for one layer, with what its constants make needless left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.dynamics.expr import LEAVES, E, constant, lift, ordered
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.ops import OPS
from snnstack.errors import ModelError, fail

ONES = (1, 2**12, 2**16, 2**32)
"""What a factor of 1 can be."""


@dataclass(frozen=True, eq=False)
class Step:
    """What to compute in one step, in the layer's numbers.

    `roots`: the expressions of `next`, by what they are for: "state <name>", "reads <name>",
    "sent", "active", "fits". `arrays` and `scalars`: parameters that are read, those that differ
    from neuron to neuron and those that are one number.
    """

    neurons: Neurons
    roots: Mapping[str, E]
    arrays: tuple[str, ...]
    scalars: tuple[str, ...]

    @property
    def states(self) -> tuple[str, ...]:
        """States that are read or set, in the model's order."""
        read = {e.value for e in ordered(self.roots.values()) if e.op == "state"}
        used = read | set(self.of("state"))
        return tuple(name for name in self.neurons.model.states if name in used)

    def of(self, kind: str) -> dict[str, E]:
        """The roots "`kind` <name>" by name."""
        start = f"{kind} "
        return {k.removeprefix(start): e for k, e in self.roots.items() if k.startswith(start)}


def traced(neurons: Neurons, *, constants: bool = False) -> Step:
    """The step of one layer.

    Parameters that are 0, or 1 as a factor, for every neuron are folded away; with `constants`
    every parameter that is one number for all is written as a constant. Raises `ModelError` for
    a step that asks for a name the model does not have, or uses a value as a condition.
    """
    given = {f.name: _parameter(f, neurons, constants) for f in neurons.model.parameters}
    raw = _called(neurons.model, neurons.options, given)
    one = 2**16 if neurons.integer else 1.0
    done: dict[int, E] = {}
    roots = {name: _folded(e, one, done) for name, e in _roots(neurons.model, raw).items()}
    used = {e.value for e in ordered(roots.values()) if e.op == "param"}
    names = [f.name for f in neurons.model.parameters if f.name in used]
    per_neuron = tuple(name for name in names if not _uniform(neurons.value(name)))
    return Step(neurons, roots, per_neuron, tuple(n for n in names if n not in per_neuron))


def operations(step: Step) -> int:
    """How many operations a neuron takes, every one once."""
    return sum(e.op not in LEAVES for e in ordered(step.roots.values()))


def roots_of(model: Model, options: Mapping[str, Any]) -> dict[str, E]:
    """The step as written, nothing folded but options: expressions by what they are for."""
    given = {f.name: E("param", value=f.name) for f in model.parameters}
    return _roots(model, _called(model, options, given))


def _called(model: Model, options: Mapping[str, Any], given: Mapping[str, E]) -> Next:
    states = {name: E("state", value=name) for name in model.states}
    names = Names(**states, **given, **{**model.options, **options})
    try:
        return model.step(names, *(E("input", value=name) for name in model.inputs))
    except AttributeError as error:
        hint = "states, parameters and options are what it may read"
        raise fail(ModelError, model.name, f"its step asks for {error.name!r}", hint) from None
    except TypeError as error:
        raise fail(ModelError, model.name, f"its step cannot be traced: {error}") from None


def _roots(model: Model, found: Next) -> dict[str, E]:
    unknown = sorted({*found.states, *found.reads} - {*model.states})
    if unknown:
        raise fail(ModelError, model.name, f"its step sets {unknown[0]!r}, no state of it")
    roots = {f"state {name}": lift(e) for name, e in found.states.items()}
    roots |= {f"reads {name}": lift(e) for name, e in found.reads.items()}
    rest = {"sent": found.sent, "active": found.active, "fits": found.fits}
    return roots | {name: lift(e) for name, e in rest.items() if e is not None}


def _uniform(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 or array.size == 0 or bool((array == array.flat[0]).all())


def _parameter(f: Field, neurons: Neurons, constants: bool) -> E:
    value = neurons.value(f.name)
    if value is None:
        raise fail(ModelError, neurons.model.name, f"has no value for {f.name!r}")
    array = np.asarray(value)
    if not _uniform(array) or not array.size:
        return E("param", value=f.name)
    number = array.flat[0].item()
    structural = number == 0 or (
        f.unit in ("factor", "gain") and number in (1, 2**12, 2**16, 2**32)
    )
    if constants or structural or f.unit in ("shift", "limit"):
        return lift(number)
    return E("param", value=f.name)


def _folded(e: E, one: float, done: dict[int, E]) -> E:
    """`e` with constants computed and needless operations left out."""
    for node in ordered([e]):
        if id(node) not in done:
            done[id(node)] = node if node.op in LEAVES else _made(node, one, done)
    return done[id(e)]


def _made(node: E, one: float, done: dict[int, E]) -> E:
    args = tuple(done[id(a)] for a in node.args)
    row = OPS[node.op]
    if row.simpler is not None:
        simpler = row.simpler(args, one)
        if simpler is not None:
            return simpler
    known = [constant(a) for a in args]
    if args and None not in known and node.op != "lut":
        value = row.exact(*known) if one != 1.0 else row.real(np, *known)
        return lift(np.asarray(value).item())
    return E(node.op, args, node.value)
