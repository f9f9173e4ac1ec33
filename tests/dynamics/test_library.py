"""Every model of the library, with all its options: by hand == definition == machine code."""

from __future__ import annotations

import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.dynamics.library import MODELS, from_saved, saved_form
from snnstack.dynamics.model import Model, Neurons
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.trace import traced
from snnstack.dynamics.written import model_data, read_model, same_model
from snnstack.errors import ModelError
from snnstack.frontends.nir import read, write
from snnstack.ir.check import check
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Cells, Input, Linear, Output
from tests.dynamics import library_by_hand
from tests.dynamics.machine import Machine

N, STEPS = 5, 60
Range = tuple[float, float]
NUMBERS: dict[str, dict[str, Range]] = {
    "adaptive_lif": {
        **{"alpha": (0.5, 1), "threshold": (0.3, 1), "rho": (0.8, 1)},
        **{"jump": (0, 0.5), "v_reset": (-0.3, 0.2)},
    },
    "homeostatic_lif": {
        **{"alpha": (0.5, 1), "threshold": (0.3, 1), "rise": (0, 0.3), "sink": (0, 0.1)},
        **{"low": (-0.2, 0), "high": (0.2, 1), "v_reset": (-0.3, 0.2)},
    },
    "adex": {
        **{"tau": (5, 20), "rest": (-0.5, 0), "slope": (0.2, 1), "rheobase": (0.5, 1)},
        **{"threshold": (1.2, 2), "v_reset": (-1, 0), "tau_w": (10, 60), "a": (0, 1)},
        "b": (0, 1),
    },
    "izhikevich": {
        **{"a": (0.02, 0.1), "b": (0.2, 0.25), "c": (-65, -50), "d": (2, 8)},
        **{"peak": (30, 30), "dt": (0.5, 1)},
    },
    "quadratic": {
        **{"tau": (2, 10), "a0": (0.5, 1), "rest": (-0.1, 0), "critical": (0.3, 0.6)},
        **{"threshold": (1, 1.5), "v_reset": (-0.2, 0), "tau_w": (5, 20), "a": (0, 1)},
        "b": (0, 0.5),
    },
    "resonate": {
        **{"omega": (5, 60), "offset": (0.1, 6), "dt": (0.01, 0.01)},
        **{"threshold": (0.05, 1), "gamma": (0.8, 0.95)},
    },
    "two_compartment": {
        **{"b_soma": (-0.9, -0.1), "b_dendrite": (0.1, 0.9), "gamma": (0.1, 1)},
        "threshold": (0.3, 1),
    },
    "ternary": {"alpha": (0.5, 1), "threshold": (0.3, 1)},
    "multi_spike": {"alpha": (0.5, 1), "threshold": (0.1, 0.5)},
    "bounded_lif": {
        **{"alpha": (0.5, 1), "threshold": (0.3, 1), "v_min": (-0.5, -0.1)},
        "v_reset": (-0.1, 0.2),
    },
    "egru": {"threshold": (0.005, 0.5)},
    "minimal_gated": {},
    "clipped": {"bias": (-0.2, 0.2), "low": (-0.3, 0), "high": (0.1, 1)},
    "complex_state": {f"{k}_{part}": (-0.7, 0.7) for k in "abc" for part in ("re", "im")},
    "astrocyte_lif": {
        **{"beta": (0.5, 1), "threshold": (0.3, 1), "lambda_a": (0.5, 1)},
        **{"lambda_b": (0.9, 1), "k_gain": (0, 1), "k_threshold": (0, 2)},
    },
    "leaky_unit": {"keep": (0, 1), "gain": (0.5, 2), "slope": (0.5, 1), "bias": (-1, 1)},
    "segment": {"threshold": (-0.5, 1)},
    "delta_unit": {"gain": (0.5, 3), "low": (0, 0), "high": (3, 9), "threshold": (0, 2)},
    "delta_source": {"threshold": (0, 1)},
}
"""Ranges of the parameters in which something happens."""
SUMS = {
    "izhikevich": (0.0, 14.0),
    "adex": (-0.5, 6.0),
    "quadratic": (-0.5, 3.0),
    "resonate": (-20.0, 20.0),
}
START = {"izhikevich": {"v": -65.0, "u": -13.0}}
MORE = {"most": (1, 4)}
ELSEWHERE = {
    "accumulator",
    "cuba_lif",
    "loihi_cuba",
    "sigma_delta",
    "spinnaker2_lif",
    "two_receptor",
}
"""Models with tests of their own: `test_models`, `test_balanced`, `values`, those of the chips."""


def every(model: Model) -> list[dict[str, Any]]:
    """All combinations of the options."""
    can = {k: MORE.get(k, model.choices.get(k, (False, True))) for k in model.options}
    return [dict(zip(can, chosen, strict=True)) for chosen in product(*can.values())]


CASES = [(name, options) for name in sorted(NUMBERS) for options in every(MODELS[name])]


