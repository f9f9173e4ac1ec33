"""Quantise: a float `StepGraph` becomes a `QuantizedNetwork` for a target's `Numerics`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.fixedpoint import round_half_up
from snnstack.ir.learning import refuse_learning
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, Sparse, StepGraph
from snnstack.quant.any_model import CELLS, in_integers, port_scales
from snnstack.quant.bounds import Sent, input_bounds, low_pass_bound, max_counts
from snnstack.quant.calibration import Calibration, assumed
from snnstack.quant.fixed import WORD32, Machine
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.quant.numerics import Numerics
from snnstack.quant.outliers import Scales, is_wide, scales_of, with_wide
from snnstack.quant.payloads import payloads_of
from snnstack.quant.reset_now import reset_now
from snnstack.quant.rounding import round_together
from snnstack.quant.scales import Granularity, activity_of, groups_of, rows_of
from snnstack.quant.steady import decay_bits, rounded, settled

MOST_SHIFT = 14
"""More fraction bits below the weight's unit would not change any spike."""
RESOLUTION = 4096
"""Membrane units wanted per threshold, times the time constants in steps."""
LOCKED = 1e30
"""A variance no flip is worth: a weight of 0 is a synapse that is not there, and stays so."""


def quantise(
    graph: StepGraph,
    numerics: Numerics,
    calibration: Calibration | None = None,
    granularity: Granularity = "neuron",
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """Integers for every parameter. `graph` has unit gains (`fold_gains`).

    `like`: keep the weight scales of this network, and round every weight to the nearest integer;
    for training, where weights move and scales stay. Raises ModelError naming every population
    whose values cannot be represented.
    """
    refuse_learning(graph, "a network of integers")
    graph, calibration = reset_now(graph), calibration or assumed(graph)
    counts = max_counts(graph.inputs)
    populations: list[QuantizedPopulation] = []
    projections: list[Projection] = []
    problems: list[Problem] = []
    cells: dict[str, list[str]] = {}
    others = any_models(graph, numerics, calibration, granularity)
    for given in graph.populations:
        if given.name in others:
            made, integer, notes = others[given.name]
            cells[given.name] = list(notes)
            populations.append(made)
            projections += integer
            continue
        decays = _decays(given, numerics)
        held = decays.real(numerics)
        population, into, gain = settled(given, graph.into(given.name), *held)
        if like is None:
            scales = _weight_scales(population, into, numerics, calibration, granularity, counts)
            scale = scales.scale
            integer = tuple(integer_weights(p, scales, numerics, calibration) for p in into)
        else:
            old = like.population(population.name)
            scale = old.scale / 2.0**old.shift
            scale = _within(scale, population, numerics, rows_of(population, into))
            before = like.into(population.name)
            integer = tuple(
                nearest_weights(p, scale, numerics, q) for p, q in zip(into, before, strict=True)
            )
        bound = input_bounds(integer, population.n, counts).magnitude
        shift = _shift(population, scale, bound, numerics, decays)
        result = _population(population, scale, shift, decays, gain)
        problems += _unrepresentable(result, bound, numerics)
        populations.append(result)
        projections += integer
    raise_if_any(ModelError, problems)
    settings = {
        **graph.settings,
        **_events(calibration),
        "granularity": granularity,
        "weight_bits": numerics.weight_bits,
        "calibrated_on": calibration.samples,
        **({CELLS: cells} if cells else {}),
    }
    return QuantizedNetwork(
        inputs=graph.inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=graph.outputs,
        dt=graph.dt,
        numerics=numerics,
        settings=settings,
        metadata=graph.metadata,
    )


def any_models(
    graph: StepGraph,
    numerics: Numerics,
    calibration: Calibration,
    granularity: Granularity,
    machine: Machine = WORD32,
) -> dict[str, tuple[QuantizedPopulation, tuple[Projection, ...], tuple[str, ...]]]:
    """Populations that are not of the LIF family: in integers, with their weights and notes."""
    given = [p for p in graph.populations if not p.is_lif]
    scales = {
        p.name: port_scales(p, graph.into(p.name), numerics, calibration, granularity)
        for p in given
    }
    weights = {
        name: tuple(
            integer_weights(p, ports[p.port], numerics, calibration) for p in graph.into(name)
        )
        for name, ports in scales.items()
    }
    payloads = payloads_of(graph, weights, calibration.ranges, machine)
    found = {}
    for p in given:
        integer = weights[p.name]
        made, notes = in_integers(p, integer, scales[p.name], calibration, payloads, machine)
        found[p.name] = made, integer, notes
        if made.payload:  # now it is proven, for those that come behind
            payloads = payloads.narrowed(p.name, made.payload)
    return found


@dataclass(frozen=True)
class _Decays:
    """Integer decays of a population and their fraction bits (None: those of the numerics)."""

    alpha: Array
    beta: Array | None
    alpha_bits: int | None
    beta_bits: int | None

    def real(self, numerics: Numerics) -> tuple[Array, Array | None]:
        """The same as real numbers."""
        alpha = self.alpha / float(1 << (self.alpha_bits or numerics.decay_bits))
        if self.beta is None:
            return alpha, None
        return alpha, self.beta / float(1 << (self.beta_bits or numerics.decay_bits))


def _decays(population: Population, numerics: Numerics) -> _Decays:
    bits = [decay_bits(factor, numerics) for factor in (population.alpha, population.beta)]
    wide = [b or numerics.decay_bits for b in bits]
    beta = None if population.beta is None else rounded(population.beta, wide[1])
    return _Decays(rounded(population.alpha, wide[0]), beta, *bits)


def _events(calibration: Calibration) -> dict[str, dict[str, float]]:
    """{"events_per_step": {source: mean}} where it was measured, else nothing."""
    if not calibration.samples:
        return {}
    means = {name: float(a.mean.sum()) for name, a in calibration.activity.items()}
    return {"events_per_step": means}


def _weight_scales(
    population: Population,
    into: tuple[Projection, ...],
    numerics: Numerics,
    calibration: Calibration,
    granularity: Granularity,
    counts: Sent,
) -> Scales:
    """Weight integers per volt of every neuron: float64 [n]."""
    most = numerics.input_max / 4 / max((most for _, most in counts.values()), default=1)
    found = scales_of(population, into, numerics, calibration, granularity, most)
    each = found.scale
    unused = np.isnan(each)
    if unused.any():
        each[unused] = numerics.weight_max / _unit(population)[unused]
    groups = groups_of(population, into, "neuron")
    return replace(found, scale=_within(each, population, numerics, groups))


def _within(scale: Array, population: Population, numerics: Numerics, groups: Array) -> Array:
    """`scale`, or what the state's range allows; neurons of a group have the weights in common."""
    each = np.minimum(scale, _largest_scale(population, numerics))
    least = np.full(population.n, np.inf)
    np.minimum.at(least, groups, each)
    return np.asarray(least[groups])


def _unit(population: Population) -> Array:
    """A voltage of the order of each neuron's threshold or constant input, never 0."""
    threshold = population.threshold
    size = np.abs(population.bias) if threshold is None else np.abs(threshold)
    return np.where(size > 0, size, 1.0)


def _largest_scale(population: Population, numerics: Numerics) -> Array:
    """Where thresholds or constants would leave the state's range, a coarser scale is needed."""
    parts = [population.bias, population.leak, population.v_reset]
    if population.threshold is not None:
        parts.append(population.threshold)
    largest = np.max(np.abs(parts), axis=0)
    limit = numerics.input_max // 4
    with np.errstate(divide="ignore"):
        return np.where(largest > 0, limit / largest, np.inf)


def nearest_weights(
    projection: Projection, scale: Array, numerics: Numerics, like: Projection
) -> Projection:
    """Every weight as the integer nearest to it; wide are those that are so in `like`."""
    synapses = projection.synapses
    if isinstance(synapses, Sparse):
        each = scale[synapses.target]
    else:
        rows = scale.reshape(len(synapses.weight), -1)[:, 0]
        each = rows.reshape(-1, *(1,) * (synapses.weight.ndim - 1))
    real = synapses.weight * each
    integer = numerics.nearest(real).astype(np.int64)
    wide = np.abs(like.synapses.weight) > numerics.weight_max
    if wide.any():
        integer = with_wide(real, integer, wide, numerics)
    return replace(projection, synapses=replace(synapses, weight=integer))


def integer_weights(
    projection: Projection, scales: Scales, numerics: Numerics, calibration: Calibration
) -> Projection:
    """Weights in integers; rows of dense and convolutional synapses are rounded together."""
    synapses = projection.synapses
    if isinstance(synapses, Sparse):
        real = synapses.weight * scales.scale[synapses.target]
        nearest = numerics.nearest(real).astype(np.int64)
        integer = with_wide(real, nearest, scales.wide[synapses.target], numerics)
        return replace(projection, synapses=replace(synapses, weight=integer))
    rows, wide = (
        each.reshape(len(synapses.weight), -1)[:, :1] for each in (scales.scale, scales.wide)
    )
    real = synapses.weight.reshape(len(rows), -1) * rows
    mean, variance = (part.reshape(real.shape) for part in activity_of(projection, calibration))
    narrow = np.where(is_wide(real, wide, numerics), 0.0, real)
    variance = np.where(narrow == 0, LOCKED, variance)
    low, high, step = numerics.weight_min, numerics.weight_max, numerics.weight_step
    integer = round_together(narrow, mean, variance, low, high, step)
    integer = with_wide(real, integer, wide, numerics).reshape(synapses.weight.shape)
    return replace(projection, synapses=replace(synapses, weight=integer))


def _shift(
    population: Population, scale: Array, bound: int, numerics: Numerics, decays: _Decays
) -> int:
    """Fraction bits below the weight's unit.

    As many as keep the state provably inside its limits; more (with saturation) only if the
    time constants would otherwise lose to rounding.
    """
    hard, safe, wanted = MOST_SHIFT, 0, 0
    while hard and not _fits(population, scale * 2.0**hard, bound << hard, numerics):
        hard -= 1
    for shift in range(1, hard + 1):
        if _peak(population, scale * 2.0**shift, bound << shift, numerics, decays) < 1.0:
            safe = shift
    leaving = (1.0 - population.alpha) * (1.0 if population.beta is None else 1.0 - population.beta)
    unit = _unit(population) * scale * np.where(leaving > 0, leaving, 2.0**-12)
    if len(unit):
        wanted = max(int(np.ceil(np.log2(RESOLUTION / max(float(unit.min()), 1e-9)))), 0)
    return min(hard, max(safe, wanted))


def _fits(population: Population, scale: Array, bound: int, numerics: Numerics) -> bool:
    """Whether input, constants and threshold stay inside what the arithmetic allows."""
    constant = float(np.max(np.abs(population.bias * scale), initial=0.0))
    leak = float(np.max(np.abs(population.leak * scale), initial=0.0))
    reach = float(np.max(np.abs(population.v_reset * scale), initial=0.0))
    if population.threshold is not None:
        reach = max(reach, float(np.max(np.abs(population.threshold * scale), initial=0.0)))
    if population.beta is None:
        constant, leak = constant + leak, 0.0
    return (
        bound + constant < numerics.input_max
        and leak < numerics.input_max // 2
        and reach < numerics.input_max
    )


def _peak(
    population: Population, scale: Array, bound: int, numerics: Numerics, decays: _Decays
) -> float:
    """The largest state that can occur, as a fraction of its limit (inf: unbounded)."""
    constant = float(np.max(np.abs(population.bias * scale), initial=0.0))
    leak = float(np.max(np.abs(population.leak * scale), initial=0.0))
    alpha, beta = decays.real(numerics)
    x, current = bound + constant, 0.0
    if beta is not None:
        x = low_pass_bound(x, beta, 1)
        current = x / numerics.current_max
    v = low_pass_bound(x + leak, alpha, 1)
    if v == float("inf"):  # a perfect integrator: leave room for 64 of its largest steps
        v = 64.0 * (x + leak)
    return max(current, v / numerics.state_max)


def _population(
    population: Population, weight_scale: Array, shift: int, decays: _Decays, gain: Array | None
) -> QuantizedPopulation:
    scale = weight_scale * 2.0**shift
    bias, leak = population.bias, population.leak
    if population.beta is None:
        bias, leak = bias + leak, np.zeros_like(leak)
    threshold = population.threshold
    return quantized_lif(
        name=population.name,
        shape=population.shape,
        alpha=decays.alpha,
        beta=decays.beta,
        shift=shift,
        bias=round_half_up(bias * scale),
        leak=round_half_up(leak * scale),
        threshold=None if threshold is None else round_half_up(threshold * scale),
        v_reset=round_half_up(population.v_reset * scale),
        scale=scale,
        reset=population.reset,
        compare=population.compare,
        refractory=population.refractory,
        reset_time=population.reset_time,
        alpha_bits=decays.alpha_bits,
        beta_bits=decays.beta_bits,
        input_gain=gain,
    )


def _unrepresentable(
    population: QuantizedPopulation, bound: int, numerics: Numerics
) -> list[Problem]:
    problems = []
    most = (bound << population.shift) + int(np.max(np.abs(population.bias), initial=0))
    if most > numerics.input_max:
        what = f"input of one step can reach {most}, above the limit {numerics.input_max}"
        problems.append(Problem(population.name, what, "split the layer or declare binary input"))
    stateless = not population.alpha.any()
    if population.threshold is not None and not stateless and (population.threshold < 1).any():
        what = f"{int((population.threshold < 1).sum())} thresholds round to less than 1"
        hint = "the weights are too large for the threshold: rescale the layer"
        problems.append(Problem(population.name, what, hint))
    return problems
