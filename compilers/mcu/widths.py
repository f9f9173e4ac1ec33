"""Proofs: how wide accumulators must be, where saturation can occur, how long events are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnstack.quant.bounds import input_bounds, low_pass_bound, sent_spans
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation


@dataclass(frozen=True)
class Widths:
    """See `snnstack.backends.mcu.program.Layer`."""

    accumulator_bits: Literal[16, 32]
    saturate_v: bool
    saturate_i: bool


def widths(network: QuantizedNetwork, population: QuantizedPopulation) -> Widths:
    """What the weights, thresholds and decays of one population prove."""
    numerics = network.numerics
    into = network.into(population.name)
    bounds = input_bounds(into, population.n, sent_spans(network))
    narrow = bounds.low.min(initial=0) >= -(2**15) and bounds.high.max(initial=0) < 2**15
    if not population.is_lif:  # its step saturates where it says so
        return Widths(16 if narrow else 32, False, False)
    alpha, beta = population.decays(numerics)
    x = float(bounds.magnitude << population.shift) + float(np.abs(population.bias).max(initial=0))
    saturate_i = False
    if beta is not None:
        x = low_pass_bound(x, beta, 1)
        saturate_i = x > numerics.current_max
        x = min(x, numerics.current_max)
    leak = float(np.abs(population.leak).max(initial=0))
    v = low_pass_bound(x + leak, alpha, 1) + _after_reset(population)
    return Widths(16 if narrow else 32, v > numerics.state_max, saturate_i)


def _after_reset(population: QuantizedPopulation) -> float:
    """How far from zero a reset can put the membrane."""
    if population.threshold is None:
        return 0.0
    if population.reset == "set":
        return float(np.abs(population.v_reset).max(initial=0))
    if population.reset == "none":
        return 0.0
    if population.reset_time == "next":  # below zero by at most one threshold, then it decays
        return float(np.abs(population.threshold).max(initial=0))
    return 0.0 if (population.threshold >= 0).all() else float("inf")


def histories(network: QuantizedNetwork) -> dict[str, int]:
    """How many steps of events each input and population must keep.

    A reader updated later sees the present step, one updated earlier (or the population
    itself) only former ones.
    """
    position = {p.name: k for k, p in enumerate(network.populations)}
    kept = {port.name: 1 for port in network.inputs} | dict.fromkeys(position, 1)
    for projection in network.projections:
        source, target = projection.source, projection.target
        written = source not in position or position[source] < position[target]
        kept[source] = max(kept[source], projection.delay + written)
    return kept
