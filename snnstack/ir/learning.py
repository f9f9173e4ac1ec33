"""What synapses that learn must satisfy, and the refusal of whoever cannot let them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.dynamics.rule import ORDERS, Plastic
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.step import Dense, Projection, StepGraph


def plastic(graph: Any) -> tuple[Projection, ...]:
    """The projections of a network that learn."""
    return tuple(p for p in graph.projections if p.rule is not None)


def check_learning(graph: StepGraph) -> None:
    """Raise ModelError with everything that is wrong with rules and their numbers."""
    raise_if_any(ModelError, learning_problems(graph))


def learning_problems(graph: StepGraph) -> Iterator[Problem]:
    """What is wrong with the rules of a network and their numbers."""
    learning = plastic(graph)
    names = [str(p) for p in learning]
    for p in learning:
        assert p.rule is not None
        if names.count(str(p)) > 1:
            yield Problem(str(p), "two plastic projections join these", "leave one")
        yield from _synapse_problems(p)
        yield from _value_problems(str(p), p.rule)
        yield from _order_problems(p, p.rule)
        yield from _modulator_problems(graph, p, p.rule)
        model = graph.population(p.target).model
        for state in p.rule.rule.reads:
            if state not in model.states:
                what = f"{p.rule.rule.name} reads '{state}' of {p.target}, a {model.name}"
                yield Problem(str(p), what, f"it has {', '.join(model.states)}")


def _synapse_problems(p: Projection) -> Iterator[Problem]:
    if not isinstance(p.synapses, Dense):
        kind = type(p.synapses).__name__
        what = "shared weights cannot learn each on its own" if kind == "Conv" else "cannot learn"
        yield Problem(str(p), f"{kind} synapses: {what}", "use Dense [target, source]")
    if p.pool is not None:
        yield Problem(str(p), "learns behind a pool", "pool in a population of its own")


def _order_problems(p: Projection, plastic: Plastic) -> Iterator[Problem]:
    """What a machine that looks at synapses only when their source fires cannot do."""
    rule = plastic.rule
    if plastic.order not in ORDERS:
        yield Problem(str(p), f"its order is {plastic.order!r}", f"one of {', '.join(ORDERS)}")
    if plastic.order != "deferred":
        return
    if p.delay < 1:
        what = "learns at the next spike of its source, and has a delay of 0"
        yield Problem(str(p), what, "at least 1 step: Edge(..., delay=1)")
    unseen = {
        "changes in every step": rule.each_step is not None,
        "reads what targets send back": rule.back is not None,
        "reads a third factor": rule.modulated,
        f"reads {', '.join(rule.reads)} of its targets": bool(rule.reads),
    }
    for what, is_so in unseen.items():
        if is_so:
            hint = "only spikes of source and target are seen then: take the order 'at once'"
            yield Problem(str(p), f"{rule.name} {what}, and its order is deferred", hint)


def _value_problems(where: str, rule: Plastic) -> Iterator[Problem]:
    fields = {f.name: f for f in rule.rule.parameters}
    for name in sorted({*rule.values} - {*fields}):
        hint = f"it has {', '.join(fields)}"
        yield Problem(where, f"{rule.rule.name} has no parameter '{name}'", hint)
    for name, f in fields.items():
        value = rule.value(name)
        if value is None:
            yield Problem(where, f"{rule.rule.name} has no value for '{name}'", "give one")
            continue
        array = np.asarray(value)
        if array.ndim or array.dtype.kind not in "iuf" or not np.isfinite(array):
            yield Problem(where, f"{name} is {value!r}", "one finite number")
        elif f.unit == "factor" and not 0 <= array <= 1:
            yield Problem(where, f"{name} is {value:g}", "a factor is within 0..1")
    low, high = (rule.values.get(key) for key in ("w_min", "w_max"))
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Problem(where, f"w_min is {low:g} and w_max {high:g}", "exchange them")


def _modulator_problems(graph: StepGraph, p: Projection, rule: Plastic) -> Iterator[Problem]:
    name, known = rule.modulator, rule.rule.name
    if not rule.rule.modulated:
        if name is not None:
            yield Problem(str(p), f"{known} has no third factor, '{name}' is given", "leave it out")
        return
    sizes = {x.name: x.n for x in graph.inputs} | {x.name: x.n for x in graph.populations}
    if name is None:
        yield Problem(str(p), f"{known} has no modulator", "name an input or a population")
    elif name not in sizes:
        yield Problem(str(p), f"its modulator '{name}' is not there", f"one of {', '.join(sizes)}")
    elif sizes[name] not in (1, graph.population(p.target).n):
        n = graph.population(p.target).n
        what = f"its modulator '{name}' has {sizes[name]} elements, {p.target} {n}"
        yield Problem(str(p), what, "one for all, or one for each target")


def refuse_learning(graph: Any, who: str) -> None:
    """Raise ModelError naming every projection that learns: `who` keeps weights as they are."""
    raise_if_any(
        ModelError,
        (
            Problem(
                str(p),
                f"learns by {p.rule.rule.name}, {who} cannot",
                "learn first in reference.run_steps, then passes.learned holds the weights",
            )
            for p in plastic(graph)
            if p.rule is not None
        ),
    )
