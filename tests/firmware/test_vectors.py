"""Four neurons at a time on Helium: every operation that has a vector form, in one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.run import run
from snnstack.board import load_board
from snnstack.compilers.mcu.compile import compile
from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.print_mve import FORMS
from snnstack.dynamics.terms import decay, least, lut, magnitude, most, same, sat, where, wrap
from snnstack.ir.step import Dense, Projection, StepInput
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.reference import run_quantized
from snnstack.trace import Spikes
from tests.firmware.test_cells import SQUARES, same_runs

STATES = ("v", "a", "mode", "w")


def step(n: Names, x: E, gate: E) -> Next:
    x, gate = sat(x, 2000), sat(gate, n.most)
    a = decay(n.a, n.rho) + where(gate > 20, gate << 1, 0)
    up = magnitude(x) + (n.a >> 3)
    v = sat(n.v - (n.v >> 4) + x * n.gain + least(up, 700) - most(a - 50, 0), 30000)
    odd = same(n.mode, 1)
    fired = ((v > n.threshold + a) & ~odd) | (v >= n.top)
    after = {
        "v": where(fired, v - n.threshold, v),
        "a": sat(where(fired, a + n.jump, a), 20000),
        "mode": where(same(fired, odd), n.mode, 1 - n.mode),
        "w": wrap(n.w + v, 12),
    }
    return Next(after, fired)


NAMES = ("rho", "gain", "threshold", "top", "jump", "most")
MODEL = Model("of_vectors", STATES, tuple(map(Field, NAMES)), step, inputs=("x", "gate"))


def looked(n: Names, x: E) -> Next:
    v = sat(n.v + lut(SQUARES, x), 5000)
    return Next({"v": where(v > 900, 0, v)}, v > 900)


def network(model: Model, n: int = 27) -> QuantizedNetwork:
    rng = np.random.default_rng(3)
    values = {"rho": rng.integers(20000, 65536, n), "gain": rng.integers(-3, 9, n),
              "threshold": rng.integers(300, 900, n), "top": 2500, "jump": 40,
              "most": rng.integers(30, 90, n)} if model is MODEL else {}  # fmt: skip
    last = model.inputs[-1]
    projections = (
        Projection("in", "h", Dense(rng.integers(-30, 60, (n, 9)))),
        Projection("h", "h", Dense(rng.integers(-20, 30, (n, n))), 1, None, last),
    )
    population = QuantizedPopulation("h", (n,), model, values, {}, np.ones(n))
    port = StepInput("in", (9,), "count")
    return QuantizedNetwork(
        (port,), (population,), projections, ("h",), 1e-3, NUMERICS, {"name": "net"}
    )


def agree(net: QuantizedNetwork) -> Any:
    x = Spikes.from_dense((np.random.default_rng(1).random((3, 60, 9)) < 0.3).astype(np.uint8))
    program = compile(net, load_board("mps3-an547"))
    expected = run_quantized(net, x, program.variables)
    assert expected.spikes["h"].total > 100
    same_runs(expected, snnstack.emulate(program, x, probes=program.variables))
    same_runs(expected, run(program, x, probes=program.variables))
    return emit(program)["src/net.c"].decode()


@pytest.mark.needs_qemu
def test_every_vector_operation_is_its_definition() -> None:
    text = agree(network(MODEL))
    assert "int32x4_t v0 =" in text
    calls = {form.split("(")[0] for form in FORMS.values()} - {""}
    assert all(call in text for call in calls)


@pytest.mark.needs_qemu
def test_what_has_no_vector_form_is_done_one_by_one() -> None:
    model = Model("looked", ("v",), (), looked)
    assert "int32x4_t v0 =" not in agree(network(model))
