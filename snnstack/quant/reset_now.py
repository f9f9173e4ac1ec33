"""Replace late resets by ones that act at once, wherever the spikes stay the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.ir.matrix import diagonal
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
    return replace(p, reset_time="now", refractory=1 if p.reset_time == "next_all" else 0)


def subtract_now(graph: StepGraph) -> StepGraph:
    """The same spikes, with subtractions of "next" at once, wherever a synapse can make up for it.

    `alpha v - threshold`, one step late, is `alpha (v - threshold)` less `(1 - alpha) threshold`:
    every neuron inhibits itself by that in the step after its spike. With a synaptic current,
    which would keep the inhibition, or thresholds that a membrane at rest passes, it stays late.
    """
    late = [p for p in graph.populations if _can_subtract_now(p)]
    again = tuple(
        Projection(p.name, p.name, diagonal(weight), delay=1)
        for p in late
        if (weight := -(1.0 - p.alpha) * np.asarray(p.threshold) / p.gain).any()
    )
    names = {p.name for p in late}
    populations = tuple(
        replace(p, reset_time="now") if p.name in names else p for p in graph.populations
    )
    return graph.with_(populations=populations, projections=(*graph.projections, *again))


def _can_subtract_now(p: Population) -> bool:
    return (
        (p.reset, p.reset_time) == ("subtract", "next")
        and p.beta is None
        and p.threshold is not None
        and bool((p.threshold > 0).all() and p.gain.all())
    )
