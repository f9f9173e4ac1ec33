"""Neurons of any model in firmware: definition, emulator and QEMU agree in every state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.run import run
from snnstack.board import load_board
from snnstack.compilers.mcu.compile import compile
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import decay, lut, sat, scaled_product, where
from snnstack.errors import TargetError
from snnstack.ir.step import Dense, Projection, StepInput
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.reference import run_quantized
from snnstack.trace import Spikes

BOARDS = ("microbit-v1", "nucleo-l4r5zi", "mps3-an547", "hifive1-revb")
SQUARES = Table("squares", tuple(min(k * k, 3000) for k in range(64)))


def adaptive(n: Names, x: E, gate: E) -> Next:
    v = sat(decay(n.v, n.alpha) + (x << n.shift) + n.bias, 30000)
    fired = v > n.threshold + n.count + lut(SQUARES, gate)
    count = decay(n.count, n.rho)
    count = sat(where(fired, count + n.jump, count), 20000)
    return Next({"v": where(fired, v - n.threshold, v), "count": count}, fired)


def izhikevich(n: Names, x: E) -> Next:
    """Izhikevich 2003 by Euler steps of 1 ms, v in 1/128 mV, u in 1/128."""
    v = sat(n.v + ((scaled_product(n.v, n.v, 7) * 5) >> 7) + n.v * 5 + 140 * 128 - n.u + x * 16,
            60 * 128)  # fmt: skip
    u = n.u + scaled_product(n.a, scaled_product(n.b, n.v, 15) - n.u, 15)
    fired = v >= 30 * 128
    return Next({"v": where(fired, -65 * 128, v), "u": where(fired, u + n.d, u)}, fired)


ADAPTIVE = Model(
    "adaptive",
    ("v", "count"),  # the name of a field of the firmware's own
    (Field("alpha"), Field("rho"), Field("shift", "shift"), Field("bias"), Field("threshold"),
     Field("jump")),
    adaptive,
    inputs=("x", "gate"),
)  # fmt: skip
IZHIKEVICH = Model("izhikevich", ("v", "u"), (Field("a"), Field("b"), Field("d")), izhikevich)


def population(kind: str, name: str, n: int, rng: Any) -> QuantizedPopulation:
    whole = rng.integers
    if kind == "adaptive":
        values = {"alpha": whole(40000, 65536, n), "rho": 64000, "shift": 3,
                  "bias": whole(-5, 50, n),
                  "threshold": whole(900, 3000, n), "jump": whole(10, 900, n)}  # fmt: skip
        initial = {"count": whole(0, 500, n)}
        return QuantizedPopulation(name, (n,), ADAPTIVE, values, {}, np.ones(n), initial=initial)
    values = {"a": whole(600, 3300, n), "b": 6554, "d": whole(256, 1024, n)}
    initial = {"v": -65 * 128, "u": -13 * 128}
    return QuantizedPopulation(name, (n,), IZHIKEVICH, values, {}, np.ones(n), initial=initial)


def network(kind: str, n: int = 23, inputs: int = 9) -> QuantizedNetwork:
    rng = np.random.default_rng(0)
    ports = ("x", "gate") if kind == "adaptive" else ("x", "x")
    weight = 127 if kind == "adaptive" else 60
    projections = (
        Projection("in", "h", Dense(rng.integers(-30, weight, (n, inputs)))),
        Projection("h", "h", Dense(rng.integers(-3, 5, (n, n))), 1, None, ports[1]),
        Projection("h", "out", Dense(rng.integers(-20, weight, (5, n)))),
    )
    populations = (population(kind, "h", n, rng), population(kind, "out", 5, rng))
    port = StepInput("in", (inputs,), "count")
    settings = {"name": "net"}
    return QuantizedNetwork((port,), populations, projections, ("out",), 1e-3, NUMERICS, settings)


def given() -> Spikes:
    return Spikes.from_dense((np.random.default_rng(1).random((3, 60, 9)) < 0.3).astype(np.uint8))


def same_runs(expected: Any, found: Any) -> None:
    for probe, states in expected.states.items():
        np.testing.assert_array_equal(found.states[probe], states, err_msg=str(probe))
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].dense(), spikes.dense(), err_msg=name)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("kind", ["adaptive", "izhikevich"])
@pytest.mark.parametrize("board", BOARDS)
def test_definition_emulator_and_firmware_agree(board: str, kind: str, tmp_path: Path) -> None:
    net, x = network(kind), given()
    program = compile(net, load_board(board))
    probes = program.variables
    assert len(probes) == 4
    expected = run_quantized(net, x, probes)
    assert all(spikes.total > 10 for spikes in expected.spikes.values())
    same_runs(expected, snnstack.emulate(program, x, probes=probes))
    same_runs(expected, run(program, x, probes=probes))
    snnstack.save(program, tmp_path / "p")
    again, _ = snnstack.open_program(tmp_path / "p")
    same_runs(expected, snnstack.emulate(again, x, probes=probes))


def test_memory_holds_states_and_first_values() -> None:
    program = compile(network("adaptive"), load_board("microbit-v1"))
    assert program.memory["state"] >= 4 * 2 * (23 + 5)


WRONG = {
    "values": {"alpha": 2**40},
    "values of others": {"alpha": np.ones(4, dtype=np.int64)},
    "values that are none": {"alpha": np.array([0.5] * 23)},
    "more values": {"gone": 1},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_layer_whose_numbers_are_none_is_refused(name: str, tmp_path: Path) -> None:
    program = compile(network("adaptive"), load_board("microbit-v1"))
    layer = program.layers[0]
    neurons = replace(layer.neurons, values={**layer.neurons.values, **WRONG[name]})
    layers = (replace(layer, neurons=neurons), *program.layers[1:])
    from snnstack.backends.mcu.store import load
    from snnstack.serial import to_files

    with pytest.raises(TargetError, match="h"):
        load(to_files(replace(program, layers=layers), "program"))
