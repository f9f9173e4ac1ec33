"""What Loihi can express: each limit a short rule, its docstring the manual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from snnstack.backends.loihi.formats import parts
from snnstack.backends.loihi.legal import fixed_compartment_only, step_problems
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.network import ChipNetwork, Cuba, Programmed, SigmaDelta
from snnstack.backends.loihi.numerics import LARGEST_WEIGHT
from snnstack.backends.loihi.programmed import models_have_a_program
from snnstack.backends.loihi.ranges import REGISTERS, outside
from snnstack.backends.loihi.registers import LONGEST_REFRACTORY, WEIGHT_SHIFT, register_problems
from snnstack.backends.loihi.weights import WEIGHT_LIMIT
from snnstack.board import Board
from snnstack.dynamics.trace import traced
from snnstack.errors import Problem
from snnstack.ir.step import Conv, StepGraph
from snnstack.quant.common_rules import learning, one_input, silent_sources
from snnstack.quant.network import QuantizedNetwork

UNIT = 1 << WEIGHT_SHIFT


def lif(network: StepGraph | QuantizedNetwork) -> tuple[Any, ...]:
    """The populations that are fixed compartments."""
    return tuple(p for p in network.populations if p.is_lif)


def the_network_has_one_input(
    network: StepGraph | QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """The network has exactly one input."""
    yield from one_input(network, "programs for Loihi have 1")


def weights_stay(network: StepGraph | QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """No synapse learns."""
    yield from learning(network, "loihi")


def sources_fire(network: StepGraph | QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Only populations that fire send anything to others; a non-spiking one is a result."""
    yield from silent_sources(
        network, "build a sigma-delta population for graded events (generation 2)"
    )


