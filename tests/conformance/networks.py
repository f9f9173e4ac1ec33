"""Networks that every target is tried on, and random ones: all layers, neurons and loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snnstack.board import Board
from snnstack.ir.graph import Edge, Graph, same
from snnstack.ir.nodes import (
    IF,
    LI,
    LIF,
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaLI,
    CubaLIF,
    Delay,
    Flatten,
    I,
    Input,
    Leaf,
    Linear,
    Output,
    Scale,
    Shape,
    SumPool2d,
    Threshold,
)
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import StepGraph, StepInput
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.quant.network import QuantizedNetwork
from snnstack.trace import Spikes
from tests.strategies import DT, Draw, Maker

FIRING = (IF, LIF, CubaLIF, Threshold)
SILENT = (I, LI, CubaLI)


def chain(
    *nodes: Leaf, shape: Shape, events: str = "count", **back: tuple[str, str, Leaf]
) -> Graph:
    """Input "x", the nodes "n0", "n1", ..., Output "y"; `back`: name=(source, target, node)."""
    named: dict[str, Leaf] = {"x": Input(shape, events)}  # type: ignore[arg-type]
    for k, node in enumerate(nodes):
        shape = output_shape(node, shape)
        named[f"n{k}"] = node
    named["y"] = Output(shape)
    names = list(named)
    edges = [Edge(a, b) for a, b in pairwise(names)]
    for name, (source, target, node) in back.items():
        named[name] = node
        edges += [Edge(source, name), Edge(name, target, 1)]
    return Graph(named, tuple(edges), dt=DT, integrator="euler", metadata={"name": "example"})


def _neuron(kind: type[Any], shape: Shape, threshold: float = 1.0, **said: Any) -> Any:
    values = {
        "r": 1.0, "tau": 8 * DT, "tau_mem": 8 * DT, "tau_syn": 4 * DT, "v_leak": 0.02,
        "v_reset": -0.1, "v_threshold": threshold, "threshold": threshold, "w_in": 2.0,
    }  # fmt: skip
    if kind in (I, IF):
        values["r"] = 1 / DT
    if kind in (LIF, LI):
        values["r"] = 8.0
    wanted = {f.name for f in fields(kind)}
    arrays = {k: np.full(shape, v) for k, v in values.items() if k in wanted}
    return kind(**arrays, **said)


def _weight(seed: int, *shape: int, gain: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(0.1, gain, shape).astype(np.float32)


def dense_example() -> Graph:
    """Two dense layers of LIF neurons, reset by subtraction, counts as input."""
    return chain(
        Affine(_weight(1, 14, 9, gain=0.8), _weight(2, 14, gain=0.05)),
        _neuron(LIF, (14,), reset="subtract"),
        Linear(_weight(3, 5, 14, gain=0.8)),
        _neuron(LIF, (5,), compare="ge", refractory=2 * DT),
        shape=(9,),
    )


def conv_example() -> Graph:
    """Convolutions with stride, padding, dilation and groups, pools, a readout of membranes."""
    return chain(
        Conv2d(None, _weight(4, 4, 2, 3, 3, gain=0.5), (1, 1), "same", (1, 1), 1, np.full(4, 0.05)),
        _neuron(IF, (4, 8, 8), reset="subtract"),
        AvgPool2d((2, 2), (2, 2), (0, 0)),
        Conv2d(None, _weight(5, 8, 2, 2, 2), (2, 1), (1, 0), (1, 2), 2, np.zeros(8)),
        _neuron(LIF, (8, 3, 2)),
        SumPool2d((2, 2), (1, 1), (0, 0)),
        Flatten(None, 0, -1),
        Linear(_weight(6, 3, 16)),
        _neuron(LI, (3,)),
        shape=(2, 8, 8),
        events="binary",
    )


def recurrent_example() -> Graph:
    """Current-based neurons, recurrence, feedback, delays of nodes and of single synapses."""
    delays = np.random.default_rng(7).integers(0, 4, (10, 6)).astype(np.int32)
    return chain(
        Delay(np.full(6, 2 * DT)),
        Linear(_weight(8, 10, 6), delays),
        _neuron(CubaLIF, (10,), reset="subtract", compare="ge"),
        Linear(_weight(9, 4, 10)),
        _neuron(CubaLIF, (4,)),
        shape=(6,),
        events="binary",
        rec=("n2", "n2", Linear(_weight(10, 10, 10, gain=0.2))),
        feedback=("n4", "n2", Linear(_weight(11, 10, 4, gain=0.2))),
    )


def sequence_example() -> Graph:
    """A one-dimensional convolution, one-to-one scales and neurons without memory."""
    return chain(
        Conv1d(None, _weight(12, 4, 1, 3), 2, 1, 1, 2, np.zeros(4)),
        _neuron(Threshold, (4, 4), 0.3),
        Scale(np.linspace(0.4, 1.2, 16).reshape(4, 4)),
        _neuron(LIF, (4, 4), 0.9),
        shape=(2, 8),
        events="binary",
    )


EXAMPLES: Mapping[str, Any] = {
    "dense": dense_example,
    "conv": conv_example,
    "recurrent": recurrent_example,
    "sequence": sequence_example,
}


def accepted(graph: Graph, board: Board) -> Graph:
    """`graph` with what the board's target refuses replaced: resets and waits it does not know."""
    if board.target == "spinnaker2":
        nodes = {name: _without_wait(node) for name, node in graph.nodes.items()}
        return replace(graph, nodes=nodes)
    if board.target != "loihi":
        return graph
    nodes = {name: _chip_reset(node, board) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def _without_wait(node: Any) -> Any:
    """SpiNNaker 2's neurons have no refractory period."""
    return replace(node, refractory=0.0) if getattr(node, "refractory", 0) else node


def _chip_reset(node: Any, board: Board) -> Any:
    """Loihi resets to 0, where not by subtraction; generation 1 knows only the former."""
    if not hasattr(node, "reset"):
        return node
    first = board.hardware["generation"] == 1
    reset = "subtract" if node.reset == "subtract" and not first else "zero"
    return replace(node, reset=reset, reset_time="now")


def steps_of(graph: Graph) -> StepGraph:
    """What a target's quantisation starts from."""
    return discretised(load(graph, Options()))


def wide_example(neurons: int) -> Graph:
    """One input element to `neurons` neurons: little weight, much state."""
    return chain(Linear(np.ones((neurons, 1), np.float32)), _neuron(LIF, (neurons,)), shape=(1,))


def events(port: StepInput, seed: int = 0, batch: int = 3, steps: int = 20) -> Spikes:
    """Random spikes for `port`; silent and full steps among them."""
    random = np.random.default_rng(seed)
    most = 1 if port.events == "binary" else 3
    shape = (batch, steps, *port.shape)
    dense = (random.random(shape) < 0.25) * random.integers(1, most + 1, shape)
    dense[:, 3::7], dense[:, 5::9] = 0, most
    return Spikes.from_dense(dense.astype(np.uint8))


def probes_of(network: StepGraph | QuantizedNetwork) -> list[tuple[str, str]]:
    """Every state there is."""
    found = [(p.name, "v") for p in network.populations]
    return found + [(p.name, "i") for p in network.populations if p.beta is not None]


def equal(left: Any, right: Any) -> bool:
    """`snnstack.ir.graph.same`, through tuples and lists as well."""
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return set(left) == set(right) and all(equal(left[key], right[key]) for key in left)
    if hasattr(left, "__dataclass_fields__") and type(left) is type(right):
        return all(equal(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    return same(left, right)


@st.composite
def spiking_graphs(draw: Draw) -> Graph:
    """A chain of layers with skips, feedback and recurrence; only the last may not fire.

    Every layer is an optional reshaping, pool or scale, then synapses, then neurons.
    """
    maker = Maker(draw, delays=True)
    shape: Shape = draw(st.sampled_from([(4,), (2, 7), (2, 6, 5), (4, 4, 4)]))
    nodes: dict[str, Leaf | Graph] = {"x": Input(shape, draw(st.sampled_from(["binary", "count"])))}
    edges: list[Edge] = []
    flat: list[tuple[str, Shape]] = [("x", shape)]
    last, count = "x", draw(st.integers(1, 3))
    for k in range(count):
        for j, node in enumerate(_synapses(maker, shape)):
            name = f"s{k}.{j}"
            nodes[name], shape = node, output_shape(node, shape)
            edges.append(Edge(last, name))
            last = name
        kinds = (*FIRING, *SILENT) if k + 1 == count else FIRING
        nodes[f"n{k}"] = maker.neuron(draw(st.sampled_from(kinds)), shape)
        edges.append(Edge(last, f"n{k}", 0))
        last = f"n{k}"
        flat.append((last, shape))
    for number in range(draw(st.integers(0, 2))):
        extra, joined = _branch(maker, f"b{number}", flat)
        nodes |= extra
        edges += joined
    nodes["y"] = Output(shape)
    edges.append(Edge(last, "y"))
    integrator = draw(st.sampled_from(["euler", "exponential"]))
    return Graph(nodes, tuple(edges), dt=DT, integrator=integrator)


def _synapses(maker: Maker, shape: Shape) -> list[Leaf]:
    """What comes before a layer's neurons."""
    draw, found = maker.draw, []
    if len(shape) == 3 and draw(st.booleans()):
        found.append(maker.stateless(draw(st.sampled_from([SumPool2d, AvgPool2d])), shape))
        shape = output_shape(found[-1], shape)
    if draw(st.integers(0, 3)) == 0:
        found.append(maker.stateless(draw(st.sampled_from([Scale, Delay])), shape))
    conv = {2: Conv1d, 3: Conv2d}.get(len(shape))
    if conv is not None and draw(st.integers(0, 2)):
        return [*found, maker.conv(conv, shape)]
    if len(shape) > 1:
        found.append(Flatten(None, 0, -1))
        shape = output_shape(found[-1], shape)
    if draw(st.integers(0, 4)) == 0:
        return [*found, Scale(maker.array(shape, 0.5, 1.5))]
    return [*found, maker.linear(draw(st.sampled_from([Linear, Affine])), shape[0], 5)]


def _branch(
    maker: Maker, name: str, layers: list[tuple[str, Shape]]
) -> tuple[dict[str, Leaf], list[Edge]]:
    """Synapses from any layer to a flat one: a skip (same step), or feedback one step late."""
    flat = [k for k, (_, shape) in enumerate(layers) if k and len(shape) == 1]
    firing = len(layers) - 1
    if not flat:
        return {}, []
    to = maker.draw(st.sampled_from(flat))
    source = maker.draw(st.integers(0, firing - 1))
    given = int(np.prod(layers[source][1]))
    weight = replace(maker.linear(Linear, given, layers[to][1][0]), delay=None)
    nodes: dict[str, Leaf] = {f"{name}.flat": Flatten(None, 0, -1), f"{name}.w": weight}
    late = 1 if source >= to else maker.draw(st.integers(0, 2))
    edges = [
        Edge(layers[source][0], f"{name}.flat"),
        Edge(f"{name}.flat", f"{name}.w"),
        Edge(f"{name}.w", layers[to][0], late),
    ]
    return nodes, edges
