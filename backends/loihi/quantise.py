"""Quantise for Loihi: a float `StepGraph` becomes integers that the chip's registers hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.numerics import LARGEST_WEIGHT, NUMERICS
from snnstack.backends.loihi.registers import (
    DECAY_ONE,
    LARGEST_VOLTAGE_DECAY,
    THRESHOLD_SHIFT,
    WEIGHT_SHIFT,
    nearest_bias,
)
from snnstack.backends.loihi.rules import GRAPH_RULES
from snnstack.backends.loihi.scale import UNIT, Drive, Part, Scale, choose
from snnstack.backends.loihi.weights import Signs
from snnstack.board import Board
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.fixedpoint import round_half_up
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Population, Projection, Sparse, StepGraph, StepInput
from snnstack.passes.compose import scale_targets
from snnstack.quant.calibration import Calibration, assumed
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.rounding import round_together
from snnstack.quant.scales import Granularity, activity_of

LOCKED = 1e30
"""Importance of a zero weight: it stays zero, so that no synapse is added."""


@dataclass(frozen=True)
class _Layer:
    """A population in thresholds: `unit` volts per threshold of every neuron, float64 [n].

    `into_current`, `into_membrane`: constant input per step.
    """

    population: Population
    unit: Array
    into: tuple[Projection, ...]
    into_current: Array
    into_membrane: Array
    activity: tuple[tuple[Array, Array], ...]


def quantise(
    graph: StepGraph,
    board: Board,
    calibration: Calibration | None = None,
    granularity: Granularity = "population",
) -> QuantizedNetwork:
    """Integers for every parameter. `graph` has unit gains (`fold_gains`).

    The chip keeps thresholds and decays per population, so there is one scale per population
    whatever the `granularity`. Raises ModelError with everything that cannot be represented.
    """
    raise_if_any(ModelError, (p for rule in GRAPH_RULES for p in rule(graph, board)))
    known = calibration or assumed(graph)
    counts = _counts(graph.inputs, calibration)
    mixed = not _room_for_split(graph, board)
    populations: list[QuantizedPopulation] = []
    projections: list[Projection] = []
    problems: list[Problem] = []
    registers: dict[str, Any] = {}
    for population in graph.populations:
        layer = _layer(graph, population, known)
        parts = [p for i in range(len(layer.into)) for p in _parts(layer, i, mixed)]
        scale = choose(_drive(layer, counts), parts, population.threshold is not None)
        if scale is None:
            problems.append(_too_large(layer))
            continue
        populations.append(_population(layer, scale))
        projections += [_integer(layer, i, scale) for i in range(len(layer.into))]
        registers[population.name] = _report(layer, scale, populations[-1])
    raise_if_any(ModelError, problems)
    settings = {
        **graph.settings,
        "granularity": "population",
        "calibrated_on": known.samples,
        "input_counts": counts,
        "registers": registers,
    }
    return QuantizedNetwork(
        inputs=graph.inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=graph.outputs,
        dt=graph.dt,
        numerics=NUMERICS,
        settings=settings,
        metadata=graph.metadata,
    )


def _counts(inputs: tuple[StepInput, ...], calibration: Calibration | None) -> dict[str, int]:
    """Spikes per element and step that the current is proven for.

    An input declared as counts is taken as binary where the data never held more than one
    spike (the second moment then equals the mean), or where there is no data.
    """
    found = {}
    for port in inputs:
        activity = None if calibration is None else calibration.activity.get(port.name)
        binary = True
        if activity is not None:
            second = activity.variance + activity.mean**2
            binary = bool(np.allclose(second, activity.mean, rtol=1e-6, atol=1e-12))
        found[port.name] = 1 if binary else port.max_count
    return found


def _room_for_split(graph: StepGraph, board: Board) -> bool:
    """Whether weights stored by sign, each with its index, fit half of the synaptic memory."""
    limits = limits_of(board)
    synapses = sum(_synapses(p, limits.shared_weights) for p in graph.projections)
    return synapses * 3 <= limits.cores * limits.synaptic_memory_bytes // 2


def _synapses(projection: Projection, shared: bool) -> int:
    weights = int(projection.synapses.weight.size)
    if isinstance(projection.synapses, Conv) and not shared:
        _, height, width = projection.synapses.out_shape
        return weights * height * width
    return weights


def _layer(graph: StepGraph, population: Population, calibration: Calibration) -> _Layer:
    into = graph.into(population.name)
    unit = _unit(population, into)
    scaled = tuple(_scaled(p, 1.0 / unit) for p in into)
    current, membrane = population.bias, population.leak
    if population.beta is None:
        current, membrane = np.zeros_like(current), membrane + current
    return _Layer(
        population=population,
        unit=unit,
        into=scaled,
        into_current=current / unit,
        into_membrane=membrane / unit,
        activity=tuple(activity_of(p, calibration) for p in into),
    )


def _scaled(projection: Projection, factor: Array) -> Projection:
    synapses = scale_targets(projection.synapses, factor)
    assert synapses is not None  # rules: thresholds are equal within a channel
    return replace(projection, synapses=synapses)


def _unit(population: Population, into: tuple[Projection, ...]) -> Array:
    """Volts that one threshold is; for a population that does not fire, of its largest weight."""
    if population.threshold is not None:
        return np.asarray(population.threshold, dtype=np.float64)
    weights = (float(np.abs(p.synapses.weight).max(initial=0.0)) for p in into)
    largest = max(weights, default=0.0) or float(np.abs(population.bias).max(initial=0.0)) or 1.0
    return np.full(population.n, largest)


def _parts(layer: _Layer, number: int, mixed: bool) -> list[Part]:
    """The weights of one projection as the sign modes that will hold them."""
    weight = layer.into[number].synapses.weight.ravel()
    importance = layer.activity[number][1].ravel()
    if mixed and weight.min(initial=0.0) < 0 < weight.max(initial=0.0):
        return [Part(number, "mixed", np.abs(weight), importance)]
    positive, negative = weight > 0, weight < 0
    modes: list[tuple[Signs, Array]] = [("excitatory", positive), ("inhibitory", negative)]
    return [
        Part(number, signs, np.abs(weight[chosen]), importance[chosen])
        for signs, chosen in modes
        if chosen.any()
    ]


def _drive(layer: _Layer, counts: dict[str, int]) -> Drive:
    population = layer.population
    low, high, mean, variance = np.zeros((4, population.n))
    for projection, (m, q) in zip(layer.into, layer.activity, strict=True):
        weight, most = projection.synapses.weight, _most(projection, counts)
        low += most * _per_target(projection, np.minimum(weight, 0), population.n)
        high += most * _per_target(projection, np.maximum(weight, 0), population.n)
        mean += _per_target(projection, m * weight, population.n)
        variance += _per_target(projection, q * weight**2, population.n)
    return Drive(
        low=low + np.minimum(layer.into_current, 0),
        high=high + np.maximum(layer.into_current, 0),
        mean=mean + layer.into_current,
        variance=variance,
        constant=layer.into_membrane,
        alpha=population.alpha,
        beta=np.zeros(population.n) if population.beta is None else population.beta,
    )


def _most(projection: Projection, counts: dict[str, int]) -> int:
    """Events that one element of the synapses' source side can receive in a step."""
    window = (1, 1) if projection.pool is None else projection.pool.kernel
    return counts.get(projection.source, 1) * window[0] * window[1]


