"""Resets that do not act at once, on every target: exact, or refused with what would do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snnstack.api import verify, verify_reference
from snnstack.board import all_boards
from snnstack.building import build_steps
from snnstack.errors import ModelError
from snnstack.ir.nodes import LIF, Affine, CubaLIF, Linear
from snnstack.reference import run_steps
from snnstack.report.readout import aligned
from snnstack.target import backend, emulator, target_names
from tests.conformance.networks import (
    _neuron,
    _weight,
    chain,
    events,
    spiking_graphs,
    steps_of,
)

TIMES = [("subtract", "next"), ("subtract", "recheck"), ("none", "now")]
SET_LATE = [("zero", "next"), ("v_reset", "next_all")]
BOARDS = {board.target: board for board in reversed(all_boards())}
NEEDS = {"mcu": pytest.mark.needs_qemu, "loihi": pytest.mark.needs_lava}
every_target = pytest.mark.parametrize(
    "target", [pytest.param(name, marks=NEEDS.get(name, ())) for name in target_names()]
)


def graph(reset: str, time: str) -> Any:
    said = {"reset": reset, "reset_time": time}
    return chain(
        Affine(_weight(1, 14, 9, gain=0.8), _weight(2, 14, gain=0.05)),
        _neuron(LIF, (14,), **said),
        Linear(_weight(3, 5, 14, gain=0.8)),
        _neuron(CubaLIF, (5,), **said),
        shape=(9,), events="binary", rec=("n1", "n1", Linear(_weight(4, 14, 14, gain=0.2))),
    )  # fmt: skip


@every_target
@pytest.mark.parametrize(("reset", "time"), TIMES)
def test_late_resets_are_exact_or_refused(target: str, reset: str, time: str) -> None:
    made, board = graph(reset, time), BOARDS[target]
    steps = steps_of(made)
    exact = getattr(backend(target), "LATE_RESETS", False)
    if not exact and (reset, time) != ("subtract", "next"):
        with pytest.raises(ModelError, match=f"n1: .* which {target} cannot do .*--reset subtract"):
            build_steps(made, steps, board)
        return
    built = build_steps(made, steps, board)
    spikes = events(steps.inputs[0], batch=2, steps=20)
    assert built.network is not None
    assert {p.reset_time for p in built.network.populations} == {time if exact else "now"}
    assert verify_reference(built.program, built.network, spikes).mismatches == 0
    found = verify(built.program, spikes)
    assert found.mismatches == 0
    assert found.spikes_compared >= 2 * 20 * 19


@every_target
def test_neurons_without_a_current_may_subtract_late_on_every_target(target: str) -> None:
    """The same spikes as in float, where the integers are fine enough: here all are."""
    ones = np.ones(14)
    neuron = LIF(
        tau=2.0 * ones, r=2.0 * ones, v_leak=0 * ones, v_reset=0 * ones, v_threshold=ones,
        reset="subtract", reset_time="next",
    )  # fmt: skip
    weight = np.random.default_rng(5).integers(-32, 64, (14, 9)) * 2 / 128
    weight[:, 0] = 127 / 128  # so that 8 bits hold all weights exactly
    made = chain(Linear(weight), neuron, shape=(9,), events="binary").with_(dt=1.0)
    steps = steps_of(made)
    built = build_steps(made, steps, BOARDS[target])
    spikes = events(steps.inputs[0], batch=4, steps=30)
    assert built.network is not None
    assert verify_reference(built.program, built.network, spikes).mismatches == 0
    found = aligned(emulator(target).emulate(built.program, spikes), 30).spikes["n1"]
    wanted = run_steps(steps, spikes).spikes["n1"]
    assert wanted.total > 100
    np.testing.assert_array_equal(found.dense(), wanted.dense())


@every_target
@pytest.mark.parametrize(("reset", "time"), SET_LATE)
def test_a_membrane_that_is_set_late_needs_no_late_reset(
    target: str, reset: str, time: str
) -> None:
    """As one that is set at once, with a refractory step if it also loses an input."""
    made = graph(reset, time)
    if reset == "v_reset":  # to 0, which all targets can
        nodes = {n: _at_zero(node) for n, node in made.nodes.items()}
        made = made.with_(nodes=nodes)
    if target == "spinnaker2" and time == "next_all":
        with pytest.raises(ModelError, match="n1: refractory period of 1 steps"):
            build_steps(made, steps_of(made), BOARDS[target])
        return
    built = build_steps(made, steps_of(made), BOARDS[target])
    assert built.network is not None
    assert {p.reset_time for p in built.network.populations} == {"now"}


def _at_zero(node: Any) -> Any:
    if not hasattr(node, "v_reset"):
        return node
    return replace(node, v_reset=np.zeros_like(node.v_reset), v_leak=np.zeros_like(node.v_leak))


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.needs_qemu
@settings(max_examples=8, suppress_health_check=SLOW)
@given(spiking_graphs(), st.sampled_from(TIMES), st.integers(0, 99))
def test_firmware_of_random_networks_resets_late(made: Any, kind: Any, seed: int) -> None:
    """Reference, emulator and the emitted C in QEMU: every spike, every state."""
    said = {"reset": kind[0], "reset_time": kind[1], "refractory": 0.0}
    nodes = {n: replace(x, **said) if hasattr(x, "reset") else x for n, x in made.nodes.items()}
    assume(any(hasattr(node, "reset") for node in nodes.values()))
    steps = steps_of(made.with_(nodes=nodes))
    try:
        built = build_steps(made, steps, BOARDS["mcu"])
    except ModelError:
        assume(False)
    spikes = events(steps.inputs[0], seed, batch=2, steps=12)
    assert built.network is not None
    assert verify_reference(built.program, built.network, spikes).mismatches == 0
    assert verify(built.program, spikes).mismatches == 0
