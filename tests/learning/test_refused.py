"""A projection with a rule is never run as a static one: every target and verb refuses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack import Edge, Graph, Plastic
from snnstack.dynamics.rule_library import RULES
from snnstack.engine.steps import run_step_graph
from snnstack.errors import ModelError, SnnstackError
from snnstack.integers import for_target
from snnstack.ir.nodes import IF, Input, Linear, Output
from snnstack.passes.discretise import discretise
from snnstack.trace import Spikes

BOARDS = ("nucleo-l4r5zi", "loihi1", "oheo-gulch", "spinnaker2-chip", "neurram")
X = (np.arange(60).reshape(2, 10, 3) % 3 == 0).astype(np.uint8)
DATA = {"x": X, "y": np.array([0, 1])}
LEARNS = "in -> n: learns by oja, "


def graph(r: float = 1.0) -> Graph:
    """Three sources, two neurons, synapses that learn."""
    rule = Plastic(RULES["oja"], {"decay_pre": 0.5, "decay_post": 0.5, "rate": 0.1})
    nodes: dict[str, Any] = {
        "in": Input((3,)),
        "w": Linear(np.full((2, 3), 0.5), rule=rule),
        "n": IF(np.full(2, r), np.zeros(2), np.ones(2)),
        "out": Output((2,)),
    }
    names = list(nodes)
    return Graph(nodes, tuple(map(Edge, names[:-1], names[1:])), 1.0, "euler")


@pytest.mark.parametrize("board", BOARDS)
def test_no_board_gets_a_program(board: str) -> None:
    for make in (
        lambda: snnstack.build(graph(), board),
        lambda: snnstack.build(graph(), board, DATA),
        lambda: snnstack.compile(graph(), board),
        lambda: snnstack.bench(graph(), [board], DATA),
    ):
        with pytest.raises(SnnstackError) as error:
            make()
        assert LEARNS in str(error.value)


@pytest.mark.parametrize("target", ["mcu", "loihi", "spinnaker2", "crossbar"])
def test_no_target_takes_one(target: str) -> None:
    with pytest.raises(ModelError, match=f"{LEARNS}{target} cannot"):
        for_target(discretise(graph()), target)


def test_the_engine_refuses() -> None:
    with pytest.raises(ModelError, match=f"{LEARNS}the event engine cannot"):
        run_step_graph(discretise(graph()), Spikes.from_dense(X))


def test_onnx_refuses() -> None:
    with pytest.raises(ModelError, match=f"{LEARNS}a step in ONNX cannot"):
        snnstack.to_onnx(graph())


def test_gains_in_front_of_a_rule_are_refused() -> None:
    with pytest.raises(ModelError, match="learns, and n has a gain of 2"):
        snnstack.compile(graph(2.0), BOARDS[0])


def test_what_is_shown_says_it_learns() -> None:
    from snnstack.ir.text import describe_steps

    assert "learns by oja" in describe_steps(discretise(graph()))


@pytest.mark.parametrize("board", BOARDS)
def test_rules_of_every_target_name_it(board: str) -> None:
    """Whoever hands a network of integers to a compiler himself meets the same refusal."""
    from dataclasses import replace

    from snnstack.board import load_board
    from snnstack.integers import quantise_for
    from snnstack.target import backend

    steps = discretise(graph())
    still = steps.with_(projections=tuple(replace(p, rule=None) for p in steps.projections))
    target = load_board(board)
    made = quantise_for(still, target, None)
    network = made.with_(projections=steps.projections)
    stays = next(rule for rule in backend(target.target).RULES if rule.__name__ == "weights_stay")
    (problem,) = stays(network, target)
    assert str(problem).startswith(LEARNS + target.target)