def _per_target(projection: Projection, values: Array, n: int) -> Array:
    """Sum over the sources of `values`, which are shaped like the weights: [n]."""
    match projection.synapses:
        case Dense():
            return np.asarray(values.sum(axis=1))
        case Sparse() as sparse:
            return np.bincount(sparse.target, values, minlength=n)
        case Conv() as conv:
            return np.repeat(values.sum(axis=(1, 2, 3)), n // conv.out_shape[0])


def _integer(layer: _Layer, number: int, scale: Scale) -> Projection:
    """The weights that the chip will apply, rounded together row by row."""
    projection = layer.into[number]
    synapses = projection.synapses
    shape = synapses.weight.shape
    flat = (1, -1) if isinstance(synapses, Sparse) else (shape[0] if shape else 1, -1)
    weight = synapses.weight.reshape(flat)
    step, most = _steps(weight, number, scale)
    real = np.clip(weight * scale.units / step, -most, most)
    if isinstance(synapses, Sparse):
        levels = np.rint(real).astype(np.int64)
    else:
        mean, variance = (part.reshape(flat) * step for part in layer.activity[number])
        variance = np.where(weight == 0, LOCKED, variance * step)
        high = int(most.max(initial=1))
        levels = round_together(real, mean, variance, -high, high)
    levels = np.clip(levels, -most, most)
    levels = np.where(weight > 0, np.maximum(levels, 0), np.minimum(levels, 0))
    integer = (levels * step).astype(np.int64).reshape(shape)
    return replace(projection, synapses=replace(synapses, weight=integer))


def _steps(weight: Array, number: int, scale: Scale) -> tuple[Array, Array]:
    """For every weight, its format's step and largest level."""
    step, most = np.ones(weight.shape, dtype=np.int64), np.ones(weight.shape, dtype=np.int64)
    for (projection, signs), format in scale.formats.items():
        if projection == number:
            chosen = _chosen(weight, signs)
            step[chosen], most[chosen] = format.step, format.most
    return step, most


def _chosen(weight: Array, signs: Signs) -> Array:
    if signs == "mixed":
        return np.ones(weight.shape, dtype=bool)
    return np.asarray(weight > 0 if signs == "excitatory" else weight < 0)


def _population(layer: _Layer, scale: Scale) -> QuantizedPopulation:
    p = layer.population
    zeros = np.zeros(p.n, dtype=np.int64)
    units = scale.units - (p.compare == "ge")
    threshold = np.full(p.n, max(units, 0) << THRESHOLD_SHIFT, dtype=np.int64)
    bias, leak = _constants(layer, scale)
    return QuantizedPopulation(
        name=p.name,
        shape=p.shape,
        alpha=_factor(p.alpha, DECAY_ONE - LARGEST_VOLTAGE_DECAY),
        beta=None if p.beta is None else _factor(p.beta, 0),
        shift=WEIGHT_SHIFT,
        bias=bias,
        leak=leak,
        threshold=None if p.threshold is None else threshold,
        v_reset=zeros,
        scale=scale.units * UNIT / layer.unit,
        reset=p.reset,
        compare="gt",
        refractory=p.refractory,
    )


def _constants(layer: _Layer, scale: Scale) -> tuple[Array, Array]:
    """Constant input in state units: into the current in whole weight units, on the membrane.

    What the whole units leave over reaches the membrane as its steady state.
    """
    current = layer.into_current * scale.units
    whole = np.clip(round_half_up(current), -LARGEST_WEIGHT, LARGEST_WEIGHT)
    beta = layer.population.beta
    rest = 0.0 if beta is None else (current - whole) / np.maximum(1.0 - beta, 1.0 / DECAY_ONE)
    leak = nearest_bias((layer.into_membrane * scale.units + rest) * UNIT).value
    return whole << WEIGHT_SHIFT, leak


def _factor(factor: Array, least: int) -> Array:
    return np.clip(round_half_up(factor * DECAY_ONE), least, DECAY_ONE)


def _report(layer: _Layer, scale: Scale, population: QuantizedPopulation) -> dict[str, Any]:
    """What each register got, for the settings: plain values."""
    bias = nearest_bias(population.leak.astype(np.float64))
    threshold, beta = population.threshold, population.beta
    weights: dict[str, list[str]] = {str(p): [] for p in layer.into}
    for (number, _), format in scale.formats.items():
        weights[str(layer.into[number])].append(str(format))
    return {
        "vth_mant": None if threshold is None else int(threshold.max()) >> THRESHOLD_SHIFT,
        "i_decay": _range(DECAY_ONE - beta) if beta is not None else [DECAY_ONE],
        "v_decay": _range(DECAY_ONE - population.alpha),
        "bias_mant": _range(bias.mantissa),
        "bias_exp": _range(bias.exponent),
        "weights": {name: ", ".join(found) or "none" for name, found in weights.items()},
        "current_wraps": scale.wrap,
        "constant_current": _range(population.bias >> WEIGHT_SHIFT),
    }


def _range(values: Array) -> list[int]:
    """[value], or [least, most] where neurons differ."""
    return sorted({int(values.min()), int(values.max())}) if len(values) else []


def _too_large(layer: _Layer) -> Problem:
    largest = max(
        (float(np.abs(p.synapses.weight).max(initial=0.0)) for p in layer.into), default=0
    )
    constant = float(np.abs([layer.into_current, layer.into_membrane]).max(initial=0.0))
    what = (
        f"weights up to {largest:g} and constant input up to {constant:g} times the threshold "
        "leave less than one weight unit for the threshold"
    )
    return Problem(layer.population.name, what, "rescale the layer")
