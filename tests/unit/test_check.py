"""Every rule names what breaks it, all breaches are reported at once, and nothing crashes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnstack.errors import ModelError
from snnstack.ir.check import RULES, check, problems
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    LIF,
    Affine,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
    SumPool2d,
)
from tests.strategies import graphs


def lif(n: int = 3, **changes: Any) -> LIF:
    values = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0}
    arrays: dict[str, Any] = {key: np.full(n, value) for key, value in values.items()}
    return LIF(**{**arrays, **changes})


def net(**changes: Any) -> Graph:
    """Input, fc, lif and Output; `changes` replace or add nodes."""
    nodes = {"in": Input((3,)), "fc": Linear(np.eye(3)), "lif": lif(), "out": Output((3,))}
    edges = (Edge("in", "fc"), Edge("fc", "lif"), Edge("lif", "out"))
    return Graph({**nodes, **changes}, edges)


def plus(graph: Graph, *edges: Edge) -> Graph:
    return graph.with_(edges=(*graph.edges, *edges))


def conv(**changes: Any) -> Conv2d:
    values = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    arrays = {"weight": np.ones((2, 1, 1, 1)), "bias": np.zeros(2)}
    return Conv2d(**{"input_shape": None, **values, **arrays, **changes})


def alone(node: Any, shape: tuple[int, ...], out: tuple[int, ...]) -> Graph:
    nodes = {"in": Input(shape), "n": node, "out": Output(out)}
    return Graph(nodes, (Edge("in", "n"), Edge("n", "out")))


NAN = np.array([1.0, np.nan, np.inf])
LOOP = (Edge("lif", "back", 0), Edge("back", "lif"))

CASES: list[tuple[Graph, str]] = [
    (plus(net(), Edge("lif", "fc2")), "lif -> fc2: there is no node 'fc2' (near names: fc)"),
    (
        plus(net(), Edge("elephant", "lif")),
        "elephant -> lif: there is no node 'elephant' (there are: fc, in, lif, out)",
    ),
    (plus(net(), Edge("in", "fc")), "in -> fc: this edge is there 2 times (keep one of them)"),
    (plus(net(), Edge("lif", "in")), "lif -> in: 'in' is an input node (remove the edge)"),
    (plus(net(), Edge("out", "lif")), "out -> lif: 'out' is an output node (remove the edge)"),
    (
        plus(net(in2=Input((3,), "real")), Edge("in2", "fc")),
        "graph: its inputs take different kinds of events: in count, in2 real (all of them real "
        "numbers, or none)",
    ),
    (
        plus(net(sub=plus(net(in2=Input((3,))), Edge("in2", "fc"))), Edge("in", "sub")),
        "sub: graph: it has 2 input nodes (a graph inside another takes one)",
    ),
    (
        Graph({"out": Output((3,))}, ()),
        "graph: it has 0 input nodes (at least one node of type Input is needed)",
    ),
    (
        Graph({"in": Input((3,))}, ()),
        "graph: it has no output node (add a node of type Output)",
    ),
    (
        net(fc=Linear(np.ones((4, 3)))),
        "fc -> lif: fc gives [4] but lif takes [3]",
    ),
    (net(lost=lif()), "lost: no path leads to it from an input (connect it or remove it)"),
    (
        net(fc=Affine(np.eye(3), NAN)),
        "fc: bias has 2 of 3 values NaN or infinite, first NaN at [1] "
        "(export the model again after checking its training)",
    ),
    (net(lif=lif(reset="hard")), "lif: reset is 'hard' (one of: v_reset, zero, subtract, none)"),
    (net(lif=lif(compare="lt")), "lif: compare is 'lt' (one of: gt, ge)"),
    (
        net(**{"in": Input((3,), "graded")}),  # type: ignore[arg-type]
        "in: events is 'graded' (one of: binary, count, value, real)",
    ),
    (
        net().with_(integrator="rk4"),
        "graph: integrator is 'rk4' (one of: euler, exponential)",
    ),
    (
        net().with_(dt=0.0),
        "graph: dt is 0 s (a time step is positive, such as 0.001)",
    ),
    (
        net(lif=lif(tau=np.array([0.1, 0, -1]))),
        "lif: tau[1] is 0 (2 of 3 are wrong) (seconds, above 0)",
    ),
    (
        net().with_(dt=0.02),
        "lif: tau[0] is 0.01 (3 of 3 are wrong) "
        "(dt is 0.02 s: choose a smaller dt or the exponential integrator)",
    ),
    (
        net(lif=lif(v_threshold=np.array([1, 1, -0.5]), v_reset=np.full(3, -1.0))),
        "lif: v_threshold[2] is -0.5 (above 0)",
    ),
    (
        net(lif=lif(v_reset=np.array([0, 1.0, 0]))),
        "lif: v_reset[1] is 1 (below v_threshold, or the neuron fires for ever)",
    ),
    (
        net(lif=lif(reset="subtract", reset_time="next_all")),
        "lif: reset_time is 'next_all' for reset 'subtract' (one of: now, next, recheck)",
    ),
    (
        net(lif=lif(reset="none", reset_time="next")),
        "lif: reset_time is 'next' for reset 'none' (one of: now)",
    ),
    (
        net(lif=lif(reset_time="recheck")),
        "lif: reset_time is 'recheck' for reset 'v_reset' (one of: now, next, next_all)",
    ),
    (
        net(lif=lif(reset="subtract", reset_time="next", refractory=0.01)),
        "lif: reset_time is 'next' with a refractory time "
        "(only a reset that acts now can have one)",
    ),
    (
        net(lif=lif(reset_time="later")),
        "lif: reset_time is 'later' (one of: now, next, next_all, recheck)",
    ),
    (net(lif=lif(refractory=-0.001)), "lif: refractory is -0.001 (seconds, 0 or more)"),
    (
        net(lif=lif(r=np.ones(1))),
        "lif: its parameters differ in shape: tau [3], r [1], v_leak [3], v_reset [3], "
        "v_threshold [3] (give every parameter the shape of the population)",
    ),
    (
        net().with_(edges=(Edge("in", "fc"), Edge("fc", "lif", -1), Edge("lif", "out"))),
        "fc -> lif: its delay is -1 (steps, 0 or more)",
    ),
    (
        net(fc=Linear(np.eye(3), np.full((3, 3), -2))),
        "fc: delay[0, 0] is -2 (9 of 9 are wrong) (whole steps, 0 or more)",
    ),
    (
        net(fc=Delay(np.array([0, 0.1, -0.1]))),
        "fc: delay[2] is -0.1 (seconds, 0 or more)",
    ),
    (
        net(fc=Linear(np.eye(3), np.zeros((3, 2)))),
        "fc: delay [3, 2] does not match weight [3, 3]",
    ),
    (
        plus(net(back=Linear(np.eye(3))), *LOOP),
        "graph: the loop lif -> lif has delay 0 all the way round "
        "(give one of its edges a delay of 1 step or none)",
    ),
    (
        plus(net(back=Scale(np.ones(3))), Edge("fc", "back"), Edge("back", "fc")),
        "graph: the loop back -> fc -> back passes through no neuron "
        "(put a neuron into it or remove an edge)",
    ),
    (
        net(**{"in": Input(())}),
        "in: its shape is [], which has no axes "
        "(write the shape of one step of one sample, such as [12])",
    ),
    (
        alone(SumPool2d((2, 2), (0, 2), (0, 0)), (1, 4, 4), (1, 2, 2)),
        "n: stride [0, 2] is below 1",
    ),
    (
        alone(conv(padding="same", stride=(2, 1)), (1, 4, 4), (2, 2, 4)),
        "n: padding 'same' needs stride 1, not [2, 1]",
    ),
    (
        alone(conv(padding="full"), (1, 4, 4), (2, 4, 4)),
        "n: padding 'full' is neither 'same' nor 'valid' nor a number",
    ),
    (
        alone(conv(groups=3), (3, 4, 4), (2, 4, 4)),
        "n: groups 3 does not divide its 2 output channels",
    ),
    (
        alone(conv(bias=np.zeros(3)), (1, 4, 4), (2, 4, 4)),
        "n: bias [3] does not match weight [2, 1, 1, 1]",
    ),
    (alone(Linear(np.ones(3)), (3,), (3,)), "n: weight [3] needs at least two axes, [out, in]"),
    (
        alone(Flatten((2, 3), 1, 0), (2, 3), (6,)),
        "n: start_dim 1 comes after end_dim 0",
    ),
]


@pytest.mark.parametrize(("graph", "message"), CASES)
def test_a_breach_is_named(graph: Graph, message: str) -> None:
    assert message in [str(problem) for problem in problems(graph)]


@pytest.mark.parametrize(("graph", "message"), [c for c in CASES if "input nodes" not in c[1]])
def test_a_breach_is_not_reported_twice(graph: Graph, message: str) -> None:
    expected = 2 if message.startswith(("elephant", "in: its shape")) else 1
    assert len(problems(graph)) <= expected


def test_a_sound_graph_has_no_problems() -> None:
    check(net())
    check(net().with_(dt=0.001))


def test_all_problems_are_raised_at_once() -> None:
    graph = plus(net(lif=lif(tau=np.zeros(3), v_threshold=np.zeros(3))), Edge("lif", "nowhere"))
    with pytest.raises(ModelError) as error:
        check(graph)
    assert str(error.value) == (
        "lif -> nowhere: there is no node 'nowhere' (there are: fc, in, lif, out)\n"
        "lif: tau[0] is 0 (3 of 3 are wrong) (seconds, above 0)\n"
        "lif: v_threshold[0] is 0 (3 of 3 are wrong) (above 0)"
    )


def test_a_nested_graph_is_checked_under_its_name() -> None:
    inner = net(lif=lif(tau=np.full(3, 0.0005)))
    graph = net(fc=inner).with_(dt=0.001)
    assert [str(p) for p in problems(graph)] == [
        "fc: lif: tau[0] is 0.0005 (3 of 3 are wrong) "
        "(dt is 0.001 s: choose a smaller dt or the exponential integrator)"
    ]


def test_the_exponential_integrator_takes_any_time_step() -> None:
    check(net().with_(dt=0.02, integrator="exponential"))


@pytest.mark.parametrize("delays", [(None, None), (1, 0), (None, 2)])
def test_a_recurrent_loop_is_legal(delays: tuple[int | None, int | None]) -> None:
    loop = Edge("lif", "back", delays[0]), Edge("back", "lif", delays[1])
    check(plus(net(back=Linear(np.eye(3))), *loop))


def test_a_delay_node_breaks_a_loop() -> None:
    loop = Edge("lif", "back", 0), Edge("back", "lif", 0)
    check(plus(net(back=Delay(np.full(3, 0.001))), *loop))
    assert problems(plus(net(back=Delay(np.zeros(3))), *loop))


def test_every_rule_is_a_sentence() -> None:
    for rule in RULES:
        sentence = (rule.__doc__ or "").strip()
        assert sentence.endswith(".") and "\n" not in sentence, rule


FAULTS: dict[str, Any] = {
    "tau": np.zeros((2, 2)),
    "weight": np.ones(3),
    "bias": np.ones((1, 1, 1)),
    "shape": (),
    "v_threshold": np.array(np.nan),
    "scale": np.ones((7, 7)),
    "stride": 0,
    "padding": -1,
    "kernel_size": (0, 9),
    "start_dim": 9,
    "input_shape": (),
    "delay": np.full((1, 9), np.nan),
    "groups": 0,
}


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(with_metadata=False), data=st.data())
def test_faulty_graphs_never_crash_the_rules(graph: Graph, data: st.DataObject) -> None:
    nodes = dict(graph.nodes)
    name = data.draw(st.sampled_from(sorted(nodes)))
    keys = [key for key in FAULTS if key in nodes[name].__dataclass_fields__]
    if keys:
        key = data.draw(st.sampled_from(keys))
        nodes[name] = replace(nodes[name], **{key: FAULTS[key]})  # type: ignore[arg-type]
    else:
        del nodes[name]
    assert all(problem.where and problem.what for problem in problems(graph.with_(nodes=nodes)))
