"""Energy, latency and real time of programs for SpiNNaker 2."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.spinnaker2 import timing
from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.price import price
from snnstack.backends.spinnaker2.program import Program
from snnstack.board import load_board
from snnstack.compilers.spinnaker2 import compile_chip
from snnstack.emulators.spinnaker2 import emulate
from snnstack.errors import TargetError
from snnstack.trace import Spikes, Trace


def program(weight: int = 3, dt: float = 1e-3, conv: bool = False) -> Program:
    builder = ChipBuilder().input("x", (1, 6, 6))
    if conv:
        builder.population("n", (2, 4, 4), "lif_conv2d", threshold=300, alpha=0.9)
        builder.conv("x", "n", np.full((2, 1, 3, 3), weight))
    else:
        builder.population("n", 20, "lif", threshold=300, alpha=0.9)
        builder.connect("x", "n", np.full((20, 36), weight))
    return compile_chip(builder.build(), load_board("spinnaker2-chip"), dt=dt, events="binary")


def all_fire(steps: int = 10) -> Spikes:
    return Spikes.from_dense(np.ones((2, steps, 1, 6, 6), np.uint8))


@pytest.mark.parametrize("conv", [False, True])
def test_events_are_counted_as_the_tables_hold_them(conv: bool) -> None:
    made = program(conv=conv)
    counts = emulate(made, all_fire()).counts["n"]
    events = 9 * (2 * 16 * 9 if conv else 20 * 36)
    np.testing.assert_array_equal(counts.synops, np.full(2, events))
    np.testing.assert_array_equal(counts.other["macs"], np.full(2, events if conv else 0))
    np.testing.assert_array_equal(counts.other["received"], np.full(2, 9 * 36))
    np.testing.assert_array_equal(counts.updates, np.full(2, 10 * (32 if conv else 20)))


def test_the_two_paths_of_a_synaptic_event_are_named_and_differ() -> None:
    energies = {}
    for conv in (False, True):
        made = program(conv=conv)
        found = price(made, emulate(made, all_fire())).energy
        energies[conv] = {c.name: c for c in found.components}
    software = energies[False]["synapses (software)"]
    mac = energies[True]["synapses (MAC array)"]
    assert software.factors[0].name == "synop_software_pj"
    assert mac.factors[0].name == "synop_mac_pj"
    assert software.band.typical / (9 * 720) > 10 * mac.band.typical / (9 * 288)


def test_a_period_is_paid_for_and_one_that_is_too_short_is_told() -> None:
    made = program()
    trace = emulate(made, all_fire())
    alone, waiting = price(made, trace), price(made, trace, period_s=1.0)
    assert waiting.energy.static.typical > 50 * alone.energy.static.typical
    assert alone.latency.typical == pytest.approx(0.01)
    notes = price(made, trace, period_s=1e-3).energy.notes
    assert notes == ("one inference takes 10 ms, more than its 1 ms",)


def test_elements_that_overrun_the_tick_are_named() -> None:
    made = program(dt=1e-5)
    loads = timing.expected(made, {"x": 1.0})
    assert loads[1].counts == (1.0, 20.0, 36.0, 720.0, 0.0)
    late = timing.overruns(made, loads)
    assert late[0].startswith("element 1 (n) is busy for ")
    assert late[0].endswith(" us of a tick of 10 us")
    assert timing.overruns(program(dt=1e-3), loads) == []
    notes = price(made, emulate(made, all_fire())).energy.notes
    assert any("element 1 (n) is busy" in note for note in notes)


def test_measured_and_expected_loads_agree_at_the_same_rate() -> None:
    for conv in (False, True):
        made = program(conv=conv)
        expected = timing.expected(made, {"x": 1.0})[1].counts
        measured = timing.measured(made, emulate(made, all_fire(1000)))[1].counts
        np.testing.assert_allclose(measured, expected, rtol=2e-3)


def test_a_trace_without_counts_is_refused() -> None:
    with pytest.raises(TargetError, match="network: the trace holds no event counts"):
        price(program(), Trace({}))
