"""What SpiNNaker 2 can express: each limit a short rule, its docstring the manual."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from snnstack.backends.spinnaker2.network import (
    MAX_DELAY,
    Application,
    ChipNetwork,
    Connection,
)
from snnstack.backends.spinnaker2.words import has_delays, weight_limit
from snnstack.board import Board
from snnstack.errors import Problem
from snnstack.ir.step import Conv, StepGraph
from snnstack.quant.common_rules import learning, one_input, silent_sources
from snnstack.quant.network import QuantizedNetwork


def the_network_has_one_input(
    network: StepGraph | QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """The network has exactly one input."""
    yield from one_input(network, "programs for SpiNNaker 2 have 1")


def weights_stay(network: StepGraph | QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """No synapse learns."""
    yield from learning(network, "spinnaker2")


def sources_fire(network: StepGraph | QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Only populations that fire send anything to others; a non-spiking one is a result."""
    yield from silent_sources(network)


def neurons_have_no_refractory_period(
    network: StepGraph | QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """Neurons have no refractory period: the chip's applications do not wait after a spike."""
    for p in network.populations:
        if p.threshold is not None and p.refractory:
            what = f"refractory period of {p.refractory} steps, the neuron applications have none"
            yield Problem(p.name, what, "train without one, or compile for another target")


def _targets(network: ChipNetwork) -> Iterator[tuple[Connection, Application]]:
    """Every connection with the application of its target."""
    applications = {p.name: p.application for p in network.populations}
    return ((c, applications[c.target]) for c in network.connections if c.target in applications)


def convolutions_have_their_own_application(network: ChipNetwork) -> Iterator[Problem]:
    """The application lif_conv2d takes convolutions only."""
    for c, application in _targets(network):
        if application == "lif_conv2d" and not isinstance(c.synapses, Conv):
            hint = "use lif_no_delay, which takes any synapses"
            yield Problem(f"{c.source} -> {c.target}", "lif_conv2d takes convolutions only", hint)


def weights_fit_their_application(network: ChipNetwork) -> Iterator[Problem]:
    """Weights are integers: -15..15 in applications with delays, -127..127 in the others."""
    for c, application in _targets(network):
        most = weight_limit(application)
        weight = np.asarray(c.synapses.weight)
        low, high = (int(weight.min()), int(weight.max())) if weight.size else (0, 0)
        if max(-low, high) > most:
            worst = high if high > -low else low
            what = f"weight {worst}, {application} takes -{most}..{most}"
            yield Problem(f"{c.source} -> {c.target}", what)


def delays_fit_their_application(network: ChipNetwork) -> Iterator[Problem]:
    """A delay is 0..7 steps beyond the one that every hop takes; without a delay field, 0."""
    for c, application in _targets(network):
        most = MAX_DELAY if has_delays(application) else 0
        if not 0 <= c.delay <= most:
            hint = "use lif or lif_curr_exp" if c.delay <= MAX_DELAY else ""
            what = f"delay of {c.delay} steps, {application} takes 0..{most}"
            yield Problem(f"{c.source} -> {c.target}", what, hint)


def names_are_known_and_sources_fire(network: ChipNetwork) -> Iterator[Problem]:
    """Connections join existing populations, and what they start from sends spikes."""
    fires = {network.input.name: True}
    fires |= {p.name: p.threshold is not None for p in network.populations}
    for c in network.connections:
        for name in (c.source, c.target):
            if name not in fires:
                yield Problem(f"{c.source} -> {c.target}", f"there is no population {name!r}")
        if not fires.get(c.source, True):
            yield Problem(c.source, f"does not fire but feeds {c.target}")
        if c.target == network.input.name:
            yield Problem(f"{c.source} -> {c.target}", "leads into the input")


GRAPH_RULES: tuple[Callable[[StepGraph | QuantizedNetwork, Board], Iterator[Problem]], ...] = (
    the_network_has_one_input,
    weights_stay,
    sources_fire,
    neurons_have_no_refractory_period,
)
CHIP_RULES: tuple[Callable[[ChipNetwork], Iterator[Problem]], ...] = (
    names_are_known_and_sources_fire,
    convolutions_have_their_own_application,
    weights_fit_their_application,
    delays_fit_their_application,
)
RULES = (*GRAPH_RULES, *CHIP_RULES)
