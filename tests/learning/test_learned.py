"""Weights after a run become a model that compiles, and rates that a neuron keeps by itself."""

from __future__ import annotations

import numpy as np
import pytest

import snnstack
from snnstack import Plastic
from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.rule_library import RULES
from snnstack.dynamics.run_numpy import Definition
from snnstack.errors import ModelError
from snnstack.ir.nodes import IF, Input, Linear, Output
from snnstack.passes.discretise import discretise
from snnstack.passes.learned import learned
from snnstack.reference import run_steps
from snnstack.trace import Trace

STDP = {"decay_pre": 0.9, "decay_post": 0.9, "a_plus": 0.05, "a_minus": 0.04, "w_max": 1.0}


def graph() -> snnstack.Graph:
    """Three sources, two neurons."""
    nodes = {
        "in": Input((3,)),
        "w": Linear(np.full((2, 3), 0.4), rule=Plastic(RULES["pair_stdp"], STDP)),
        "n": IF(np.ones(2), np.zeros(2), np.array([0.8, 1.1])),
        "out": Output((2,)),
    }
    names = list(nodes)
    return snnstack.Graph(nodes, tuple(map(snnstack.Edge, names[:-1], names[1:])), 1.0, "euler")


def test_what_was_learned_compiles() -> None:
    x = (np.random.default_rng(4).random((2, 60, 3)) < 0.2).astype(np.uint8)
    trace = run_steps(discretise(graph()), x.astype(float))
    after = learned(graph(), trace, 1)
    assert np.array_equal(after.nodes["w"].weight, trace.weights["in -> n"][1])
    assert not np.allclose(after.nodes["w"].weight, 0.4)
    data = {"x": x, "y": np.array([0, 1])}
    program = snnstack.compile(after, "nucleo-l4r5zi", calibrate=data)
    assert snnstack.emulate(program, data).spikes["n"].total > 0


@pytest.mark.parametrize(
    ("trace", "sample", "what"),
    [
        (Trace({}), 0, "w: the trace has no weights of in -> n for it"),
        (Trace({}, weights={"in -> n": np.zeros((2, 2, 3))}), 2,
         "w: the trace has 2 samples, 2 is none of them (counted from 0)"),
    ],
)  # fmt: skip
def test_other_traces_are_refused(trace: Trace, sample: int, what: str) -> None:
    with pytest.raises(ModelError) as error:
        learned(graph(), trace, sample)
    assert str(error.value) == what


def test_a_homeostatic_threshold_keeps_its_rate() -> None:
    """Whatever the drive, the mean of the spikes is sink / rise: the sum telescopes to b."""
    drive = np.array([[0.3, 0.6, 1.2, 2.0]])
    values = {"alpha": 0.9, "threshold": 0.5, "rise": 0.05, "sink": 0.005, "low": -9.0,
              "high": 99.0}  # fmt: skip
    layer = Definition(Neurons(MODELS["homeostatic_lif"], 4, "float64", values), 1)
    spikes = np.array([layer(drive)[0] for _ in range(20000)])  # type: ignore[index]
    np.testing.assert_allclose(spikes[10000:].mean(axis=0), 0.1, rtol=0, atol=0.01)