def reset_is_to_zero_or_by_subtraction(
    network: StepGraph | QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """A spike resets the membrane to zero; generation 2 may subtract the threshold instead."""
    generation = limits_of(board).generation
    for p in lif(network):
        if p.threshold is None:
            continue
        if p.reset == "set" and np.any(p.v_reset):
            what = f"v_reset = {p.v_reset[np.flatnonzero(p.v_reset)[0]]:g}, the chip resets to 0"
            yield Problem(p.name, what, "measure voltages from v_reset and train again")
        if p.reset == "subtract" and generation == 1:
            what = "resets by subtracting the threshold, generation 1 only resets to zero"
            hint = "compile with --reset zero, or for a generation 2 board"
            yield Problem(p.name, what, hint)
        if p.reset == "subtract" and p.refractory:
            what = "resets by subtraction and has a refractory period, which clears the membrane"
            yield Problem(p.name, what, "use one of the two")


def refractory_periods_fit(
    network: StepGraph | QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """A refractory period lasts at most 63 steps (the register counts the spike's step as well)."""
    most = LONGEST_REFRACTORY
    for p in lif(network):
        if p.refractory > most:
            what = f"refractory period of {p.refractory} steps, at most {most}"
            yield Problem(p.name, what, "use a larger time step")


def thresholds_are_positive(network: StepGraph, board: Board) -> Iterator[Problem]:
    """Thresholds are greater than 0."""
    for p in lif(network):
        if p.threshold is not None and (p.threshold <= 0).any():
            what = f"threshold {float(p.threshold.min()):g}, the chip needs one above 0"
            yield Problem(p.name, what, "shift the membrane and the threshold by a constant")


def thresholds_are_equal_within_a_channel(network: StepGraph, board: Board) -> Iterator[Problem]:
    """Where a convolution shares weights, the neurons of a channel have the same threshold."""
    shared = {p.target for p in network.projections if isinstance(p.synapses, Conv)}
    for p in lif(network):
        if p.name in shared and p.threshold is not None:
            rows = p.threshold.reshape(p.shape[0], -1)
            if np.any(rows != rows[:, :1]):
                what = f"thresholds {rows.min():g}..{rows.max():g} differ within a channel"
                yield Problem(p.name, what, "use one threshold for each channel")


def weights_fit_a_format(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Weights are 8-bit magnitudes with a common exponent up to 7 for each sign."""
    for projection in network.projections:
        if parts(projection.synapses.weight) is None:
            what = "weights cannot be stored as 8 bits with a common exponent"
            yield Problem(str(projection), what, "quantise the network for this board")


def constant_currents_are_whole_weights(
    network: QuantizedNetwork, board: Board
) -> Iterator[Problem]:
    """Constant input into a synaptic current is a whole number of weight units, up to 32,640."""
    for p in lif(network):
        if p.beta is not None:
            wrong = p.bias[(p.bias % UNIT != 0) | (np.abs(p.bias) > LARGEST_WEIGHT * UNIT)]
            if len(wrong):
                what = f"constant input {int(wrong[0])} into the synaptic current"
                hint = f"it comes from a neuron, in steps of {UNIT} up to {LARGEST_WEIGHT * UNIT}"
                yield Problem(p.name, what, hint)


def delays_fit(network: ChipNetwork) -> Iterator[Problem]:
    """A delay is at most 62 steps beyond the one that every hop takes."""
    low, high = REGISTERS["delay"].low, REGISTERS["delay"].high
    for c in network.connections:
        if not low <= c.delay <= high:
            what = f"delay of {c.delay} steps is outside {low}..{high}"
            yield Problem(f"{c.source} -> {c.target}", what)


def registers_hold_every_value(network: ChipNetwork) -> Iterator[Problem]:
    """Decays, thresholds, biases and refractory periods are inside their registers.

    A program has no more instructions, states and tables than a neuron of generation 2 holds.
    """
    for p in network.populations:
        if isinstance(p, Cuba):
            yield from register_problems(p)
        elif isinstance(p, Programmed):
            yield from step_problems(p.name, traced(p.neurons))
        else:
            yield from outside(p.name, "vth", p.threshold)
            yield from outside(p.name, "bias", p.bias)
            yield from outside(p.name, "state_exp", p.exponent)


def weights_are_in_range(network: ChipNetwork) -> Iterator[Problem]:
    """An applied weight is at most 2**21 - 2**6 in magnitude."""
    most = WEIGHT_LIMIT >> 6
    for c in network.connections:
        largest = int(np.abs(c.synapses.weight).max(initial=0))
        if largest > most:
            what = f"weight of magnitude {largest}, at most {most}"
            yield Problem(f"{c.source} -> {c.target}", what)


def generation_2_features_are_on_generation_2(network: ChipNetwork) -> Iterator[Problem]:
    """Sigma-delta and programmed neurons, graded spikes, reset by subtraction: generation 2."""
    if network.generation == 2:
        return
    if network.input.graded:
        yield Problem(network.input.name, "graded input needs generation 2")
    for p in network.populations:
        if isinstance(p, SigmaDelta):
            yield Problem(p.name, "sigma-delta neurons need generation 2")
        elif isinstance(p, Programmed):
            yield fixed_compartment_only(p.name, p.model)
        elif p.reset == "subtract":
            yield Problem(p.name, "reset by subtraction needs generation 2")


GRAPH_RULES: tuple[Callable[[StepGraph, Board], Iterator[Problem]], ...] = (
    the_network_has_one_input,
    models_have_a_program,
    weights_stay,
    sources_fire,
    reset_is_to_zero_or_by_subtraction,
    refractory_periods_fit,
    thresholds_are_positive,
    thresholds_are_equal_within_a_channel,
)
NETWORK_RULES: tuple[Callable[[QuantizedNetwork, Board], Iterator[Problem]], ...] = (
    the_network_has_one_input,
    models_have_a_program,
    weights_stay,
    sources_fire,
    reset_is_to_zero_or_by_subtraction,
    refractory_periods_fit,
    weights_fit_a_format,
    constant_currents_are_whole_weights,
)
CHIP_RULES: tuple[Callable[[ChipNetwork], Iterator[Problem]], ...] = (
    registers_hold_every_value,
    weights_are_in_range,
    delays_fit,
    generation_2_features_are_on_generation_2,
)
RULES = tuple(dict.fromkeys((*GRAPH_RULES, *NETWORK_RULES, *CHIP_RULES)))
