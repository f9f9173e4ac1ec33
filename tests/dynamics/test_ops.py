"""Every operation is the same in all its columns: definition, machine code, interval."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.dynamics.expr import E, Table, lift
from snnstack.dynamics.functions import FUNCTIONS
from snnstack.dynamics.machine_code import address
from snnstack.dynamics.model import Field, Model, Neurons, Next
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.print_llvm import Port, assembly, parameter_block
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError

N = 6
WIDE = 2**31 - 1
TABLE = Table("squares", tuple(k * k - 9 for k in range(7)))
Range = tuple[int, int]
EDGES: dict[str, list[Range]] = {
    "add": [(-(2**30), 2**30 - 1)] * 2,
    "sub": [(-(2**30), 2**30 - 1)] * 2,
    "mul": [(-46340, 46340)] * 2,
    "mulshift": [(-WIDE, WIDE), (-32768, 32767)],
    "shl": [(-(2**20), 2**20)],
    "sra": [(-WIDE, WIDE)],
    "scaled": [(-(2**20), 2**20)],
    "gained": [(-WIDE, WIDE)] * 2,
    "decay": [(-(2**30), 2**30), (0, 2**16)],
    "fine_decay": [(-(2**30), 2**30), (2**31, 2**32)],
    "shrunk": [(-(2**30), 2**30), (0, 2**12)],
    "sat": [(-WIDE, WIDE), (0, WIDE)],
    "wrap": [(-WIDE, WIDE)],
    "min": [(-WIDE, WIDE)] * 2,
    "max": [(-WIDE, WIDE)] * 2,
    "abs": [(-WIDE, WIDE)],
    "nearest": [(-WIDE, WIDE)],
    "gt": [(-3, 3)] * 2,
    "ge": [(-3, 3)] * 2,
    "eq": [(-3, 3)] * 2,
    "where": [(0, 1), (-WIDE, WIDE), (-WIDE, WIDE)],
    "lut": [(-20, 20)],
}
"""Ranges of the arguments within which the result fits 32 bits."""
CONSTANTS = {
    "mulshift": (16,),
    "shl": (7,),
    "sra": (5,),
    "scaled": (6,),
    "decay": (16,),
    "fine_decay": (32,),
    "shrunk": (12,),
    "wrap": (24,),
}
REAL = ("add", "sub", "mul", "gained", "decay", "shrunk", "scaled", "sat", "wrap", "min", "max")


def model(name: str) -> Model:
    """One operation on its parameters; what it gives is the state `v`."""
    arguments = EDGES.get(name, [(0, 0)] * OPS[name].arity)
    fields = tuple(Field(f"a{k}") for k in range(len(arguments)))

    def step(n: Any, x: E) -> Next:
        args = [getattr(n, f"a{k}") for k in range(len(arguments))]
        if name == "where":
            args[0] = args[0] > 0
        args += [lift(value) for value in CONSTANTS.get(name, ())]
        made = E(name, tuple(args), TABLE if name == "lut" else None)
        return Next({"v": E("where", (made, lift(1), lift(0))) if OPS[name].truth else made})

    return Model(f"only_{name}", ("v",), fields, step)


def machine_run(neurons: Neurons) -> Any:
    """The state after one step of the machine code."""
    step = traced(neurons)
    code = address(assembly(step, neurons.number, [Port("whole")], False))
    pointer = ctypes.c_void_p
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[pointer] * 6)(code)
    x, states = np.zeros(N, neurons.number), np.zeros((1, N), neurons.number)
    block, flags = parameter_block(step), np.zeros(N, np.uint8)
    active, sent = np.zeros(N, np.int32), np.zeros(N, np.int64)
    arrays = (x, block, states, flags, active, sent)
    assert call(N, *(a.ctypes.data for a in arrays)) == 1
    return states[0]


def drawn(draw: Any, low: int, high: int) -> Any:
    near = [k for k in (low, low + 1, -1, 0, 1, high - 1, high) if low <= k <= high]
    value = st.one_of(st.integers(low, high), st.sampled_from(near))
    return np.array(draw(st.lists(value, min_size=N, max_size=N)))


def test_every_operation_is_tried() -> None:
    assert set(EDGES) | {"and", "or", "not"} | {"div", *FUNCTIONS} == set(OPS)


@pytest.mark.parametrize("name", sorted(EDGES))
@settings(max_examples=40)
@given(st.data())
def test_integers_are_the_same_in_numpy_in_machine_code_and_within_the_interval(
    name: str, data: Any
) -> None:
    values = [drawn(data.draw, *edge) for edge in EDGES[name]]
    neurons = Neurons(model(name), N, "int32", {f"a{k}": v for k, v in enumerate(values)})
    layer = Definition(neurons, 1)
    layer(np.zeros((1, N)))
    expected = layer.state["v"][0]
    np.testing.assert_array_equal(machine_run(neurons), expected)
    if name not in ("lut", "where"):
        spans = [(int(v.min()), int(v.max())) for v in values]
        spans += [(c, c) for c in CONSTANTS.get(name, ())]
        low, high = OPS[name].span(*spans)
        assert low <= expected.min() <= expected.max() <= high


@pytest.mark.parametrize("number", ["float32", "float64"])
@pytest.mark.parametrize("name", REAL)
@settings(max_examples=20)
@given(st.data())
def test_real_numbers_round_the_same_in_numpy_and_in_machine_code(
    name: str, number: Any, data: Any
) -> None:
    real = st.floats(-1e6, 1e6, width=32)
    count = len(EDGES[name])
    values = [np.array(data.draw(st.lists(real, min_size=N, max_size=N))) for _ in range(count)]
    values = [v.astype(number) for v in values]
    neurons = Neurons(model(name), N, number, {f"a{k}": v for k, v in enumerate(values)})
    layer = Definition(neurons, 1)
    layer(np.zeros((1, N)))
    np.testing.assert_array_equal(machine_run(neurons), layer.state["v"][0])


def test_truth_values_combine_as_in_logic() -> None:
    def step(n: Any, x: E) -> Next:
        a, b = n.a > 0, n.b > 0
        code = E("where", (a & b, lift(1), lift(0))) + E("where", (a | b, lift(2), lift(0)))
        return Next({"v": code + E("where", (~a, lift(4), lift(0)))})

    a, b = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 1, 0])
    logic = Model("logic", ("v",), (Field("a"), Field("b")), step)
    neurons = Neurons(logic, N, "int32", {"a": a, "b": b})
    layer = Definition(neurons, 1)
    layer(np.zeros((1, N)))
    assert layer.state["v"][0].tolist() == machine_run(neurons).tolist() == [4, 6, 2, 3, 6, 2]


EXTREMES = (0.0, -0.0, 1e-300, -1e-40, 1e-8, 709.0, 745.0, -746.0, 1e4, 1e300, -1e300)
UNBOUNDED = (*EXTREMES, math.inf, -math.inf, math.nan)


@pytest.mark.parametrize("number", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@settings(max_examples=40)
@given(st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # beyond float32, inf - inf
def test_functions_are_the_same_in_numpy_and_in_machine_code(
    name: str, number: Any, data: Any
) -> None:
    value = st.one_of(st.floats(-30, 30), st.floats(), st.sampled_from(UNBOUNDED))
    values = np.array(data.draw(st.lists(value, min_size=N, max_size=N))).astype(number)
    neurons = Neurons(model(name), N, number, {"a0": values})
    layer = Definition(neurons, 1)
    layer(np.zeros((1, N)))
    np.testing.assert_array_equal(machine_run(neurons), layer.state["v"][0])


@pytest.mark.parametrize("number", ["float32", "float64"])
@settings(max_examples=20)
@given(st.data())
def test_quotients_are_the_same_in_numpy_and_in_machine_code(number: Any, data: Any) -> None:
    real = st.floats(-1e6, 1e6, width=32)
    a = np.array(data.draw(st.lists(real, min_size=N, max_size=N))).astype(number)
    b = np.array(data.draw(st.lists(st.floats(2**-9, 1e6, width=32), min_size=N, max_size=N)))
    neurons = Neurons(model("div"), N, number, {"a0": a, "a1": b.astype(number)})
    layer = Definition(neurons, 1)
    layer(np.zeros((1, N)))
    np.testing.assert_array_equal(machine_run(neurons), layer.state["v"][0])


KNOWN = {
    "exp": (math.e, 1.0),
    "log": (0.0, 1.0),
    "sqrt": (math.sqrt(2), 2.0),
    "tanh": (math.tanh(0.5), 0.5),
    "sin": (1.0, math.pi / 2),
    "cos": (-1.0, math.pi),
    "sigmoid": (0.5, 0.0),
    "silu": (0.5 / (1 + math.exp(-0.5)), 0.5),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_those_of_their_names(name: str) -> None:
    right, at = KNOWN[name]
    assert FUNCTIONS[name].real(np, np.array([at]))[0] == right


@pytest.mark.parametrize("name", ["div", *FUNCTIONS])
def test_integers_have_no_functions_of_real_numbers(name: str) -> None:
    with pytest.raises(ModelError, match=f"operation {name}: is for real numbers"):
        OPS[name].exact(*[1] * OPS[name].arity)


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_those_of_torch(name: str) -> None:
    import torch

    x = torch.linspace(0.1, 4, 50, dtype=torch.float64)
    known = {"silu": torch.nn.functional.silu}.get(name, getattr(torch, name, None))
    found = FUNCTIONS[name].real(torch, x)
    torch.testing.assert_close(found, known(x), rtol=1e-14, atol=1e-15)
    ours = FUNCTIONS[name].real(np, x.numpy())
    np.testing.assert_allclose(ours, known(x).numpy(), rtol=1e-14, atol=1e-15)
