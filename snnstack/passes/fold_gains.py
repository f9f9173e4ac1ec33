"""Fold the gains of a population into the weights and biases that enter it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.ir.matrix import scale_targets
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, StepGraph


def fold_gains(graph: StepGraph) -> StepGraph:
    """The same network with `gain` and `gain_in` 1: weights then are volts per spike.

    The synaptic current, where there is one, is measured in the membrane's units afterwards.
    """
    factors = {
        p.name: p.gain * (p.gain_in if p.beta is not None else 1.0)
        for p in graph.populations
        if p.is_lif
    }
    populations = tuple(
        _unit_gain(p, factors[p.name]) if p.is_lif else p for p in graph.populations
    )
    projections = tuple(
        _scaled(p, factors[p.target]) if p.target in factors else p for p in graph.projections
    )
    return graph.with_(populations=populations, projections=projections)


def _unit_gain(population: Population, factor: Array) -> Population:
    ones = np.ones(population.n)
    return population.with_lif(gain=ones, gain_in=ones, bias=population.bias * factor)


def _scaled(projection: Projection, factor: Array) -> Projection:
    if np.all(factor == 1.0):
        return projection
    if projection.rule is not None:
        what = f"learns, and {projection.target} has a gain of {float(np.ravel(factor)[0]):g}"
        hint = "rules change weights in volts: give the neurons a gain of 1"
        raise fail(ModelError, str(projection), what, hint)
    synapses = scale_targets(projection.synapses, factor)
    assert synapses is not None
    return replace(projection, synapses=synapses)
