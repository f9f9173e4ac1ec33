"""Replace late resets by ones that act at once, wherever the spikes stay the same."""

from __future__ import annotations

import numpy as np

from snnstack.ir.matrix import diagonal
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, Projection, StepGraph


def reset_now(graph: StepGraph) -> StepGraph:
    """The same spikes, with every membrane that is set late set at once.

    "next" replaces the membrane before it decays: the same as replacing it at the end of the
    step of the spike. "next_all" also loses the next step's input: one refractory step. Only
    what a probe of v shows in the step of the spike differs. Late subtractions stay, see
    `subtract_now`.
    """
    return graph.with_(populations=tuple(_at_once(p) for p in graph.populations))


def _at_once(p: Population) -> Population:
    if p.reset != "set" or p.reset_time == "now":
        return p
    return p.with_lif(reset_time="now", refractory=1 if p.reset_time == "next_all" else 0)


def subtract_now(graph: StepGraph) -> StepGraph:
    """The same spikes, with subtractions of "next" at once, wherever a synapse can make up for it.

    `alpha v - threshold`, one step late, is `alpha (v - threshold)` less `(1 - alpha) threshold`:
    every neuron inhibits itself by that in the step after its spike. A synaptic current would
    keep the inhibition: one step later it is taken back. With thresholds that a membrane at
    rest passes, the subtraction stays late.
    """
    late = [p for p in graph.populations if _can_subtract_now(p)]
    again = tuple(
        Projection(p.name, p.name, diagonal(weight), delay)
        for p in late
        for delay, weight in enumerate(_inhibition(p), start=1)
        if weight.any()
    )
    names = {p.name for p in late}
    populations = tuple(
        p.with_lif(reset_time="now") if p.name in names else p for p in graph.populations
    )
    return graph.with_(populations=populations, projections=(*graph.projections, *again))


def _inhibition(p: Population) -> list[Array]:
    """What every neuron sends itself 1, 2, ... steps after a spike."""
    once = -(1.0 - p.alpha) * np.asarray(p.threshold) / p.gain
    if p.beta is None:
        return [once]
    return [once / p.gain_in, -p.beta * once / p.gain_in]


def _can_subtract_now(p: Population) -> bool:
    return (
        (p.reset, p.reset_time) == ("subtract", "next")
        and p.threshold is not None
        and bool((p.threshold > 0).all() and (p.gain * p.gain_in).all())
    )
