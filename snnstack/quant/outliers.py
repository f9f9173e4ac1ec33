"""Few huge weights beside many small ones: a finer scale for the small, room for the huge.

One scale for a row of weights makes everything below half its step 0. Where that takes what a
neuron lives on, the row gets the finest scale with which no more than `MOST_APART` of its weights
are too large for the ordinary width; those are stored apart, with more bits. Where neurons share a
scale only because the user wants so, a neuron that would be lost gets one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection
from snnstack.quant.calibration import Calibration
from snnstack.quant.lost import (
    LOST_WEIGHT,
    deaf,
    largest_lost,
    least_of_groups,
    lost_share,
    need_of,
)
from snnstack.quant.numerics import Numerics
from snnstack.quant.scales import Granularity, Weights, flat_weights, groups_of, search

MOST_APART = 0.125
"""Share of a row's weights that may be stored apart."""
FEW_APART = 1
"""So many may always be."""
FACTORS = 2.0 ** np.arange(3.0, 16.5, 0.5)
"""How much finer a row's scale may get; less than three bits would not be worth lists of their own:
roundings that are chosen together win more."""
PAYS = 0.5
"""Of what was lost, the share that may still be lost with weights apart."""


@dataclass(frozen=True)
class Scales:
    """Weight integers per volt [n] (NaN: no weight), and which neurons may have wide weights."""

    scale: Array
    wide: Array


def scales_of(
    population: Population,
    into: tuple[Projection, ...],
    numerics: Numerics,
    calibration: Calibration,
    granularity: Granularity,
    most_input: float = np.inf,
) -> Scales:
    """The scale of every neuron, with what the smallest weights need.

    `most_input`: the sum of a row's weights, in integers, that a finer scale may reach.
    """
    groups = groups_of(population, into, granularity)
    need = need_of(population)
    if not numerics.weight_zero:  # one step is then all there is: single weights tell nothing
        need = np.full_like(need, np.inf)
    groups = _apart(population, into, groups, numerics, calibration)
    count = int(groups.max()) + 1 if len(groups) else 0
    weights = flat_weights(into, groups, calibration)
    scale = search(weights, count, numerics)
    wide = np.zeros(count, dtype=bool)
    if numerics.wide_weight is not None and len(weights.value):
        least = least_of_groups(need, groups, count)
        finer = _finer(weights, scale, least, numerics, most_input)
        scale, wide = scale * finer, finer > 1.0
    return Scales(scale[groups], wide[groups])


def _lost(weights: Weights, scale: Array) -> Array:
    """Weights below half a step, also where there is no 0 and their size alone is lost."""
    each = np.nan_to_num(scale)[weights.group]
    return np.asarray((weights.value != 0) & (np.abs(weights.value * each) < 0.5))


def _apart(
    population: Population,
    into: tuple[Projection, ...],
    groups: Array,
    numerics: Numerics,
    calibration: Calibration,
) -> Array:
    """`groups`, where neurons that a shared scale would make deaf have groups of their own.

    Membranes of a population that does not fire are compared with each other: it keeps one.
    """
    own = groups_of(population, into, "neuron")
    if population.threshold is None or np.array_equal(own, groups) or not len(groups):
        return groups
    scale = search(flat_weights(into, groups, calibration), int(groups.max()) + 1, numerics)
    weights = flat_weights(into, own, calibration)
    count = int(own.max()) + 1
    shared = np.full(count, np.nan)
    shared[own] = scale[groups]
    need = least_of_groups(need_of(population), own, count)
    alone = deaf(weights, _lost(weights, shared), need)[own]
    fresh = np.where(alone, int(groups.max()) + 1 + own, groups)
    return np.unique(fresh, return_inverse=True)[1].reshape(-1)


def _finer(
    weights: Weights, scale: Array, need: Array, numerics: Numerics, most_input: float
) -> Array:
    """By how much the scale of every group gets finer: 1 where nothing is lost or won.

    As much as the fewest weights apart that pay allow.
    """
    count, widest = len(scale), numerics.wide_weight or numerics.weight_max
    lost, best = _lost(weights, scale), np.ones(count)
    before = deaf(weights, lost, need)
    if not before.any():
        return best
    share, largest_before = lost_share(weights, lost, count), largest_lost(weights, lost, need)
    size = np.bincount(weights.group, weights.value != 0, minlength=count)
    allowed = np.maximum(np.floor(MOST_APART * size), FEW_APART)
    total = np.bincount(weights.group, np.abs(weights.value), minlength=count) * scale
    largest = np.zeros(count)
    np.maximum.at(largest, weights.group, np.abs(weights.value))
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.minimum(widest / (largest * scale), most_input / total)
    fewest = allowed
    for factor in FACTORS:
        each = np.nan_to_num(scale * factor)[weights.group]
        over = np.abs(weights.value) * each > numerics.weight_max + 0.5
        apart = np.bincount(weights.group, over, minlength=count)
        able = before & (apart <= fewest) & (factor <= most)
        if not able.any():
            continue
        lost = _lost(weights, scale * factor)
        pays = lost_share(weights, lost, count) <= PAYS * share
        pays &= largest_lost(weights, lost, need) <= np.maximum(PAYS * largest_before, LOST_WEIGHT)
        best[able & pays] = factor
        fewest = np.where(able & pays, apart, fewest)
    return best


def with_wide(real: Array, narrow: Array, wide: Array, numerics: Numerics) -> Array:
    """`narrow` integers, and where `wide` says so those of `real` that are beyond their range.

    With one bit a weight of 0 is a synapse that is not there; others are their nearest integer.
    """
    return np.where(is_wide(real, wide, numerics), np.rint(real).astype(np.int64), narrow)


def is_wide(real: Array, wide: Array, numerics: Numerics) -> Array:
    """Which weights are stored apart: `real` in integers, `wide` broadcasts with it."""
    return np.asarray(wide & (np.abs(real) > numerics.weight_max + 0.5))
