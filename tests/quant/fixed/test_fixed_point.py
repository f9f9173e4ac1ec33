"""A model in integers does what it does in real numbers, and nothing overflows on any input."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.dynamics.expr import ordered
from snnstack.dynamics.machine_code import address
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.print_llvm import Port, assembly, parameter_block, rows
from snnstack.dynamics.run_numpy import Definition, evaluated
from snnstack.dynamics.trace import traced
from snnstack.dynamics.written import model_data, read_model
from snnstack.quant.fixed import WORD32, Fixed, Machine, calibrated, fixed_point, saturations
from tests.quant.fixed.models import BATCH, CASES, Case, N

STEPS = 400
RNG = np.random.default_rng
SPIKING = [name for name, case in CASES.items() if case.neurons.model.sends == "spike"]


def quantised(case: Case, scale: Any = None, machine: Machine = WORD32) -> Fixed:
    """Calibrated on inputs that no test runs."""
    ranges = calibrated(case.neurons, case.draw(RNG(10_001), STEPS))
    ports = dict.fromkeys(case.neurons.model.inputs, case.scale if scale is None else scale)
    return fixed_point(case.neurons, ranges, ports, machine)


@cache
def known(name: str) -> Fixed:
    return quantised(CASES[name])


def integer_sums(case: Case, seed: int, steps: int = STEPS) -> dict[str, Any]:
    drawn = case.draw(RNG(seed), steps)
    return {k: np.floor(x * case.scale + 0.5).astype(np.int64) for k, x in drawn.items()}


def both(case: Case, fixed: Fixed, sums: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """What is sent, real and integer [step, batch, n], and the largest errors of states, [batch, n]
    each.
    """
    real, integer = Definition(case.neurons, BATCH), Definition(fixed.neurons, BATCH)
    inputs = case.neurons.model.inputs
    sent: tuple[list[Any], list[Any]] = [], []
    errors: dict[str, Any] = {s: np.zeros((BATCH, N)) for s in case.neurons.model.states}
    for t in range(len(sums[inputs[0]])):
        sent[0].append(real(*(sums[p][t] / case.scale for p in inputs)))
        sent[1].append(integer(*(sums[p][t] for p in inputs)))
        for s in errors:
            off = np.abs(real.state[s] - integer.state[s] / fixed.scale[s])
            errors[s] = np.maximum(errors[s], off)
    return np.array(sent[0]), np.array(sent[1]), errors


@cache
def one_run(name: str) -> tuple[Any, Any, dict[str, Any]]:
    return both(CASES[name], known(name), integer_sums(CASES[name], 1))


@pytest.mark.parametrize("name", SPIKING)
def test_spikes_are_those_of_real_numbers(name: str) -> None:
    real, integer, _ = one_run(name)
    assert real.sum() > 10
    if name != "adex":
        np.testing.assert_array_equal(integer, real)
    # the leap of AdEx is a table, exact to 1 in 20,000: a spike may come a step earlier or later
    assert np.abs(np.cumsum(integer, 0) - np.cumsum(real, 0)).max() <= 1
    assert (integer != real).sum() <= 0.2 * real.sum()
    sums = integer_sums(CASES[name], 1, 150)
    assert not any(saturations(known(name), sums).values())


BOUNDS = {
    # linear: halves of an integer a rounding, three of them a step, over 1 - the slowest decay
    "cuba_lif": {"v": 3 / (1 - 0.99) * 2**-21, "i": 3 / (1 - 0.8) * 2**-20},
    "alif": {"v": 3 / (1 - 0.95) * 2**-19, "a": 3 / (1 - 0.999) * 2**-19},
    "resonator": {"re": 4 / (1 - 0.99) * 2**-21, "im": 4 / (1 - 0.99) * 2**-21},
    "s4d": {"re": 4 / (1 - 0.98) * 2**-19, "im": 4 / (1 - 0.98) * 2**-19},
    # a spike turns a small error in time into one in the membrane: a share of its range
    "izhikevich": {"v": 1.0, "u": 0.01},
    "adex": {"v": 4.0, "w": 0.1},
    "coba": {"v": 0.01, "ge": 1e-5, "gi": 1e-4},
}


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_states_stay_near_those_of_real_numbers(name: str) -> None:
    """Of neurons whose spikes are the same: one that fires a step later is elsewhere meanwhile."""
    real, integer, errors = one_run(name)
    alike = np.ones((BATCH, N), dtype=bool)
    if CASES[name].neurons.model.sends == "spike":
        alike = (real == integer).all(axis=0)
    assert alike.mean() >= 0.75
    for state, bound in BOUNDS[name].items():
        assert errors[state][alike].max() <= bound, state


def test_a_gate_sends_at_the_same_times_but_for_few() -> None:
    """Tables of 256 entries are exact to 4e-4, 1/500 of a threshold."""
    fixed = known("gated")
    real, integer, _ = one_run("gated")
    assert fixed.sent_bits == 14
    others = (real != 0) != (integer != 0)
    assert (real != 0).sum() > 250 and others.mean() < 0.01
    alike = ~others.any(axis=0)
    off = np.abs(real - integer / 2.0**fixed.sent_bits)[:, alike]
    assert alike.any() and off.max() < 5e-3


def test_values_of_a_linear_state_are_sent_to_a_half_of_their_last_bit() -> None:
    fixed = known("s4d")
    real, integer, _ = one_run("s4d")
    assert fixed.sent_bits is not None
    half = 2.0 ** -(fixed.sent_bits + 1)
    assert np.abs(real - integer / 2.0**fixed.sent_bits).max() < 1.2 * half


def machine_code(neurons: Neurons) -> Any:
    """A function of a state [row, n] and sums [row, n] that steps and answers with what is sent."""
    step = traced(neurons)
    ports = [Port("whole", row=k) for k in range(len(neurons.model.inputs))]
    code = address(assembly(step, "int32", ports, False))
    pointer = ctypes.c_void_p
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[pointer] * 6)(code)
    block = parameter_block(step)

    def stepped(state: Any, x: Any) -> Any:
        flags, active = np.zeros(neurons.n, np.uint8), np.zeros(neurons.n, np.int32)
        sent = np.zeros(neurons.n, np.int64)
        arrays = (x, block, state, flags, active, sent)
        assert call(neurons.n, *(a.ctypes.data for a in arrays)) == 1
        return sent if neurons.model.sends == "value" else flags.astype(bool)

    return stepped, rows(step, False)


@st.composite
def varied(draw: Any, name: str) -> tuple[Case, Fixed, int]:
    """The neurons of a case with every number moved, quantised for it."""
    case, seed = CASES[name], draw(st.integers(0, 2**20))
    rng = RNG(seed)
    values = {
        k: np.asarray(v) * rng.uniform(0.97, 1.01, N if draw(st.booleans()) else 1)
        if k not in ("pause", "dt")
        else v
        for k, v in case.neurons.values.items()
    }
    moved = replace(case, neurons=replace(case.neurons, values=values))
    scale = rng.uniform(3, 300, N if draw(st.booleans()) else ())
    ranges = calibrated(moved.neurons, case.draw(rng, 60))
    ports = dict.fromkeys(case.neurons.model.inputs, scale)
    machine = Machine(
        state_bits=draw(st.sampled_from([16, 24, 28])),
        table_entries=draw(st.sampled_from([64, 256, 1024])),
        interpolate=draw(st.booleans()),
        payload_bits=draw(st.sampled_from([8, 16, 24])),
    )
    return moved, fixed_point(moved.neurons, ranges, ports, machine), seed


def extreme_sums(rng: Any, steps: int, ports: int) -> Any:
    """Sums of all sizes up to the ends of 32 bits [step, port, n]."""
    size = 2.0 ** rng.uniform(0, 31, (steps, ports, N))
    drawn = np.clip(rng.choice([-1, 1], size.shape) * size, -(2**31), 2**31 - 1)
    return drawn.astype(np.int32)


@pytest.mark.parametrize("name", sorted(CASES))
@settings(max_examples=5)
@given(st.data())
def test_machine_code_and_numpy_agree_and_no_number_leaves_32_bits(name: str, data: Any) -> None:
    _, fixed, seed = data.draw(varied(name))
    neurons = fixed.neurons
    sums = extreme_sums(RNG(seed + 1), 12, len(neurons.model.inputs))
    step, layer = traced(neurons), Definition(neurons, 1)
    stepped, names = machine_code(neurons)
    state = np.stack([neurons.start(s) for s in names]).astype(np.int32)
    watched = every_number(step)
    for x in sums:
        inputs = {p: x[k][None].astype(np.int64) for k, p in enumerate(neurons.model.inputs)}
        for value in evaluated(watched, layer.state, inputs, np.dtype(np.int64)).values():
            assert -(2**31) <= np.min(value) <= np.max(value) < 2**31
        expected = layer(*inputs.values())
        assert expected is not None
        np.testing.assert_array_equal(stepped(state, np.ascontiguousarray(x)), expected[0])
        for k, s in enumerate(names):
            np.testing.assert_array_equal(state[k], layer.state[s][0])
            assert fixed.spans[s][0] <= state[k].min() <= state[k].max() <= fixed.spans[s][1]


def every_number(step: Any) -> Any:
    """The step with every number in between as a result."""
    nodes = [e for e in ordered(step.roots.values()) if e.op not in OPS or not OPS[e.op].truth]
    return replace(step, roots={str(k): e for k, e in enumerate(nodes)})


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_integer_model_can_be_written_down(name: str) -> None:
    neurons = known(name).neurons
    again = replace(neurons, model=read_model(model_data(neurons.model)), options={})
    sums = integer_sums(CASES[name], 6, 40)
    one, other = Definition(neurons, BATCH), Definition(again, BATCH)
    for t in range(40):
        x = [sums[p][t] for p in neurons.model.inputs]
        np.testing.assert_array_equal(one(*x), other(*x))
