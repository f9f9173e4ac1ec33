"""A model of one's own, from a graph of real numbers to firmware: float, integers, QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where
from snnstack.errors import ModelError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Affine, Cells, Input, Linear, Output
from snnstack.saving import unlike_emitted

NUMBERS = {"alpha": 0.9, "rho": 0.97, "threshold": 1.0, "jump": 0.3}


def adaptive(n: Names, x: E) -> Next:
    """The threshold rises by `jump` with a spike and falls back by `rho` a step."""
    v = n.alpha * n.v + x
    fired = v > n.threshold + n.a
    return Next(
        {"v": where(fired, v - n.threshold, v), "a": n.rho * n.a + where(fired, n.jump, 0)}, fired
    )


MODEL = Model(
    "adaptive",
    ("v", "a"),
    (Field("alpha", "factor"), Field("rho", "factor"), Field("threshold", "volt"),
     Field("jump", "volt")),
    adaptive,
)  # fmt: skip


def network(seed: int = 0, inputs: int = 7, n: int = 20) -> Graph:
    rng = np.random.default_rng(seed)
    nodes = {
        "in": Input((inputs,)),
        "w": Affine(rng.normal(0, 0.5, (n, inputs)), rng.normal(0, 0.1, n)),
        "h": Cells((n,), MODEL, NUMBERS),
        "back": Linear(rng.normal(0, 0.2, (n, n))),
        "read": Linear(rng.normal(0, 0.5, (4, n))),
        "out": Cells((4,), MODEL, NUMBERS),
        "result": Output((4,)),
    }
    names = [("in", "w"), ("w", "h"), ("h", "back"), ("back", "h"), ("h", "read"),
             ("read", "out"), ("out", "result")]  # fmt: skip
    return Graph(nodes, tuple(Edge(*pair) for pair in names), dt=1e-3, integrator="euler")


def samples(seed: int = 3) -> dict[str, Any]:
    x = np.random.default_rng(seed).random((12, 100, 7)) < 0.3
    return {"x": x.astype(np.uint8), "y": np.arange(12) % 4}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("board", ["microbit-v1", "nucleo-l4r5zi", "mps3-an547"])
def test_firmware_is_the_integer_network_and_close_to_the_float_one(
    board: str, calibrated: bool, tmp_path: Path
) -> None:
    built = snnstack.build(network(), board, samples(7) if calibrated else None)
    assert any("time constant" in line for line in built.network.settings["cells"]["h"])
    found = snnstack.verify(built.program, samples())
    assert not found.differences and found.states_compared
    snnstack.save(built, tmp_path / "p")
    program, network_again = snnstack.open_program(tmp_path / "p")
    assert network_again is not None
    assert not unlike_emitted(program, tmp_path / "p")


def test_integers_spike_as_the_float_network_does() -> None:
    """Of 4,000 spikes less than 2 % more or less: weights have 8 bits."""
    built = snnstack.build(network(), "nucleo-l4r5zi", samples())
    assert built.conversion is not None
    hidden = built.conversion.layers[0]
    assert hidden.spikes_float > 2000
    assert abs(hidden.spikes - hidden.spikes_float) < 0.02 * hidden.spikes_float


@pytest.mark.parametrize("board", ["spinnaker2-chip", "neurram"])
def test_targets_that_compute_no_other_model_say_so(board: str) -> None:
    with pytest.raises(ModelError) as told:
        snnstack.build(network(), board)
    assert "h: is of the model adaptive" in str(told.value)
    assert "computes IF, LIF, LI and CubaLIF" in str(told.value)


def test_a_state_without_bound_is_refused() -> None:
    def endless(n: Names, x: E) -> Next:
        return Next({"v": 1.5 * n.v + 1.0 + x}, n.v > 1e9)

    model = Model("endless", ("v",), (), endless)
    graph = network()
    nodes = {**graph.nodes, "h": Cells((20,), model, {})}
    with pytest.raises(ModelError, match="endless"):
        snnstack.build(graph.with_(nodes=nodes), "nucleo-l4r5zi", samples())


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "oheo-gulch"])
def test_the_stronger_mode_takes_neurons_of_any_model(board: str) -> None:
    built = snnstack.build(network(), board, samples(), quality="best")
    assert built.conversion is not None
    hidden = built.conversion.layers[0]
    assert abs(hidden.spikes - hidden.spikes_float) < 0.02 * hidden.spikes_float
