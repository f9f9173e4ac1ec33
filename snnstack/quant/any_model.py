"""Integers for a population of any model: its weights port by port, then its step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.dynamics.model import Model
from snnstack.dynamics.written import Listed
from snnstack.errors import ModelError, fail
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection
from snnstack.quant.bounds import input_bounds
from snnstack.quant.calibration import Calibration
from snnstack.quant.fixed import WORD32, Fixed, Machine, fixed_point
from snnstack.quant.network import QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.quant.outliers import Scales
from snnstack.quant.payloads import Payloads
from snnstack.quant.scales import Granularity, flat_weights, groups_of, search

CELLS = "cells"
"""In a network's settings: {population: lines of what its integers do}."""


def port_scales(
    population: Population,
    into: tuple[Projection, ...],
    numerics: Numerics,
    calibration: Calibration,
    granularity: Granularity,
) -> dict[str, Scales]:
    """Weight integers a real unit of every neuron, by the port that synapses end in.

    Weights that are such integers already stay what they are.
    """
    found = {}
    for port in population.model.inputs:
        part = tuple(p for p in into if p.port == port)
        if part and all(_whole(p, numerics) for p in part):
            found[port] = Scales(np.ones(population.n), np.zeros(population.n, dtype=bool))
            continue
        groups = groups_of(population, part, granularity)
        count = int(groups.max(initial=-1)) + 1
        each = search(flat_weights(part, groups, calibration), count, numerics)
        each = np.where(np.isnan(each), float(numerics.weight_max), each)
        found[port] = Scales(each[groups], np.zeros(population.n, dtype=bool))
    return found


def _whole(projection: Projection, numerics: Numerics) -> bool:
    weight = projection.synapses.weight
    inside = np.abs(weight).max(initial=0) <= numerics.weight_max
    return bool(inside and np.array_equal(weight, np.rint(weight)))


def in_integers(
    population: Population,
    integer: tuple[Projection, ...],
    scales: Mapping[str, Scales],
    calibration: Calibration,
    payloads: Payloads,
    machine: Machine = WORD32,
) -> tuple[QuantizedPopulation, tuple[str, ...]]:
    """The population behind weights that are `integer`, and lines for the conversion's report.

    ModelError for ranges that nobody measured, and for a model that has no integers.
    """
    ranges = calibration.ranges.get(population.name)
    if ranges is None:
        hint = "give samples: --calibrate DATA, calibrate=..."
        what = f"nothing is known of the ranges of its model {population.model.name}"
        raise fail(ModelError, population.name, what, hint)
    sums = {}
    for port in population.model.inputs:
        part = tuple(p for p in integer if p.port == port)
        bounds = input_bounds(part, population.n, payloads.spans)
        sums[port] = (float(bounds.low.min(initial=0)), float(bounds.high.max(initial=0)))
    ports = {
        port: s.scale * 2.0 ** payloads.port_bits(population.name, port)
        for port, s in scales.items()
    }
    whole = frozenset(
        port
        for port, s in scales.items()
        if (s.scale == 1).all() and payloads.port_whole(population.name, port)
    )
    sends = population.model.sends == "value"
    sent_bits = payloads.bits[population.name] if sends else None
    machine = replace(machine, payload_bits=payloads.width(population.name) + 1)
    fixed = fixed_point(
        population.neurons, ranges, ports, machine, sums, sent_bits, whole
    )  # fmt: skip
    made = _record(population, fixed, {port: s.scale for port, s in scales.items()})
    if sends:
        most = max(1, *map(abs, fixed.sent))
        made = replace(made, payload=most, payload_scale=2.0 ** payloads.bits[population.name])
    return made, fixed.notes


def _record(p: Population, fixed: Fixed, ports: Mapping[str, Array]) -> QuantizedPopulation:
    first = "v" if "v" in fixed.scale else next(iter(fixed.scale), None)
    scale: Any = 1.0 if first is None else fixed.scale[first]
    initial = {name: _plain(value) for name, value in fixed.neurons.initial.items()}
    return QuantizedPopulation(
        name=p.name,
        shape=p.shape,
        model=_as_stored(fixed.neurons.model),
        values=dict(fixed.neurons.values),
        options={},
        scale=np.broadcast_to(np.asarray(scale, dtype=np.float64), (p.n,)).copy(),
        initial=initial,
        ports={port: np.asarray(s, dtype=np.float64) for port, s in ports.items()},
    )


def _as_stored(model: Model) -> Model:
    """A probe of a machine reads what is stored, also where the float model shows another value."""
    step = model.step
    assert isinstance(step, Listed)
    kept = tuple((name, at) for name, at in step.roots if not name.startswith("reads "))
    return replace(model, step=replace(step, roots=kept))


def _plain(value: Any) -> Any:
    array = np.asarray(value, dtype=np.int64)
    return array if array.ndim else int(array)
