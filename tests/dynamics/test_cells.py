"""Networks of models that nobody listed: through the graph, the definition and the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where
from snnstack.engine.steps import run_step_graph
from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir, read, to_nir, write
from snnstack.ir.check import check
from snnstack.ir.graph import Edge, Graph, same
from snnstack.ir.nodes import Affine, Cells, Input, Linear, Output
from snnstack.ir.text import describe_steps
from snnstack.passes.discretise import discretise
from snnstack.reference import run_steps
from snnstack.trace import Spikes

RNG = np.random.default_rng
NUMBERS = {"alpha": 0.9, "rho": 0.97, "threshold": 1.0, "jump": 0.3}


def adaptive(n: Names, x: E, gate: E) -> Next:
    """A threshold that rises with every spike; what comes in at `gate` holds it down."""
    v = n.alpha * n.v + x
    fired = v > n.threshold + n.a
    a = n.rho * n.a + where(fired, n.jump, 0) - gate
    return Next({"v": where(fired, v - n.threshold, v), "a": a}, fired)


MODEL = Model(
    "adaptive",
    ("v", "a"),
    (Field("alpha"), Field("rho"), Field("threshold"), Field("jump")),
    adaptive,
    inputs=("x", "gate"),
)


def network(seed: int, inputs: int = 6, n: int = 11) -> Graph:
    rng = RNG(seed)
    nodes = {
        "in": Input((inputs,)),
        "w": Affine(rng.normal(0, 0.5, (n, inputs)), rng.normal(0, 0.1, n)),
        "h": Cells((n,), MODEL, NUMBERS | {"threshold": rng.uniform(0.8, 1.2, n)}),
        "back": Linear(rng.normal(0, 0.3, (n, n))),
        "calm": Affine(rng.normal(0, 0.05, (n, n)), rng.normal(0, 0.01, n)),
        "out": Output((n,)),
    }
    edges = [("in", "w"), ("w", "h"), ("h", "back"), ("back", "h"), ("h", "calm"), ("h", "out")]
    joined = (*(Edge(*pair) for pair in edges), Edge("calm", "h", None, "gate"))
    return Graph(nodes, joined, dt=1e-3, integrator="euler")


def by_hand(graph: Graph, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spikes [step, n] and thresholds' rise, written without the package."""
    node = graph.nodes
    n, threshold = len(node["h"].values["threshold"]), node["h"].values["threshold"]
    v, a, s, sent, rises = np.zeros(n), np.zeros(n), np.zeros(n), [], []
    for step in x:
        v = 0.9 * v + node["w"].weight @ step + node["w"].bias + node["back"].weight @ s
        gate = node["calm"].weight @ s + node["calm"].bias
        fired = v > threshold + a
        a = 0.97 * a + 0.3 * fired - gate
        v = np.where(fired, v - threshold, v)
        s = fired.astype(float)
        sent.append(s), rises.append(a)
    return np.array(sent), np.array(rises)


@pytest.mark.parametrize("seed", range(5))
def test_a_model_of_ones_own_runs_in_a_network(seed: int) -> None:
    graph = network(seed)
    check(graph)
    steps = discretise(graph)
    x = (RNG(seed).random((1, 120, 6)) < 0.3).astype(np.uint8)
    spikes, rises = by_hand(graph, x[0])
    for run in (run_steps, run_step_graph):
        trace = run(steps, Spikes.from_dense(x), [("h", "a")])
        np.testing.assert_array_equal(trace.spikes["h"].dense()[0], spikes)
        np.testing.assert_allclose(trace.states["h", "a"][0], rises, rtol=0, atol=1e-12)
    assert spikes.sum() > 20


def test_the_listing_names_model_numbers_and_ports() -> None:
    text = describe_steps(discretise(network(0)))
    assert "adaptive_with_bias" in text and "h -> h (gate)" in text and "jump 0.3" in text


WRONG = {
    "h: adaptive needs a value for rho": {"rho": None},
    "h: adaptive has no parameter 'ro'; it has: alpha, jump, rho, threshold": {"ro": 1.0},
    "h: jump [3] does not spread over [11]": {"jump": np.ones(3)},
    "h: jump has 1 of 1 values NaN or infinite, first NaN": {"jump": float("nan")},
}


@pytest.mark.parametrize("message", WRONG)
def test_numbers_that_do_not_fit_are_refused(message: str) -> None:
    graph = network(0)
    cells = graph.nodes["h"]
    values = {k: v for k, v in {**cells.values, **WRONG[message]}.items() if v is not None}
    nodes = {**graph.nodes, "h": replace(cells, values=values)}
    with pytest.raises(ModelError) as told:
        check(graph.with_(nodes=nodes))
    assert str(told.value).startswith(message)


def test_a_port_that_is_none_is_refused() -> None:
    graph = network(0)
    edges = (*graph.edges[:-1], Edge("calm", "h", None, "gat"))
    with pytest.raises(ModelError) as told:
        check(graph.with_(edges=edges))
    assert str(told.value) == "calm -> h: 'h' has no port 'gat' (its ports are x, gate)"


def test_cells_come_back_from_a_file(tmp_path: Path) -> None:
    graph = network(3)
    write(graph, tmp_path / "net.nir")
    again = read(tmp_path / "net.nir")
    assert same(again.nodes["h"], graph.nodes["h"])
    assert set(again.edges) == set(graph.edges)
    x = (RNG(1).random((2, 60, 6)) < 0.3).astype(np.uint8)
    one, two = (
        run_steps(discretise(g), Spikes.from_dense(x), [("h", "a")]) for g in (graph, again)
    )
    np.testing.assert_array_equal(one.states["h", "a"], two.states["h", "a"])


def test_another_tool_reads_a_network_that_is_silent(tmp_path: Path) -> None:
    import nir

    write(network(0), tmp_path / "net.nir")
    node = nir.read(tmp_path / "net.nir").nodes["h"]
    assert isinstance(node, nir.Threshold) and (node.threshold > 1e38).all()


HOSTILE = {
    "model": ("not json", 5, '["add"]', "nobody", '{"name": "x"}', "[" * 10_000),
    "shape": (3, "3", np.array([1.5]), np.array([-3]), np.array([])),
    "values": ({"alpha": "0.9"}, {"alpha": np.ones(3)}, {"gone": 1.0}, 5),
    "initial": ({"w": 1.0}, {"v": np.ones((2, 2))}),
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, each in HOSTILE.items() for v in each])
def test_cells_that_are_none_are_refused(key: str, value: Any, tmp_path: Path) -> None:
    made = to_nir(network(0))
    said = made.nodes["h"].metadata["snnstack"]
    made.nodes["h"].metadata["snnstack"] = {**said, key: value}
    with pytest.raises(ModelError):
        from_nir(made)


def test_a_port_that_nothing_feeds_is_refused() -> None:
    graph = network(0)
    with pytest.raises(ModelError) as told:
        check(graph.with_(edges=(*graph.edges[:-1], Edge("calm", "h"))))
    assert str(told.value) == (
        "h: nothing feeds its port 'gate' (an edge into it says its port; fed are x)"
    )
