"""Weights that quantisation makes 0, and whether a neuron can do without them."""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Population
from snnstack.quant.scales import Weights

LOST_SHARE = 0.1
"""A neuron that loses more of its expected drive than this is said, and helped where possible."""
LOST_WEIGHT = 0.125
"""So is one that loses a weight of which one spike brings this share of its threshold."""
NOTHING = 1e-3
"""Lost weights of a neuron that together bring less than this share of its threshold, if all of
their sources send in every step for ever, are no loss: their neuron cannot notice."""
OUTLIER = 16.0
"""A synapse counts in the drive as at most this many times the median: one huge weight beside
thousands of lost ones would else make them look like nothing."""


def need_of(population: Population) -> Array:
    """What a spike must bring to reach each neuron's threshold from rest, in volts: float64 [n].

    Through a synaptic current it brings `1 / (1 - beta)` of its weight, spread over time.
    Infinite where there is no threshold.
    """
    if population.threshold is None:
        return np.full(population.n, np.inf)
    passed = 1.0 if population.beta is None else np.maximum(1.0 - population.beta, 1e-12)
    return np.asarray(np.maximum(np.abs(population.threshold), 1e-30) * passed)


def drive_of(weights: Weights, groups: int) -> Array:
    """The expected drive |w| m of every synapse, no more than `OUTLIER` medians of its group."""
    drive = np.abs(weights.value) * weights.mean
    used = np.flatnonzero(drive > 0)
    order = used[np.lexsort((drive[used], weights.group[used]))]
    count = np.bincount(weights.group[order], minlength=groups)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    median = np.full(groups, np.inf)
    some = count > 0
    median[some] = drive[order][(first + (count - 1) // 2)[some]]
    return np.asarray(np.minimum(drive, OUTLIER * median[weights.group]))


def lost_share(weights: Weights, lost: Array, groups: int) -> Array:
    """The share of its expected drive that every group loses: float64 [groups]."""
    drive = drive_of(weights, groups)
    total = np.bincount(weights.group, drive, minlength=groups)
    gone = np.bincount(weights.group, drive * lost, minlength=groups)
    return np.asarray(gone / np.where(total > 0, total, 1.0))


def changed_share(weights: Weights, held: Array, groups: int) -> Array:
    """By what share of its expected drive every group's input changes: float64 [groups].

    `held`: the weights as they are now. Up and down cancel: what is left moves every sum.
    """
    total = np.bincount(weights.group, np.abs(weights.value) * weights.mean, minlength=groups)
    moved = np.bincount(weights.group, (held - weights.value) * weights.mean, minlength=groups)
    return np.asarray(np.abs(moved) / np.where(total > 0, total, np.inf))


def largest_lost(weights: Weights, lost: Array, need: Array) -> Array:
    """The largest lost weight of every group over `need` [groups]: thresholds a spike."""
    found = np.zeros(len(need))
    np.maximum.at(found, weights.group[lost], np.abs(weights.value[lost]))
    return found / need


def deaf(weights: Weights, lost: Array, need: Array) -> Array:
    """Groups that lose more than `LOST_SHARE` or a weight above `LOST_WEIGHT`: bool [groups]."""
    share = lost_share(weights, lost, len(need))
    return np.asarray((share > LOST_SHARE) | (largest_lost(weights, lost, need) > LOST_WEIGHT))


def unnoticed(weights: Weights, lost: Array, need: Array, memory: Array, most: Array) -> Array:
    """Groups whose lost weights stay below `NOTHING`: bool [groups].

    `need` as in `need_of`; `memory`: steps that a membrane remembers (infinite without leak);
    `most`: events of a source in a step, per synapse.
    """
    brought = np.bincount(
        weights.group[lost], (np.abs(weights.value) * most)[lost], minlength=len(need)
    )
    with np.errstate(invalid="ignore"):
        held = np.where(brought > 0, brought * memory, 0.0) / need
    return np.asarray(held < NOTHING)


def least_of_groups(values: Array, groups: Array, count: int) -> Array:
    """The smallest of `values` [n] in every group."""
    found = np.full(count, np.inf)
    np.minimum.at(found, groups, values)
    return found
