"""inline_subgraphs: nested graphs disappear, names are joined, edges are rewired."""

import numpy as np

from snnstack.dynamics.library import MODELS
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, Cells, Input, Linear, Output
from snnstack.passes.inline_subgraphs import inline_subgraphs


def neurons(n: int) -> IF:
    return IF(r=np.ones(n), v_reset=np.zeros(n), v_threshold=np.ones(n))


def test_a_nested_graph_becomes_its_nodes() -> None:
    inner = Graph(
        nodes={"in": Input((2,)), "fc": Linear(np.ones((3, 2))), "out": Output((3,))},
        edges=(Edge("in", "fc"), Edge("fc", "out")),
    )
    outer = Graph(
        nodes={"x": Input((2,)), "block": inner, "if": neurons(3), "y": Output((3,))},
        edges=(Edge("x", "block"), Edge("block", "if"), Edge("if", "y")),
    )

    flat = inline_subgraphs(outer)

    assert list(flat.nodes) == ["x", "block.fc", "if", "y"]
    assert set(flat.edges) == {Edge("x", "block.fc"), Edge("block.fc", "if"), Edge("if", "y")}


def test_an_edge_through_ports_adds_delays() -> None:
    inner = Graph(
        nodes={"in": Input((1,)), "n": neurons(1), "out": Output((1,))},
        edges=(Edge("in", "n", 2), Edge("n", "out")),
    )
    outer = Graph(
        nodes={"x": Input((1,)), "a": inner, "b": inner, "y": Output((1,))},
        edges=(Edge("x", "a"), Edge("a", "b", 3), Edge("b", "y")),
    )

    flat = inline_subgraphs(outer)

    assert set(flat.edges) == {
        Edge("x", "a.n", 2),
        Edge("a.n", "b.n", 5),
        Edge("b.n", "y"),
    }


def test_graphs_inside_graphs_inside_graphs_are_flattened() -> None:
    inner = Graph(
        nodes={"i": Input((1,)), "n": neurons(1), "o": Output((1,))},
        edges=(Edge("i", "n"), Edge("n", "o")),
    )
    middle = Graph(
        nodes={"i": Input((1,)), "deep": inner, "o": Output((1,))},
        edges=(Edge("i", "deep"), Edge("deep", "o")),
    )
    outer = Graph(
        nodes={"x": Input((1,)), "m": middle, "y": Output((1,))},
        edges=(Edge("x", "m"), Edge("m", "y")),
    )

    flat = inline_subgraphs(outer)

    assert list(flat.nodes) == ["x", "m.deep.n", "y"]
    assert set(flat.edges) == {Edge("x", "m.deep.n"), Edge("m.deep.n", "y")}


def test_ports_of_nested_neurons_stay_what_they_are() -> None:
    """An edge ends in the port that is named inside, or outside of the graph that it leaves."""
    cells = Cells((2,), MODELS["two_receptor"], {}, {})
    first, second = MODELS["two_receptor"].inputs[:2]
    inner = Graph(
        {"in": Input((2,)), "w": Linear(np.eye(2)), "c": cells, "out": Output((2,))},
        (
            Edge("in", "c", 0, second),
            Edge("in", "w", 0),
            Edge("w", "c", 1, first),
            Edge("c", "out", 0),
        ),
    )
    outer = Graph(
        {"x": Input((2,)), "a": inner, "b": cells, "y": Output((2,))},
        (Edge("x", "a", 0), Edge("a", "b", 0, second), Edge("x", "b", 0, first), Edge("b", "y", 0)),
    )
    flat = inline_subgraphs(outer)
    assert {(e.source, e.target, e.delay, e.port) for e in flat.edges} == {
        ("x", "a.c", 0, second),
        ("x", "a.w", 0, None),
        ("a.w", "a.c", 1, first),
        ("a.c", "b", 0, second),
        ("x", "b", 0, first),
        ("b", "y", 0, None),
    }
