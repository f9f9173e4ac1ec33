"""A population in units of its threshold: what the search for a scale looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.scale import Drive, Part
from snnstack.backends.loihi.weights import Signs
from snnstack.board import Board
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Population, Projection, Sparse, StepGraph, StepInput
from snnstack.passes.compose import scale_targets
from snnstack.quant.calibration import Calibration
from snnstack.quant.scales import activity_of


@dataclass(frozen=True)
class Layer:
    """A population in thresholds: `unit` volts per threshold of every neuron, float64 [n].

    `into_current`, `into_membrane`: constant input per step.
    """

    population: Population
    unit: Array
    into: tuple[Projection, ...]
    into_current: Array
    into_membrane: Array
    activity: tuple[tuple[Array, Array], ...]


def spikes_per_step(
    inputs: tuple[StepInput, ...], calibration: Calibration | None
) -> dict[str, int]:
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


def room_for_split(graph: StepGraph, board: Board) -> bool:
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


def layer_of(graph: StepGraph, population: Population, calibration: Calibration) -> Layer:
    """`population` and what enters it, divided by its thresholds."""
    into = graph.into(population.name)
    unit = _unit(population, into)
    scaled = tuple(_scaled(p, 1.0 / unit) for p in into)
    current, membrane = population.bias, population.leak
    if population.beta is None:
        current, membrane = np.zeros_like(current), membrane + current
    return Layer(
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


def parts_of(layer: Layer, number: int, mixed: bool) -> list[Part]:
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


def drive_of(layer: Layer, counts: dict[str, int]) -> Drive:
    """Bounds and expectations of what enters `layer`; `counts`: events per step of inputs."""
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
