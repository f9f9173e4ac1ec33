"""Quantise for Loihi: a float `StepGraph` becomes integers that the chip's registers hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.formats import WIDTHS, Format
from snnstack.backends.loihi.layer import (
    Layer,
    decay_register,
    drive_of,
    held_decays,
    layer_of,
    parts_of,
    ratios,
    room_for_split,
    spikes_per_step,
)
from snnstack.backends.loihi.legal import step_problems
from snnstack.backends.loihi.numerics import LARGEST_WEIGHT, NUMERICS
from snnstack.backends.loihi.programmed import in_programs, program_registers
from snnstack.backends.loihi.registers import (
    DECAY_ONE,
    LARGEST_VOLTAGE_DECAY,
    STATE_MAX,
    THRESHOLD_SHIFT,
    WEIGHT_SHIFT,
    nearest_bias,
)
from snnstack.backends.loihi.report import cost, span
from snnstack.backends.loihi.rules import GRAPH_RULES
from snnstack.backends.loihi.scale import LEAST_UNITS, UNIT, Scale, choose, step_of, suffers
from snnstack.backends.loihi.weights import Signs
from snnstack.board import Board
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError, Problem, TargetError, fail, raise_if_any
from snnstack.fixedpoint import round_half_up
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection, Sparse, StepGraph
from snnstack.quant.any_model import CELLS
from snnstack.quant.bounds import input_bounds
from snnstack.quant.calibration import Calibration, assumed
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.quant.rounding import round_together
from snnstack.quant.scales import Granularity
from snnstack.quant.steady import settled

LOCKED = 1e30
"""Importance of a zero weight: it stays zero, so that no synapse is added."""

ENOUGH_UNITS = 4096
"""Weight units per threshold beyond which a neuron needs no scale of its own."""

STEP_DOWN = 0.95
"""Next scale tried where rounded weights are too large for a proof."""


def quantise(
    graph: StepGraph,
    board: Board,
    calibration: Calibration | None = None,
    granularity: Granularity = "population",
    weight_bits: int | None = None,
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """Integers for every parameter. `graph` has unit gains (`fold_gains`).

    `weight_bits` None: 8. `like`: keep the scales of this network. The chip keeps thresholds and
    decays per population, so there is one scale per population whatever the `granularity`.
    Raises ModelError with everything that cannot be represented.
    """
    raise_if_any(ModelError, (p for rule in GRAPH_RULES for p in rule(graph, board)))
    bits = 8 if weight_bits is None else weight_bits
    if bits not in WIDTHS:
        what = f"weights of {bits} bits, the chip stores {', '.join(map(str, WIDTHS))}"
        raise fail(TargetError, board.target, what, "choose one of them")
    known = calibration or assumed(graph)
    counts = spikes_per_step(graph.inputs, calibration)
    mixed = not room_for_split(graph, board)
    populations: list[QuantizedPopulation] = []
    projections: list[Projection] = []
    problems: list[Problem] = []
    registers: dict[str, Any] = {}
    apart: dict[str, int] = {}
    cells: dict[str, list[str]] = {}
    programs = in_programs(graph, known, granularity, bits)
    for given in graph.populations:
        if given.name in programs:
            own, weights, notes = programs[given.name]
            problems += step_problems(given.name, traced(own.neurons))
            populations.append(own)
            projections += weights
            cells[given.name] = list(notes)
            registers[given.name] = program_registers(own)
            continue
        held = held_decays(given)
        population, into, gain = settled(given, graph.into(given.name), *held, tolerance=0.0)
        layer = replace(layer_of(population, into, known), gain=gain)
        old = None if like is None else like.population(population.name)
        units = None
        if old is not None:
            each = np.rint(old.scale * layer.unit / UNIT)
            units = int(each.min(initial=1))
            layer = replace(layer_of(population, into, known, each / units), gain=gain)
        found = _settled(layer, counts, mixed, bits, units)
        if units is None and found is not None and _too_coarse(layer, found[0], bits):
            ratio = ratios(layer, ENOUGH_UNITS / found[0].units)
            finer = replace(layer_of(population, into, known, ratio), gain=gain)
            layer, found = finer, _settled(finer, counts, mixed, bits)
        if found is None:
            problems.append(_too_large(layer))
            continue
        scale, result, integer = found
        populations.append(result)
        projections += integer
        apart[population.name] = _apart(layer, scale)
        registers[population.name] = {
            **_report(layer, scale, result),
            "cost": cost(layer, scale.units, result, integer),
        }
    raise_if_any(ModelError, problems)
    settings = {
        **graph.settings,
        "granularity": "population",
        "weight_bits": bits,
        "calibrated_on": known.samples,
        "input_counts": counts,
        "registers": registers,
        "stored_apart": apart,
        **({CELLS: cells} if cells else {}),
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


def _settled(
    layer: Layer, counts: dict[str, int], mixed: bool, bits: int, units: int | None = None
) -> tuple[Scale, QuantizedPopulation, list[Projection]] | None:
    """Scale and integers; where the scale promises that u cannot wrap, the integers prove it.

    With `units` per threshold given, no other scale is looked for.
    """
    parts = [p for i in range(len(layer.into)) for p in parts_of(layer, i, mixed)]
    drive, fires = drive_of(layer, counts), layer.population.threshold is not None
    scale = choose(drive, parts, fires, bits=bits, units=units)
    while scale is not None:
        population = _population(layer, scale)
        integer = [_integer(layer, i, scale) for i in range(len(layer.into))]
        if units or scale.wrap == "not expected" or _cannot_wrap(population, integer, counts):
            return scale, population, integer
        scale = choose(drive, parts, fires, cap=scale.units * STEP_DOWN, bits=bits)
    return None


def _too_coarse(layer: Layer, scale: Scale, bits: int) -> bool:
    """Whether one scale for all neurons leaves some of them too few steps for their weights."""
    if layer.population.threshold is None or scale.units >= LEAST_UNITS:
        return False
    parts = [p for i in range(len(layer.into)) for p in parts_of(layer, i, False)]
    return any(suffers(p, scale.units, Format(p.signs, 0, bits)) for p in parts)


def _cannot_wrap(
    population: QuantizedPopulation, integer: list[Projection], counts: dict[str, int]
) -> bool:
    """Whether u stays in its 24 bits even if every source sends in every step."""
    sent = {name: (0, most) for name, most in counts.items()}
    bounds = input_bounds(tuple(integer), population.n, sent)
    low = (bounds.low << WEIGHT_SHIFT) + np.minimum(population.bias, 0)
    high = (bounds.high << WEIGHT_SHIFT) + np.maximum(population.bias, 0)
    most = np.maximum(-low, high) * float(DECAY_ONE)
    if population.beta is None:
        return bool(np.all(most <= STATE_MAX * float(DECAY_ONE)))
    return bool(np.all(most <= STATE_MAX * (DECAY_ONE - population.beta).astype(np.float64)))


def _integer(layer: Layer, number: int, scale: Scale) -> Projection:
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
    for (projection, signs), formats in scale.formats.items():
        if projection == number:
            chosen = _chosen(weight, signs)
            magnitude = np.abs(weight[chosen]) * scale.units
            step[chosen], most[chosen] = step_of(magnitude, formats)
    return step, most


def _chosen(weight: Array, signs: Signs) -> Array:
    if signs == "mixed":
        return np.ones(weight.shape, dtype=bool)
    return np.asarray(weight > 0 if signs == "excitatory" else weight < 0)


def _population(layer: Layer, scale: Scale) -> QuantizedPopulation:
    p = layer.population
    zeros = np.zeros(p.n, dtype=np.int64)
    units = np.rint(scale.units * layer.ratio).astype(np.int64) - (p.compare == "ge")
    threshold = np.maximum(units, 0) << THRESHOLD_SHIFT
    bias, leak = _constants(layer, scale)
    return quantized_lif(
        name=p.name,
        shape=p.shape,
        alpha=decay_register(p.alpha, DECAY_ONE - LARGEST_VOLTAGE_DECAY),
        beta=None if p.beta is None else decay_register(p.beta, 0),
        shift=WEIGHT_SHIFT,
        bias=bias,
        leak=leak,
        threshold=None if p.threshold is None else threshold,
        v_reset=zeros,
        scale=scale.units * UNIT / layer.unit,
        reset=p.reset,
        compare="gt",
        refractory=p.refractory,
        input_gain=layer.gain,
    )


def _constants(layer: Layer, scale: Scale) -> tuple[Array, Array]:
    """Constant input in state units: into the current in whole weight units, on the membrane.

    What the whole units leave over reaches the membrane as its steady state.
    """
    current = layer.into_current * scale.units
    whole = np.clip(round_half_up(current), -LARGEST_WEIGHT, LARGEST_WEIGHT)
    beta = layer.population.beta
    rest = 0.0 if beta is None else (current - whole) / np.maximum(1.0 - beta, 1.0 / DECAY_ONE)
    leak = nearest_bias((layer.into_membrane * scale.units + rest) * UNIT).value
    return whole << WEIGHT_SHIFT, leak


def _report(layer: Layer, scale: Scale, population: QuantizedPopulation) -> dict[str, Any]:
    """What each register got, for the settings: plain values."""
    bias = nearest_bias(population.leak.astype(np.float64))
    threshold, beta = population.threshold, population.beta
    weights: dict[str, list[str]] = {str(p): [] for p in layer.into}
    for (number, _), formats in scale.formats.items():
        weights[str(layer.into[number])] += map(str, formats)
    return {
        "vth_mant": None if threshold is None else _one(span(threshold >> THRESHOLD_SHIFT)),
        "i_decay": span(DECAY_ONE - beta) if beta is not None else [DECAY_ONE],
        "v_decay": span(DECAY_ONE - population.alpha),
        "bias_mant": span(bias.mantissa),
        "bias_exp": span(bias.exponent),
        "weights": {name: ", ".join(found) or "none" for name, found in weights.items()},
        "current_wraps": scale.wrap,
        "constant_current": span(population.bias >> WEIGHT_SHIFT),
    }


def _apart(layer: Layer, scale: Scale) -> int:
    """Weights in the coarser of two connections of one sign."""
    found = 0
    for (number, signs), formats in scale.formats.items():
        weight = layer.into[number].synapses.weight
        if len(formats) > 1:
            magnitude = np.abs(weight[_chosen(weight, signs)]) * scale.units
            found += int(np.count_nonzero(step_of(magnitude, formats)[0] > formats[0].step))
    return found


def _one(found: list[int]) -> int | list[int]:
    return found[0] if len(found) == 1 else found


def _too_large(layer: Layer) -> Problem:
    largest = max(
        (float(np.abs(p.synapses.weight).max(initial=0.0)) for p in layer.into), default=0
    )
    constant = float(np.abs([layer.into_current, layer.into_membrane]).max(initial=0.0))
    corrected = 1.0 if layer.gain is None else float(layer.gain.max(initial=1e-9))
    largest, constant = largest / corrected, constant / corrected  # as the user wrote them
    what = (
        f"weights up to {largest:g} and constant input up to {constant:g} times the threshold "
        "leave less than one weight unit for the threshold"
    )
    return Problem(layer.population.name, what, "rescale the layer")
