"""The text form has one line per node, in order, with what a reader needs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from textwrap import dedent

import numpy as np
from hypothesis import HealthCheck, given, settings

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Affine, Conv2d, Flatten, Input, Output, SumPool2d
from snnstack.ir.step import Dense, Pool, Projection, StepGraph, StepInput
from snnstack.ir.step import lif as lif_population
from snnstack.ir.text import describe, describe_steps, topological
from tests.strategies import graphs


def lif(n: int) -> LIF:
    tau, r, leak, reset, threshold = (np.full(n, v) for v in (0.01, 1.0, 0.0, 0.0, 1.0))
    tau[0] = 0.02
    return LIF(tau, r, leak, reset, threshold, reset="subtract", refractory=0.002, compare="ge")


def net() -> Graph:
    weight = np.array([[0.5, -1.25], [0.0, 2.0]], dtype=np.float32)
    nodes = {
        "out": Output((2,)),
        "rec": Affine(weight, np.zeros(2)),
        "lif": lif(2),
        "fc": Affine(np.ones((2, 4)), np.zeros(2)),
        "flat": Flatten(None, 0, -1),
        "pool": SumPool2d((2, 2), (2, 2), (0, 0)),
        "conv": Conv2d(None, np.ones((1, 1, 3, 3)), (1, 1), "same", (1, 1), 1, np.zeros(1)),
        "in": Input((1, 4, 4), "binary"),
    }
    chain = ["in", "conv", "pool", "flat", "fc", "lif", "out"]
    edges = [Edge(a, b) for a, b in pairwise(chain)]
    return Graph(nodes, (*edges, Edge("lif", "rec"), Edge("rec", "lif", 1)), dt=0.001)


def test_a_graph_is_one_line_per_node() -> None:
    graph = net().with_(settings={"dt": "option", "reset": "file"})
    assert describe(graph) == dedent("""\
        dt 0.001 s (option)
        integrator not said
        reset subtract (file)
        compare ge
        events binary
        in    Input      [1, 4, 4]  binary events
        conv  Conv2d     [1, 4, 4]  weight [1, 1, 3, 3] 1, bias 0, stride 1x1, padding same, \
dilation 1x1, groups 1  from in
        pool  SumPool2d  [1, 2, 2]  kernel_size 2x2, stride 2x2, padding 0x0  from conv
        flat  Flatten    [4]        axes 0 to -1  from pool
        fc    Affine     [2]        weight [2, 4] 1, bias 0  from flat
        lif   LIF        [2]        tau 0.01..0.02, r 1, v_leak 0, v_reset 0, v_threshold 1, \
fires at v >= v_threshold, then v = v - v_threshold, refractory 0.002 s  from fc, rec (delay 1)
        out   Output     [2]        from lif
        rec   Affine     [2]        weight [2, 2] -1.25..2, bias 0  from lif""")


def test_a_nested_graph_follows_under_its_name() -> None:
    inner = Graph({"in": Input((2,)), "out": Output((2,))}, (Edge("in", "out"),))
    edges = (Edge("in", "block"), Edge("block", "out"))
    graph = Graph({"in": Input((2,)), "block": inner, "out": Output((2,))}, edges)
    assert describe(graph) == dedent("""\
        dt not said
        integrator not said
        events count
        in     Input   [2]  count events
        block  Graph   [2]  2 nodes  from in
        out    Output  [2]  from block
        block:
          in   Input   [2]  count events
          out  Output  [2]  from in""")


def test_an_unknown_shape_is_a_question_mark() -> None:
    graph = net()
    broken = graph.with_(nodes={**graph.nodes, "conv": replace(graph.nodes["conv"], groups=3)})
    assert "conv  Conv2d     ?" in describe(broken)


def test_the_order_does_not_depend_on_how_nodes_are_listed() -> None:
    graph = net()
    backwards = graph.with_(nodes=dict(reversed(graph.nodes.items())))
    assert describe(backwards) == describe(graph)


def test_a_step_graph_lists_populations_then_projections() -> None:
    ones, zeros = np.ones(2), np.zeros(2)
    first = lif_population("a", (2,), 0.9 * ones, None, ones, ones, zeros, zeros, ones, zeros)
    more = {"reset": "subtract", "refractory": 2, "compare": "ge"}
    second = replace(first.with_lif(beta=0.5 * ones, **more), name="bb")
    last = replace(first.with_lif(threshold=None), name="out")
    pool = Pool((1, 2, 4), (1, 1, 2), (2, 2), (2, 2), (0, 0))
    weight = Dense(np.array([[1.0, 0.0], [0.0, -0.5]]))
    graph = StepGraph(
        inputs=(StepInput("in", (1, 2, 4), "binary"),),
        populations=(first, second, last),
        projections=(
            Projection("in", "a", weight, pool=pool),
            Projection("a", "bb", weight),
            Projection("bb", "bb", weight, 1),
        ),
        outputs=("out",),
        dt=0.001,
        settings={"integrator": "euler", "origin": {"dt": "default"}},
    )
    assert describe_steps(graph) == dedent("""\
        dt 0.001 s (default)
        integrator euler
        in   input       [1, 2, 4]  binary
        a    population  [2]        alpha 0.9, gain 1, bias 0, leak 0, fires at v > 1, then v = 0
        bb   population  [2]        alpha 0.9, beta 0.5, gain_in 1, gain 1, bias 0, leak 0, \
fires at v >= 1, then v = v - threshold, refractory 2 steps
        out  population  [2]        alpha 0.9, gain 1, bias 0, leak 0, does not fire
        in -> a   delay 0  dense [2, 2], weight -0.5..1  after sum pool 2x2, [1, 2, 4] to [1, 1, 2]
        a -> bb   delay 0  dense [2, 2], weight -0.5..1
        bb -> bb  delay 1  dense [2, 2], weight -0.5..1
        outputs out""")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_every_node_has_its_place_after_what_feeds_it(graph: Graph) -> None:
    order = topological(graph)
    assert sorted(order) == sorted(graph.nodes)
    backward = [e for e in graph.edges if order.index(e.source) > order.index(e.target)]
    assert all(edge.source.endswith(" rec") for edge in backward)
