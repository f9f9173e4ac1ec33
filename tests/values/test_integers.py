"""Random networks whose populations send values: definition, emulator and firmware are equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnstack.backends.mcu.numerics import numerics
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import run
from snnstack.board import load_board
from snnstack.cell_ranges import cell_ranges
from snnstack.compilers.mcu import compile
from snnstack.emulators.mcu import emulate
from snnstack.engine.steps import run_step_graph
from snnstack.ir.step import StepGraph
from snnstack.passes.values import with_values
from snnstack.quant.calibration import measured
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.quantise import quantise
from snnstack.reference.run import run_quantized
from snnstack.report.equality import compare
from snnstack.trace import Spikes
from tests.values.networks import network, real_input

BITS = (8, 4, 2, 1)


def given(seed: int, valued: bool) -> Spikes:
    """Values within about +-60, or spikes: [sample, step, 2, 8, 8]."""
    x = np.rint(20 * real_input(seed, samples=4, steps=20)).astype(np.int64)
    return Spikes.carrying(x) if valued else Spikes.from_dense((x != 0).astype(np.uint8))


def valued_network(seed: int, valued: bool) -> StepGraph:
    """As `network`; with an input of values a 20th of their weight."""
    graph = network(seed)
    if valued:
        port, first = replace(graph.inputs[0], events="value"), graph.projections[0]
        synapses = replace(first.synapses, weight=first.synapses.weight / 20)
        projections = (replace(first, synapses=synapses), *graph.projections[1:])
        graph = graph.with_(inputs=(port,), projections=projections)
    return with_values(graph)


def quantised(graph: StepGraph, spikes: Spikes, bits: int = 8) -> QuantizedNetwork:
    """Integers fitted to `spikes`."""
    trace = run_step_graph(graph, spikes)
    found = replace(measured(graph, spikes, trace), ranges=cell_ranges(graph, spikes, trace))
    return quantise(graph, numerics(bits), found)


def made(seed: int) -> tuple[QuantizedNetwork, Program, Spikes]:
    """A network and program of random kind, and samples that it was not fitted to."""
    valued = seed % 2 == 0
    graph = valued_network(seed, valued)
    integers = quantised(graph, given(seed, valued), BITS[seed // 2 % 4])
    board = ("nucleo-l4r5zi", "microbit-v1", "mps3-an547", "hifive1-revb")[seed % 4]
    return integers, compile(integers, load_board(board)), given(seed + 100, valued)


@pytest.mark.parametrize("seed", range(12))
def test_the_emulator_equals_the_definition(seed: int) -> None:
    integers, program, spikes = made(seed)
    probes = program.variables
    dense = run_quantized(integers, spikes, probes)
    assert not compare(emulate(program, spikes, probes=probes), dense, "definition").differences
    assert any(sent.values is not None and sent.values.size for sent in dense.spikes.values())


@pytest.mark.needs_qemu
@pytest.mark.parametrize("seed", range(8))
def test_the_firmware_equals_the_emulator(seed: int) -> None:
    _, program, spikes = made(seed)
    probes = program.variables
    found = compare(
        emulate(program, spikes, probes=probes), run(program, spikes, probes=probes), ""
    )
    assert not found.differences and found.states_compared


def test_another_value_is_a_difference() -> None:
    _, program, spikes = made(0)
    one = emulate(program, spikes)
    sent = one.spikes["hidden"]
    assert sent.values is not None
    other = replace(sent, values=sent.values + (np.arange(len(sent.values)) == 3))
    found = compare(one, replace(one, spikes={**one.spikes, "hidden": other}), "")
    assert [(d.variable, d.count) for d in found.differences] == [("value", 1)]


def test_integers_are_near_the_real_numbers() -> None:
    graph, spikes = valued_network(0, True), given(0, True)
    integers = quantised(graph, spikes)
    real, whole = run_step_graph(graph, spikes), run_quantized(integers, spikes)
    for name in ("maps", "hidden"):
        unit = 1 / integers.population(name).payload_scale
        apart = np.abs(whole.spikes[name].dense() * unit - real.spikes[name].dense())
        assert apart.mean() < 0.02 * np.abs(real.spikes[name].dense()).mean(), name
