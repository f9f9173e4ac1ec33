"""Populations of any model on generation 2: their integers, and what their programs cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.legal import (
    MACHINE,
    PAYLOADS,
    STATE_MAX,
    Cost,
    cost,
    fixed_compartment_only,
    legalised,
    step_problems,
)
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.network import ChipNetwork, Cuba, Programmed
from snnstack.backends.loihi.numerics import NUMERICS
from snnstack.backends.loihi.ranges import spread
from snnstack.backends.loihi.reference import chip_neurons
from snnstack.board import Board
from snnstack.dynamics.expr import lift
from snnstack.dynamics.model import Model
from snnstack.dynamics.trace import roots_of, traced
from snnstack.dynamics.written import listed
from snnstack.errors import Problem
from snnstack.ir.given import integers
from snnstack.ir.nodes import Shape
from snnstack.ir.step import Projection, StepGraph
from snnstack.quant.calibration import Calibration
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.quantise import any_models
from snnstack.quant.scales import Granularity

Made = tuple[QuantizedPopulation, tuple[Projection, ...], tuple[str, ...]]


def models_have_a_program(network: StepGraph | QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Neurons of generation 1 are the fixed compartment; generation 2 runs any model that fits."""
    generation = limits_of(board).generation
    for p in network.populations:
        if not p.is_lif and generation == 1:
            yield fixed_compartment_only(p.name, p.model)
        elif not p.is_lif and isinstance(p, QuantizedPopulation):
            yield from step_problems(p.name, traced(p.neurons))


def in_programs(
    graph: StepGraph, calibration: Calibration, granularity: Granularity, bits: int
) -> dict[str, Made]:
    """Populations that are no fixed compartments, in integers and operations of the machine.

    With each its weights, of `bits` of magnitude with excitatory and inhibitory ones apart, and
    lines for the conversion's report.
    """
    most = (1 << bits) - 1
    numerics = replace(NUMERICS, weight_bits=bits, weight_min=-most, weight_max=most)
    found = {}
    made = any_models(graph, numerics, calibration, granularity, MACHINE)
    for name, (p, weights, notes) in made.items():
        legal = replace(p, model=legalised(p.model))
        found[name] = legal, weights, (*notes, said(cost(traced(legal.neurons))))
    return found


def as_program(model: Model, options: Mapping[str, Any], payload: int) -> Model:
    """A step of integers in operations of the machine.

    It says when a state leaves its bits, or a value that is sent `payload`.
    """
    legal = legalised(model, options)
    roots = roots_of(legal, {})
    fits = roots.get("fits", lift(True))
    for name, e in roots.items():
        if name.startswith("state "):
            fits = fits & (e <= STATE_MAX) & (e >= -STATE_MAX - 1)
        elif name == "sent" and model.sends == "value":
            fits = fits & (e <= payload) & (e >= -payload)
    return replace(legal, step=listed(roots | {"fits": fits}, legal.inputs))


def from_integers(
    name: str,
    shape: Shape,
    model: Model,
    values: Mapping[str, Any],
    initial: Mapping[str, Any],
    payload: int,
    problems: list[Problem],
) -> Programmed:
    """Neurons of `model` with these integers; what is wrong with them is noted."""

    def whole(given: Mapping[str, Any], known: Iterable[str], kind: str) -> dict[str, Any]:
        for lost in sorted({*given} - {*known}):
            problems.append(Problem(name, f"its model {model.name} has no {kind} {lost!r}"))
        found = {k: integers(name, k, v, problems) for k, v in given.items()}
        return {k: spread(name, k, v, shape, problems) if v.ndim else v for k, v in found.items()}

    fields = [f.name for f in model.parameters]
    numbers = whole(values, fields, "parameter")
    for f in model.parameters:
        if f.name not in numbers and f.default is None:
            problems.append(Problem(name, f"its model {model.name} has no value for {f.name!r}"))
            numbers[f.name] = np.int64(1)
    valued = model.sends == "value"
    if not int(valued) <= payload <= (STATE_MAX if valued else 0):
        what = f"payload is {payload}, of a model that sends {model.sends}s"
        problems.append(Problem(name, what, f"values are 1..{STATE_MAX}, spikes 0"))
    first = whole(initial, model.states, "state")
    return Programmed(name, shape, model, numbers, first, payload=payload)


def said(of: Cost) -> str:
    """A cost as a line of a report."""
    tables = f", tables of {of.table_bytes} bytes a core" if of.table_bytes else ""
    return f"program of {of.instructions} instructions (assumed), {of.bytes} bytes a neuron{tables}"


def program_registers(p: QuantizedPopulation | Programmed) -> dict[str, Any]:
    """What stands in place of registers."""
    of = cost(traced(p.neurons))
    found = {"model": p.model.name, "instructions": of.instructions, "bytes": of.bytes}
    found |= {"table_bytes": of.table_bytes} if of.table_bytes else {}
    return found | ({"payload_bits": payload_bits(p.payload)} if p.payload else {})


def payload_bits(largest: int) -> int:
    """Bits of the narrowest graded spike that carries values up to `largest` in magnitude."""
    return next(bits for bits in PAYLOADS if largest < 1 << (bits - 1))


def update_weights(network: ChipNetwork) -> dict[str, float]:
    """By population: instructions of an update, in updates of the fixed compartment; at least 1."""
    one = np.ones(1, dtype=np.int64)
    plain = chip_neurons(Cuba("", (1,), one, one, one, one << 6))
    fixed = cost(traced(replace(plain, model=legalised(plain.model, plain.options), options={})))
    return {
        p.name: max(1.0, cost(traced(p.neurons)).instructions / fixed.instructions)
        if isinstance(p, Programmed)
        else 1.0
        for p in network.populations
    }