def test_every_model_is_tried() -> None:
    assert set(NUMBERS) | ELSEWHERE == set(MODELS)
    assert all(name == MODELS[name].name and MODELS[name].source for name in MODELS)


def drawn(name: str, seed: int, number: Any, options: Any) -> tuple[Neurons, Any]:
    """A layer, and sums [step, input, n] for it."""
    rng, model = np.random.default_rng(seed), MODELS[name]
    values = {k: rng.uniform(*span, N).astype(number) for k, span in NUMBERS[name].items()}
    start = {k: np.full(N, v) for k, v in START.get(name, {}).items()}
    low, high = SUMS.get(name, (-1.0, 1.4))
    sums = rng.uniform(low, high, (STEPS, len(model.inputs), N)).astype(number)
    return Neurons(model, N, number, values, options, start), sums


@pytest.mark.parametrize("number", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@settings(max_examples=5)
@given(seed=st.integers(0, 2**30))
def test_machine_code_is_the_definition(name: str, options: Any, number: Any, seed: int) -> None:
    neurons, sums = drawn(name, seed, number, options)
    definition, machine = Definition(neurons, 1), Machine(neurons)
    for x in sums:
        expected = definition(*(row[None] for row in x))
        np.testing.assert_array_equal(machine(*x), expected[0])
        for state, value in machine.state.items():
            np.testing.assert_array_equal(value, definition.state[state][0], err_msg=state)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@settings(max_examples=5)
@given(seed=st.integers(0, 2**30))
def test_definitions_are_as_written_by_hand(name: str, options: Any, seed: int) -> None:
    neurons, sums = drawn(name, seed, "float64", options)
    definition = Definition(neurons, 1)
    step = getattr(library_by_hand, name)
    state = {k: neurons.start(k).copy() for k in neurons.model.states}
    for x in sums:
        sent = definition(*(row[None] for row in x))[0]
        expected = step(neurons.values, state, *x.copy(), **options)
        np.testing.assert_allclose(sent, expected, rtol=0, atol=1e-9)
        for k in traced(neurons).states:
            np.testing.assert_allclose(
                definition.state[k][0], state[k], rtol=1e-9, atol=1e-9, err_msg=k
            )


def test_something_happens() -> None:
    for name, options in CASES:
        neurons, sums = drawn(name, 1, "float64", options)
        definition = Definition(neurons, 1)
        sent = np.array([definition(*(row[None] for row in x))[0] for x in sums])
        assert np.count_nonzero(sent) / sent.size > 0.01, (name, options)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_travel_by_name_and_as_data(name: str) -> None:
    model = MODELS[name]
    assert saved_form(model) == name and from_saved(name) is model
    for options in every(model) if name in NUMBERS else [{}]:
        data = model_data(model, options)
        again = read_model(json.loads(json.dumps(data)))
        assert model_data(again) == data
    assert same_model(read_model(model_data(model)), model)
    assert from_saved(model_data(model)) is model


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_structure_is_machine_code_at_once(name: str) -> None:
    neurons, _ = drawn(name, 0, "float64", {})
    start = time.perf_counter()
    Machine(neurons)
    assert time.perf_counter() - start < 3


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "too many": ("multi_spike", {"most": 10**9}, "most is 1000000000, one of: 1, 2, "),
    "a word": ("multi_spike", {"most": "x"}, "most is 'x', must be int"),
    "an array": ("adaptive_lif", {"reset": np.ones(2)}, "reset is array.*, must be str"),
    "no choice": ("adaptive_lif", {"reset": "soft"}, "reset is 'soft', one of: subtract, "),
    "negative": ("loihi_cuba", {"current_bits": -5}, "current_bits is -5, one of: 2, 3, "),
}


@pytest.mark.parametrize("case", WRONG)
def test_options_that_are_none_are_refused(case: str) -> None:
    name, options, message = WRONG[case]
    values = {f.name: 0.5 for f in MODELS[name].parameters}
    cells = Cells((2,), MODELS[name], values, options)
    nodes = {"in": Input((2,)), "w": Linear(np.eye(2)), "h": cells, "out": Output((2,))}
    edges = (Edge("in", "w"), Edge("w", "h"), Edge("h", "out"))
    with pytest.raises(ModelError, match=message):
        check(Graph(nodes, edges, dt=1e-3, integrator="euler"))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_models_and_options_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    values = {f.name: 0.5 for f in model.parameters}
    for options in every(model):
        nodes = {
            "in": Input((2,)),
            "w": Linear(np.eye(2)),
            "h": Cells((2,), model, values, options),
            "out": Output((2,)),
        }
        into = (Edge("w", "h", None, port) for port in model.inputs)
        edges = (Edge("in", "w"), *into, Edge("h", "out"))
        write(Graph(nodes, edges, dt=1e-3, integrator="euler"), tmp_path / "net.nir")
        again = read(tmp_path / "net.nir").nodes["h"]
        assert again.model is model and again.options == options
