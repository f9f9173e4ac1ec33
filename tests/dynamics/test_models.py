"""The models compute what was written by hand before: every state, every spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.terms import where
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError
from snnstack.ir.step import Population, lif
from snnstack.quant.network import QuantizedPopulation, quantized_lif
from snnstack.quant.neurons import integer_neurons
from snnstack.quant.numerics import INT32, Numerics
from tests.dynamics import by_hand

N, STEPS, BATCH = 5, 12, 2
NARROW = Numerics(8, -127, 127, 12, "toward_zero", 2**20, 2**13 - 1, 2**12 - 1, "wrap", "saturate")


def some(rng: Any, low: int, high: int, draw: Any) -> Any:
    """[N] integers, or one number for all."""
    return np.broadcast_to(rng.integers(low, high, 1 if draw(st.booleans()) else N), N).copy()


@st.composite
def integer_populations(draw: Any) -> tuple[QuantizedPopulation, Numerics, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    numerics = draw(st.sampled_from([INT32, NARROW]))
    one = 2**numerics.decay_bits
    time = draw(st.sampled_from(["now", "next", "recheck"]))
    reset = "subtract" if time != "now" else draw(st.sampled_from(["set", "subtract", "none"]))
    p = quantized_lif(
        "p",
        (N,),
        alpha=draw(st.sampled_from([some(rng, 0, one + 1, draw), np.full(N, one)])),
        beta=some(rng, 0, one + 1, draw) if draw(st.booleans()) else None,
        shift=draw(st.integers(0, 4)),
        bias=some(rng, -50, 50, draw),
        leak=some(rng, -9, 9, draw),
        threshold=some(rng, -10, 900, draw) if draw(st.integers(0, 4)) else None,
        v_reset=some(rng, -100, 100, draw),
        scale=np.ones(N),
        reset=reset,
        compare=draw(st.sampled_from(["gt", "ge"])),
        refractory=draw(st.sampled_from([0, 2])) if time == "now" else 0,
        reset_time=time,
    )
    return p, numerics, draw(st.integers(0, 2**20))


@st.composite
def float_populations(draw: Any) -> tuple[Population, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))

    def real(low: float, high: float) -> Any:
        return np.broadcast_to(rng.uniform(low, high, 1 if draw(st.booleans()) else N), N).copy()

    time = draw(st.sampled_from(["now", "next", "next_all", "recheck"]))
    allowed = {"now": ["set", "subtract", "none"], "next": ["set", "subtract"]}
    reset = draw(st.sampled_from(allowed.get(time, ["set" if time == "next_all" else "subtract"])))
    p = lif(
        "p",
        (N,),
        alpha=draw(st.sampled_from([real(0, 1), np.ones(N)])),
        beta=real(0, 1) if draw(st.booleans()) else None,
        gain_in=draw(st.sampled_from([real(0, 1), np.ones(N)])),
        gain=draw(st.sampled_from([real(0, 1), np.ones(N)])),
        bias=real(-0.1, 0.3),
        leak=draw(st.sampled_from([real(-0.1, 0.1), np.zeros(N)])),
        threshold=real(0.5, 2) if draw(st.integers(0, 4)) else None,
        v_reset=real(-0.5, 0.5),
        reset=reset,
        compare=draw(st.sampled_from(["gt", "ge"])),
        refractory=draw(st.sampled_from([0, 3])) if time != "recheck" else 0,
        reset_time=time,
    )
    return p, draw(st.integers(0, 2**20))


def same_run(p: Any, neurons: Neurons, step: Any, sums: Any, dtype: Any) -> None:
    layer, state = Definition(neurons, BATCH), by_hand.initial(p, BATCH, dtype)
    for t in range(STEPS):
        expected, sent = step(state, sums[t]), layer(sums[t])
        for name in traced(neurons).of("state"):
            np.testing.assert_array_equal(layer.state[name], state[name], err_msg=name)
        if p.threshold is not None:
            np.testing.assert_array_equal(sent, expected)


@settings(max_examples=200)
@given(integer_populations())
def test_integer_populations_are_as_written_by_hand(drawn: Any) -> None:
    p, numerics, seed = drawn
    sums = np.random.default_rng(seed).integers(-300, 400, (STEPS, BATCH, N))

    def step(state: Any, acc: Any) -> Any:
        return by_hand.integer_step(p, numerics, state, acc)

    same_run(p, integer_neurons(p, numerics), step, sums, np.int64)


@settings(max_examples=200)
@given(float_populations())
def test_float_populations_are_as_written_by_hand(drawn: Any) -> None:
    p, seed = drawn
    sums = np.random.default_rng(seed).uniform(-0.5, 1.5, (STEPS, BATCH, N))

    def step(state: Any, acc: Any) -> Any:
        return by_hand.float_step(p, state, acc)

    same_run(p, p.neurons, step, sums, np.float64)


def test_what_constants_make_needless_is_left_out() -> None:
    values = {"alpha": np.full(3, 2**16), "threshold": 5, "state_max": 9}
    step = traced(Neurons(CUBA_LIF, 3, "int32", values, {"reset": "subtract"}))
    assert {e.op for e in ordered(step.roots.values())} == {
        *("state", "input", "param", "const"),
        *("add", "sat", "gt", "sub", "where"),
    }
    assert (step.scalars, step.arrays) == (("threshold",), ())


def test_a_step_that_asks_for_an_unknown_name_is_refused() -> None:
    model = Model("mine", ("v",), (), lambda n, x: Next({"v": n.v + n.jump}))
    with pytest.raises(ModelError) as refused:
        traced(Neurons(model, 1, "int32", {}))
    expected = (
        "mine: its step asks for 'jump' (states, parameters and options are what it may read)"
    )
    assert str(refused.value) == expected


def test_a_step_that_tests_a_value_with_if_is_refused() -> None:
    def step(n: Names, x: E) -> Next:
        return Next({"v": 0 if n.v > 3 else n.v + x})

    with pytest.raises(ModelError, match=r"use where\(condition, a, b\)"):
        traced(Neurons(Model("mine", ("v",), (), step), 1, "int32", {}))


def test_a_step_that_sets_what_is_no_state_is_refused() -> None:
    model = Model("mine", ("v",), (), lambda n, x: Next({"w": n.v + x}))
    with pytest.raises(ModelError, match="its step sets 'w', no state of it"):
        traced(Neurons(model, 1, "int32", {}))


def test_a_parameter_without_a_value_is_refused() -> None:
    model = Model("mine", ("v",), (Field("tau"),), lambda n, x: Next({"v": where(n.v > 0, x, 0)}))
    with pytest.raises(ModelError, match="has no value for 'tau'"):
        traced(Neurons(model, 1, "int32", {}))
