"""Models as data: they come back as they were, and what is no model is refused."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.neurons.sigma_delta import SIGMA_DELTA
from snnstack.dynamics.neurons.two_receptor import TWO_RECEPTOR
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.terms import lut, most, where
from snnstack.dynamics.written import model_data, read_model, same_model
from snnstack.errors import ModelError

SQUARES = Table("squares", tuple(k * k for k in range(16)))


def step(n: Names, x: E, gate: E) -> Next:
    v = n.v + lut(SQUARES, x) + n.bias
    fired = (v > n.threshold) & ~(gate > 3)
    v = where(fired, v - n.threshold if n.soft else 0, v)
    return Next({"v": most(v, -100)}, fired, reads={"v": v})


OWN = Model(
    "own",
    ("v",),
    (Field("threshold", "volt"), Field("bias", "volt", 0)),
    step,
    options={"soft": True},
    inputs=("x", "gate"),
    source="here",
)


@pytest.mark.parametrize("soft", [False, True])
def test_a_model_comes_back_as_it_was(soft: bool) -> None:
    data = model_data(OWN, {"soft": soft})
    again = read_model(json.loads(json.dumps(data)))
    assert model_data(again) == data
    assert same_model(again, read_model(data))
    assert same_model(OWN, again) == soft  # its default
    values = {"threshold": np.array([40, 60]), "bias": 1}
    one = Definition(Neurons(OWN, 2, "int32", values, {"soft": soft}), 1)
    two = Definition(Neurons(again, 2, "int32", values), 1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        given = rng.integers(0, 9, (2, 1, 2))
        np.testing.assert_array_equal(one(*given), two(*given))
        np.testing.assert_array_equal(one.state["v"], two.state["v"])
        np.testing.assert_array_equal(one.reads["v"], two.reads["v"])


@pytest.mark.parametrize("model", [CUBA_LIF, TWO_RECEPTOR, SIGMA_DELTA], ids=lambda m: m.name)
def test_models_of_the_package_can_be_written(model: Model) -> None:
    assert same_model(model, read_model(model_data(model)))


def test_what_was_read_travels_between_processes() -> None:
    again = read_model(model_data(OWN))
    for twin in (pickle.loads(pickle.dumps(again)), copy.deepcopy(again)):
        assert same_model(twin, again)


def changed(*path: Any, value: Any) -> Any:
    data = json.loads(json.dumps(model_data(OWN)))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


FIRST = next(k for k, node in enumerate(model_data(OWN)["nodes"]) if node[0] == "add")
CONSTANT = next(k for k, node in enumerate(model_data(OWN)["nodes"]) if node[0] == "const")
LOOKED_UP = next(k for k, node in enumerate(model_data(OWN)["nodes"]) if node[0] == "lut")
WRONG = {
    "no data": [],
    "a key too many": {**model_data(OWN), "step": "import os"},
    "a name": changed("name", value="own; rm"),
    "a name with a newline": changed("name", value="own\n"),
    "a state": changed("states", 0, value="__class__"),
    "an input": changed("inputs", 0, value="x x"),
    "no inputs": changed("inputs", value=[]),
    "the same name twice": changed("parameters", 1, 0, value="threshold"),
    "a parameter": changed("parameters", 0, value=["threshold"]),
    "a unit": changed("parameters", 0, 1, value="kg"),
    "a default": changed("parameters", 0, 2, value=float("nan")),
    "sends": changed("sends", value="mail"),
    "an operation": changed("nodes", FIRST, 0, value="eval"),
    "an operation that is no text": changed("nodes", FIRST, 0, value=["add"]),
    "too few arguments": changed("nodes", FIRST, 1, value=[0]),
    "an argument to come": changed("nodes", FIRST, 1, value=[FIRST, 0]),
    "an argument before all": changed("nodes", FIRST, 1, value=[-1, 0]),
    "a truth value as a number": changed("nodes", FIRST, 1, value=[True, 0]),
    "an infinite constant": changed("nodes", CONSTANT, 2, value=float("inf")),
    "a constant in words": changed("nodes", CONSTANT, 2, value="0"),
    "a table of nothing": changed("nodes", LOOKED_UP, 2, "entries", value=[]),
    "a table beyond 32 bits": changed("nodes", LOOKED_UP, 2, "entries", value=[2**31]),
    "two tables of one name": changed(
        "nodes",
        value=[
            *model_data(OWN)["nodes"],
            ["lut", [0], {**model_data(OWN)["nodes"][LOOKED_UP][2], "entries": [7]}],
        ],
    ),
    "no table": changed("nodes", LOOKED_UP, 2, value=None),
    "a result": changed("roots", "state w", value=0),
    "a result nowhere": changed("roots", "sent", value=999),
    "too many": changed("nodes", value=[["const", [], 0]] * 5000),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_model_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="net"):
        read_model(WRONG[name], "net")
