"""Replace late resets by ones that act at once, wherever the spikes stay the same."""

from __future__ import annotations

from dataclasses import replace

from snnstack.ir.step import Population, StepGraph


def reset_now(graph: StepGraph) -> StepGraph:
    """The same spikes, with every membrane that is set late set at once.

    "next" replaces the membrane before it decays: the same as replacing it at the end of the
    step of the spike. "next_all" also loses the next step's input: one refractory step. Only
    what a probe of v shows in the step of the spike differs. Late subtractions stay.
    """
    return graph.with_(populations=tuple(_at_once(p) for p in graph.populations))


def _at_once(p: Population) -> Population:
    if p.reset != "set" or p.reset_time == "now":
        return p
    return replace(p, reset_time="now", refractory=1 if p.reset_time == "next_all" else 0)
