"""Limits that several targets share; each target's rule says them in its own words."""

from __future__ import annotations

from collections.abc import Iterator

from snnstack.errors import Problem
from snnstack.ir.learning import plastic
from snnstack.ir.step import StepGraph
from snnstack.quant.network import QuantizedNetwork


def one_input(network: StepGraph | QuantizedNetwork, taken: str) -> Iterator[Problem]:
    """Several inputs, or none. `taken`: who takes one, e.g. "the chip takes 1"."""
    names = ", ".join(port.name for port in network.inputs)
    if len(network.inputs) != 1:
        what = f"{len(network.inputs)} inputs ({names}), {taken}"
        yield Problem("network", what, "join them into one input")


def only_lif(network: StepGraph | QuantizedNetwork, target: str) -> Iterator[Problem]:
    """Populations of another model than the LIF family's, for a target that computes no other."""
    for p in network.populations:
        if not p.is_lif:
            what = f"is of the model {p.model.name}, {target} computes IF, LIF, LI and CubaLIF"
            yield Problem(p.name, what, "mcu boards compute any model")


def learning(network: StepGraph | QuantizedNetwork, target: str) -> Iterator[Problem]:
    """Projections that learn, for a target whose weights stay as they are."""
    for p in plastic(network):
        assert p.rule is not None
        what = f"learns by {p.rule.rule.name}, {target} cannot"
        yield Problem(str(p), what, "learn first: snnstack.passes.learned")


def value_sources(network: StepGraph | QuantizedNetwork) -> Iterator[Problem]:
    """Populations that send values to others."""
    sends = {p.name for p in network.populations if p.model.sends == "value"}
    for projection in network.projections:
        if projection.source in sends:
            what = f"sends values to {projection.target}, spikes are all that is carried"
            yield Problem(projection.source, what, "send a spike where a value passes a threshold")


def silent_sources(network: StepGraph | QuantizedNetwork, hint: str = "") -> Iterator[Problem]:
    """Populations without a threshold that feed others."""
    silent = {p.name for p in network.populations if not p.fires}
    for projection in network.projections:
        if projection.source in silent:
            what = f"does not fire but feeds {projection.target}"
            yield Problem(projection.source, what, hint)
