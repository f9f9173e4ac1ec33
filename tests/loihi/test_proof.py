"""Input beyond what a program was compiled for is refused, never computed with wrapped currents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.backends.loihi import emit, load, quantise, reference
from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.proof import may_wrap
from snnstack.backends.loihi.stand_in import run
from snnstack.board import load_board
from snnstack.compilers.loihi import compile, compile_chip
from snnstack.emulators.loihi import emulate
from snnstack.errors import DataError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Input, Linear, Output
from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif
from snnstack.reference import run_quantized
from snnstack.report.readout import aligned
from snnstack.target import emulator
from snnstack.trace import Spikes

BOARD = load_board("oheo-gulch")


def counted(weight: float, sources: int = 1, beta: float | None = 0.9) -> StepGraph:
    """One neuron whose input is declared as counts: `weight` thresholds a spike."""
    one = np.ones(1)
    neuron = lif(
        name="p",
        shape=(1,),
        alpha=one * 0.9,
        beta=None if beta is None else one * beta,
        gain_in=one,
        gain=one,
        bias=one * 0,
        leak=one * 0,
        threshold=one,
        v_reset=one * 0,
    )
    into = Projection("x", "p", Dense(np.full((1, sources), weight)))
    inputs = (StepInput("x", (sources,), "count"),)
    return StepGraph(inputs, (neuron,), (into,), ("p",), 1e-3)


def sent(count: int, sources: int = 1, steps: int = 30) -> Spikes:
    return Spikes.from_dense(np.full((1, steps, sources), count))


def test_more_spikes_than_the_proof_allows_are_refused_by_name_everywhere() -> None:
    program = load(emit(compile(quantise(counted(0.05, 40), BOARD), BOARD)))
    assert program.settings["registers"]["p"]["current_wraps"] == "cannot happen"
    assert program.input_count == 1
    reach = may_wrap(program.network, 9)["p"]
    expected = (
        "p: an element of x has 9 spikes in one step, the program is for 1: the current of p may "
        f"reach {reach}, it wraps at 8388607 (compile with --calibrate DATA that holds as many, "
        "so that the scales leave room)"
    )
    for compute in (emulate, run, lambda p, s: reference(p, None, s), snnstack.verify):
        with pytest.raises(DataError) as error:
            compute(program, sent(9, 40))  # type: ignore[operator]
        assert str(error.value) == expected


def test_more_spikes_that_the_proof_holds_for_are_computed() -> None:
    """The membrane limits the scale here, and the current has room."""
    network = quantise(counted(0.01, beta=None), BOARD)
    program = compile(network, BOARD)
    assert program.input_count == 1 and may_wrap(program.network, 100) == {}
    found = aligned(emulate(program, sent(100)), 30)
    expected = run_quantized(network, sent(100))
    assert expected.spikes["p"].total > 10
    assert np.array_equal(found.spikes["p"].dense(), expected.spikes["p"].dense())


def test_the_bound_is_what_the_largest_input_reaches() -> None:
    net = (
        ChipBuilder()
        .input("x", 3)
        .population("a", 1, du=1023, dv=0, vth_mant=9)
        .population("b", 1, du=0, dv=0, vth_mant=9, convention="chip")
        .connect("x", "a", [[200, 200, -100]], exponent=5)
        .connect("a", "b", [[2]])
        .build()
    )
    high = 2 * 400 * 2**5 * 2**6 * 4
    assert may_wrap(net, 2) == ({"a": high, "b": -1} if high > 2**23 - 1 else {"b": -1})
    assert may_wrap(net, 3) == {"a": high * 3 // 2, "b": -1}


def test_networks_in_chip_units_wrap_as_they_are_defined() -> None:
    net = ChipBuilder().input("x", 1).population("n", 1, du=0, dv=0, vth_mant=9)
    program = compile_chip(net.connect("x", "n", [[255]], exponent=7).build(), BOARD)
    assert program.input_count is None
    current = emulate(program, sent(200), probes=[("n", "i")]).states["n", "i"]
    assert (current < 0).any()


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "oheo-gulch", "spinnaker2-chip", "neurram"])
def test_binary_input_takes_no_counts_on_any_target(board: str) -> None:
    nodes: dict[str, Any] = {
        "x": Input((2,), "binary"),
        "w": Linear(np.ones((1, 2))),
        "p": LIF(
            tau=np.array([5e-3]),
            r=np.ones(1),
            v_leak=np.zeros(1),
            v_reset=np.zeros(1),
            v_threshold=np.ones(1),
        ),
        "out": Output((1,)),
    }
    edges = (Edge("x", "w"), Edge("w", "p"), Edge("p", "out"))
    program = snnstack.compile(Graph(nodes, edges, 1e-3, "euler"), board)
    with pytest.raises(DataError) as error:
        emulator(program.target).emulate(program, sent(2, 2))
    assert str(error.value) == "x: an element has 2 spikes in one step, the program allows 1"


@pytest.mark.parametrize("wrong", [256, -1, 0.5])
def test_numbers_that_are_no_counts_never_become_spikes(wrong: float) -> None:
    with pytest.raises(DataError) as error:
        Spikes.from_dense(np.array([[[1, wrong]]]))
    assert str(error.value) == (
        f"spikes: 1 of 2 numbers are no counts, first {wrong:g} "
        "(an element sends 0..255 spikes in a step)"
    )


def test_a_constant_that_goes_through_synapses_is_part_of_the_proof() -> None:
    """The weight alone reaches 8,348,024 of 8,388,607; an initial membrane would leave its
    register, so that the constant fills the same current."""
    made = quantise(counted(0.05), BOARD)
    into = (replace(made.projections[0], synapses=Dense(np.full((1, 1), 204 << 6))),)
    for leak, wraps in ((0, "cannot happen"), (4095 << 7, "not expected")):
        p = made.populations[0].with_lif(leak=np.full(1, leak), alpha=np.full(1, 100))
        program = compile(made.with_(populations=(p,), projections=into), BOARD)
        assert program.settings.get("constants_by_synapse", {}) == ({"p": 1} if leak else {})
        assert program.settings["registers"]["p"]["current_wraps"] == wraps
