"""`Calibration`: how busy every source is, measured on data, for the scale search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.spans import Span
from snnstack.ir.inputs import split
from snnstack.ir.nodes import Array
from snnstack.ir.step import Pool, Projection, StepGraph, size
from snnstack.trace import Spikes, Trace

DEFAULT_RATE = 0.1
"""Spikes per step assumed of every source when no data is given."""
LEAST_VARIANCE = 1e-3
"""Keeps the weights of sources that were silent in the data from being given up."""


@dataclass(frozen=True)
class Activity:
    """Mean and variance of what each element of a source sends per step: float64 [n]."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Activity of inputs and populations by name; `samples` 0 means it was assumed.

    `ranges`: of populations of other models than the LIF family's, by name: (least, largest) of
    every state and input, as `snnstack.quant.fixed.calibrated` gives them.
    """

    activity: Mapping[str, Activity]
    samples: int
    ranges: Mapping[str, Mapping[str, Span]] = field(default_factory=dict)


def assumed(graph: StepGraph) -> Calibration:
    """Every source at `DEFAULT_RATE`, for quantisation without data."""
    sizes = {port.name: size(port.shape) for port in (*graph.inputs, graph.port)}
    sizes |= {p.name: p.n for p in graph.populations}
    rate = DEFAULT_RATE
    return Calibration(
        {
            name: Activity(np.full(n, rate), np.full(n, rate * (1 - rate)))
            for name, n in sizes.items()
        },
        samples=0,
    )


def measured(graph: StepGraph, spikes: Spikes, trace: Trace) -> Calibration:
    """Activity in a float run `trace` of `graph` on `spikes`."""
    sources = {**split(spikes, graph.inputs), graph.port.name: spikes, **trace.spikes}
    return Calibration({k: _activity(s) for k, s in sources.items()}, spikes.batch)


def _activity(spikes: Spikes) -> Activity:
    slots = max(spikes.batch * spikes.steps, 1)
    each = spikes.event_counts() if spikes.values is None else spikes.values
    values = each.astype(np.float64)
    mean = np.bincount(spikes.indices, weights=values, minlength=spikes.n) / slots
    square = np.bincount(spikes.indices, weights=values**2, minlength=spikes.n) / slots
    return Activity(mean, np.maximum(square - mean**2, 0.0))


def seen_by(calibration: Calibration, projection: Projection, n: int) -> Activity:
    """Activity of the synapses' source side: pooled where there is a pool; [n] elements."""
    activity = calibration.activity.get(projection.source)
    if activity is None:
        rate = np.full(n, DEFAULT_RATE)
        return Activity(rate, rate * (1 - rate))
    if projection.pool is None:
        mean, variance = activity.mean, activity.variance
    else:
        mean = _window_sums(projection.pool, activity.mean)
        variance = _window_sums(projection.pool, activity.variance)
    return Activity(mean, np.maximum(variance, LEAST_VARIANCE))


def _window_sums(pool: Pool, values: Array) -> Array:
    from snnstack.ir.matrix import pool_matrix

    return np.asarray(pool_matrix(pool) @ values)
