"""A third factor that enters by an input of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import snnstack
from snnstack import Edge, Graph, Plastic
from snnstack.dynamics.rule_library import RULES
from snnstack.ir.nodes import IF, Input, Linear, Output
from snnstack.passes.discretise import discretise
from snnstack.reference import run_steps

VALUES = {"decay_pre": 0.8, "decay_post": 0.8, "decay_e": 0.7, "a_plus": 0.2, "a_minus": 0.0,
          "rate": 0.1, "w_max": 1.0}  # fmt: skip


def graph() -> Graph:
    """Two cues, two choices; the reward is an input that no synapse reads."""
    rule = Plastic(RULES["reward_stdp"], VALUES, "reward")
    nodes = {
        "cue": Input((2,), "real"),
        "hint": Input((2,), "real"),
        "reward": Input((1,), "real"),
        "w": Linear(np.full((2, 2), 0.3), rule=rule),
        "one": Linear(np.eye(2)),
        "choice": IF(np.ones(2), np.zeros(2), np.full(2, 0.8)),
        "out": Output((2,)),
    }
    ends = [("cue", "w"), ("hint", "one"), ("w", "choice"), ("one", "choice"), ("choice", "out")]
    return Graph(nodes, tuple(Edge(*pair) for pair in ends), 1.0, "euler")


def test_reward_decides_between_two_choices() -> None:
    """Each cue is tried with either choice; only cue k with choice k is paid, the other costs."""
    x = np.zeros((1, 1200, 5))
    rng = np.random.default_rng(2)
    for t in range(0, 1200, 12):
        cue, choice = rng.integers(2, size=2)
        x[0, t, cue] = 1
        x[0, t + 1, 2 + choice] = 1
        x[0, t + 2, 4] = 1 if cue == choice else -1
    w = run_steps(discretise(graph()), x).weights["cue -> choice"][0]
    assert np.diag(w).min() > 0.3, "what was paid has grown"
    assert max(w[0, 1], w[1, 0]) < 0.3, "what cost has shrunk"


def test_the_input_is_kept_in_a_file(tmp_path: Path) -> None:
    snnstack.write_nir(graph(), tmp_path / "net.nir")
    again = snnstack.load(tmp_path / "net.nir")
    assert again.nodes["w"].rule.modulator == "reward"
    x = np.random.default_rng(0).random((1, 50, 5)).round()
    found, wanted = (run_steps(discretise(g), x).weights["cue -> choice"] for g in (again, graph()))
    assert np.array_equal(found, wanted)
    assert not np.allclose(found, 0.3)
