"""Choose weight scales: of many candidates, the one with the smallest expected output error.

For a neuron with weight errors d_s and sources of mean m_s and variance q_s per step, the
expected squared error of its input is `sum q_s d_s**2 + (sum m_s d_s)**2` (sources taken as
independent). Small scales waste levels, large ones clip the biggest weights: the search finds
the balance instead of always mapping the largest weight to the largest integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Population, Projection, Sparse, source_size
from snnstack.quant.calibration import Activity, Calibration, seen_by
from snnstack.quant.numerics import Numerics

Granularity = Literal["neuron", "population", "import"]
"""Neurons that share a scale. "import": by the rules of the target's own importer, if any."""
CANDIDATES = np.concatenate([[1.0], np.geomspace(0.6, 4.0, 40)])
"""Scales tried, relative to the one that maps the largest weight to the largest integer."""
SMALLEST = 1e-300
"""Volts; a weight that is no larger is none, its scale would be no number."""
FEW_LEVELS = 7
"""Up to this largest weight integer most weights of a row may be best clipped."""
MORE_CANDIDATES = np.concatenate([[1.0], np.geomspace(0.6, 40.0, 90)])


@dataclass(frozen=True)
class Weights:
    """The synapses of one population as flat lists: weight, its group, its source's activity."""

    value: Array
    group: Array
    mean: Array
    variance: Array


def groups_of(
    population: Population, projections: tuple[Projection, ...], granularity: Granularity
) -> Array:
    """For each neuron the number of its scale group: int64 [n].

    One group per neuron (per channel, where a convolution shares weights); a population that
    does not fire has a single one, because its membranes are compared with each other.
    """
    if granularity == "population" or not population.fires:
        return np.zeros(population.n, dtype=np.int64)
    return rows_of(population, projections)


def rows_of(population: Population, projections: tuple[Projection, ...]) -> Array:
    """For each neuron the number of its row of weights: itself, or its channel: int64 [n]."""
    if any(isinstance(p.synapses, Conv) for p in projections):
        channels = population.shape[0]
        return np.repeat(np.arange(channels), population.n // channels)
    return np.arange(population.n, dtype=np.int64)


def flat_weights(
    projections: tuple[Projection, ...], groups: Array, calibration: Calibration
) -> Weights:
    """All weights that enter a population, with the activity of their sources."""
    parts = []
    for projection in projections:
        weight = projection.synapses.weight
        mean, variance = activity_of(projection, calibration)
        group = np.broadcast_to(_group(projection, groups), weight.shape)
        parts.append(tuple(part.ravel() for part in (weight, group, mean, variance)))
    if not parts:
        nothing = np.zeros(0)
        return Weights(nothing, nothing.astype(np.int64), nothing, nothing)
    return Weights(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _group(projection: Projection, groups: Array) -> Array:
    """The group of every weight, of a shape that broadcasts with the weights."""
    match projection.synapses:
        case Dense():
            return np.asarray(groups[:, None])
        case Sparse() as sparse:
            return np.asarray(groups[sparse.target])
        case Conv() as conv:
            return np.asarray(groups.reshape(conv.out_shape[0], -1)[:, 0, None, None, None])


def activity_of(projection: Projection, calibration: Calibration) -> tuple[Array, Array]:
    """(mean, variance) of the source of every weight, of the weights' shape."""
    activity = seen_by(calibration, projection, source_size(projection))
    synapses = projection.synapses
    match synapses:
        case Dense():
            parts = (activity.mean, activity.variance)
        case Sparse():
            source = np.repeat(np.arange(len(synapses.indptr) - 1), np.diff(synapses.indptr))
            parts = (activity.mean[source], activity.variance[source])
        case Conv():
            parts = _per_tap(synapses, activity)
    shape = synapses.weight.shape
    return np.broadcast_to(parts[0], shape), np.broadcast_to(parts[1], shape)


def _per_tap(conv: Conv, activity: Activity) -> tuple[Array, Array]:
    """Every tap of an input channel sees the channel's average activity."""
    c_out, c_in = conv.weight.shape[:2]
    first = np.arange(c_out) // (c_out // conv.groups) * c_in
    channel = first[:, None] + np.arange(c_in)
    mean = activity.mean.reshape(conv.in_shape[0], -1).mean(axis=1)[channel]
    variance = activity.variance.reshape(conv.in_shape[0], -1).mean(axis=1)[channel]
    return mean[:, :, None, None], variance[:, :, None, None]


def search(weights: Weights, groups: int, numerics: Numerics) -> Array:
    """The best weight scale of every group (weight integers per volt): float64 [groups].

    A group without any weight above `SMALLEST` gets NaN.
    """
    largest = np.zeros(groups)
    np.maximum.at(largest, weights.group, np.abs(weights.value))
    seen = largest > SMALLEST
    base = np.where(seen, numerics.weight_max / np.where(seen, largest, 1.0), np.nan)
    best, least = base.copy(), np.full(groups, np.inf)
    for factor in CANDIDATES if numerics.weight_max > FEW_LEVELS else MORE_CANDIDATES:
        error = _error(weights, base * factor, groups, numerics)
        better = error < least
        best[better], least[better] = base[better] * factor, error[better]
    return best


def _error(weights: Weights, scale: Array, groups: int, numerics: Numerics) -> Array:
    each = scale[weights.group]
    levels = numerics.nearest(weights.value * each)
    difference = np.where(np.isnan(each), 0.0, levels / each - weights.value)
    spread = np.bincount(weights.group, weights.variance * difference**2, minlength=groups)
    shift = np.bincount(weights.group, weights.mean * difference, minlength=groups)
    return np.asarray(spread + shift**2)
