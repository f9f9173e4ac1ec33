"""A population in units of its threshold: what the search for a scale looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.numerics import NUMERICS
from snnstack.backends.loihi.registers import DECAY_ONE, LARGEST_VOLTAGE_DECAY
from snnstack.backends.loihi.scale import Drive, Part
from snnstack.backends.loihi.weights import Signs
from snnstack.board import Board
from snnstack.ir.matrix import scale_targets
from snnstack.ir.nodes import Array
from snnstack.ir.step import (
    Conv,
    Dense,
    Population,
    Projection,
    Sparse,
    StepGraph,
    StepInput,
    Synapses,
)
from snnstack.quant.calibration import Calibration
from snnstack.quant.scales import activity_of
from snnstack.quant.steady import rounded

APART = 16.0
"""Neurons of one population have scales that differ by powers of this, where they must."""


@dataclass(frozen=True)
class Layer:
    """A population in thresholds: `unit` volts per threshold of every neuron, float64 [n].

    `into_current`, `into_membrane`: constant input per step. `gain`: what all input was
    multiplied with (`snnstack.quant.steady`). `ratio` [n]: the threshold in such units, 1 unless
    neurons need scales that are far apart.
    """

    population: Population
    unit: Array
    into: tuple[Projection, ...]
    into_current: Array
    into_membrane: Array
    activity: tuple[tuple[Array, Array], ...]
    ratio: Array
    gain: Array | None = None


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


def layer_of(
    population: Population,
    into: tuple[Projection, ...],
    calibration: Calibration,
    ratio: Array | None = None,
) -> Layer:
    """`population` and what enters it, divided by its thresholds over `ratio`."""
    ratio = np.ones(population.n) if ratio is None else ratio
    unit = _unit(population, into) / ratio
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
        ratio=ratio,
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
    row = _row(layer.into[number].synapses).ravel()
    mean, importance = (part.ravel() for part in layer.activity[number])
    beta = layer.population.beta
    charge = 1.0 if beta is None else float(1.0 / np.maximum(1.0 - beta, 1e-12).min(initial=1.0))
    if mixed and weight.min(initial=0.0) < 0 < weight.max(initial=0.0):
        return [Part(number, "mixed", np.abs(weight), importance, mean, row, charge, apart=False)]
    positive, negative = weight > 0, weight < 0
    modes: list[tuple[Signs, Array]] = [("excitatory", positive), ("inhibitory", negative)]
    return [
        Part(
            number,
            signs,
            np.abs(weight[chosen]),
            importance[chosen],
            mean[chosen],
            row[chosen],
            charge,
            apart=not mixed,
        )
        for signs, chosen in modes
        if chosen.any()
    ]


def ratios(layer: Layer, most: float) -> Array:
    """For every neuron, how much finer a scale than the population's its own input allows: [n].

    Powers of `APART` up to `most`: a core has few threshold registers that neurons can choose from.
    """
    largest = np.maximum(np.abs(layer.into_current), np.abs(layer.into_membrane))
    for projection in layer.into:
        synapses, weight = projection.synapses, np.abs(projection.synapses.weight)
        if isinstance(synapses, Sparse):
            np.maximum.at(largest, synapses.target, weight)
        elif weight.size:
            rows = weight.reshape(len(weight), -1).max(axis=1)
            largest = np.maximum(largest, np.repeat(rows, len(largest) // len(rows)))
    conv = next((p.synapses for p in layer.into if isinstance(p.synapses, Conv)), None)
    if conv is not None:
        each = largest.reshape(conv.out_shape[0], -1)
        largest = np.repeat(each.max(axis=1), each.shape[1])
    room = np.where(largest > 0, largest.max(initial=0.0) / np.maximum(largest, 1e-300), 1.0)
    room = np.clip(room, 1.0, max(most, 1.0))
    return np.asarray(APART ** np.floor(np.log(room) / np.log(APART)))


def _row(synapses: Synapses) -> Array:
    """The target neuron, or the channel of a convolution, of every weight."""
    if isinstance(synapses, Sparse):
        return synapses.target.astype(np.int64)
    rows = np.arange(len(synapses.weight)).reshape(-1, *(1,) * (synapses.weight.ndim - 1))
    return np.broadcast_to(rows, synapses.weight.shape)


def drive_of(layer: Layer, counts: dict[str, int]) -> Drive:
    """Bounds and expectations of what enters `layer`; `counts`: events per step of inputs."""
    population = layer.population
    alpha, beta = held_decays(population)
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
        alpha=alpha,
        beta=np.zeros(population.n) if beta is None else beta,
        threshold=float(layer.ratio.max(initial=1.0)),
    )


def held_decays(p: Population) -> tuple[Array, Array | None]:
    """The decay factors that the chip holds, as real numbers."""
    alpha = decay_register(p.alpha, DECAY_ONE - LARGEST_VOLTAGE_DECAY) / DECAY_ONE
    return alpha, None if p.beta is None else decay_register(p.beta, 0) / DECAY_ONE


def decay_register(factor: Array, least: int) -> Array:
    """What is kept in a step, in 4096ths; `least` of them at least."""
    return np.maximum(rounded(factor, NUMERICS.decay_bits), least)


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
