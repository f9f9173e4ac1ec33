"""Networks in which values travel: who sends them, and where they must not meet spikes.

A value arrives in units of its own, a spike as 1. In real numbers both add up; in integers their
sums have different scales, so every population gets an input of its own for either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.dynamics.sending import sending, with_inputs
from snnstack.dynamics.trace import traced
from snnstack.dynamics.written import listed
from snnstack.ir.step import Population, Projection, StepGraph

MORE = ("", "_of_values", "_of_input")
"""Added to the name of an input for spikes, for values of populations, for those of the input."""


def with_values(graph: StepGraph) -> StepGraph:
    """The same network with every sum of values apart from those of spikes.

    Populations that do not fire but feed others send their state in every step. LIF neurons
    that values reach are written out as operations: their integers are those of any model.
    """
    graph = _all_send(graph)
    valued = value_sources(graph)
    if not valued:
        return graph
    inputs = frozenset(port.name for port in graph.inputs)
    kind = {p.source: _kind(p.source, valued, inputs) for p in graph.projections}
    apart = {p.name: _mixed(graph.into(p.name), kind) for p in graph.populations}
    reached = {p.target for p in graph.projections if p.source in valued}
    populations = tuple(
        _taking(p, apart[p.name]) if p.name in reached else p for p in graph.populations
    )
    projections = tuple(
        replace(p, port=apart[p.target].get((p.port, kind[p.source]), p.port))
        for p in graph.projections
    )
    return graph.with_(populations=populations, projections=projections)


def value_sources(graph: StepGraph) -> frozenset[str]:
    """Names of inputs and populations whose events carry values."""
    inputs = {port.name for port in graph.inputs if port.events == "value"}
    return frozenset(inputs | {p.name for p in graph.populations if p.model.sends == "value"})


def _all_send(graph: StepGraph) -> StepGraph:
    sources = {p.source for p in graph.projections}
    populations = tuple(
        _sending(p) if p.name in sources and not p.fires else p for p in graph.populations
    )
    return graph.with_(populations=populations)


def _sending(p: Population) -> Population:
    plain = _written(p)
    return replace(plain, model=sending(plain.model))


def _kind(source: str, valued: frozenset[str], inputs: frozenset[str]) -> str:
    return MORE[0] if source not in valued else MORE[2] if source in inputs else MORE[1]


Apart = Mapping[tuple[str, str], str]


def _mixed(into: tuple[Projection, ...], kind: Mapping[str, str]) -> Apart:
    """By (input, kind of what arrives) its name: the input's own for the first kind it has."""
    found: dict[tuple[str, str], str] = {}
    for port in sorted({p.port for p in into}):
        kinds = [k for k in MORE if any(p.port == port and kind[p.source] == k for p in into)]
        found |= {(port, k): port + k * (k != kinds[0]) for k in kinds}
    return found


def _taking(p: Population, apart: Apart) -> Population:
    """A population with these inputs, of a model that is no LIF neuron by name."""
    added = {(port, k): name for (port, k), name in apart.items() if name != port}
    if not p.is_lif and not added:
        return p
    plain = _written(p)
    model = plain.model
    for (port, _), name in added.items():
        model = with_inputs(model, {port: (name,)})
    return replace(plain, model=model)


def _written(p: Population) -> Population:
    """Without numbers that its step does not read."""
    step = traced(p.neurons)
    used = {*step.scalars, *step.arrays}
    model = replace(
        p.model,
        states=step.states,
        parameters=tuple(f for f in p.model.parameters if f.name in used),
        step=listed(step.roots, p.model.inputs),
        options={},
        choices={},
    )
    values = {k: _one(p.neurons.value(k)) for k in used}
    initial = {k: v for k, v in p.initial.items() if k in step.states}
    return replace(p, model=model, values=values, options={}, initial=initial)


def _one(values: Any) -> Any:
    """A number where it is the same for all neurons."""
    array = np.asarray(values)
    return float(array.flat[0]) if array.size and (array == array.flat[0]).all() else values
