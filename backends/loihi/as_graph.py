"""A network in chip units as a `Graph`: the same equations in real numbers, for other targets.

What truncation, wrapping and saturation do is not in it; state units are the graph's volts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Cuba,
    SigmaDelta,
)
from snnstack.backends.loihi.registers import DECAY_ONE, WEIGHT_SHIFT
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.given import conv_size
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.matrix import matrix
from snnstack.ir.nodes import (
    Array,
    Conv2d,
    CubaLI,
    CubaLIF,
    Flatten,
    Input,
    Leaf,
    Linear,
    Output,
    Shape,
    SumPool2d,
)
from snnstack.ir.step import Conv, Pool

DT = 1e-3
"""Seconds; a chip-unit network counts steps only."""
NEVER = 2.0**40
"""Time constant, in steps, of a state that does not decay."""


def as_graph(network: ChipNetwork, name: str = "network", dt: float = DT) -> Graph:
    """Nodes are called as the populations; a connection k into p is called "p.wk".

    A feed-forward connection acts in the step of the spike (plus its delay), one that leads to
    its own or an earlier population in the next. ModelError names every population that the
    graph has no word for: sigma-delta neurons, input with values.
    """
    raise_if_any(ModelError, _problems(network))
    order = {network.input.name: -1} | {p.name: k for k, p in enumerate(network.populations)}
    nodes: dict[str, Leaf | Graph] = {network.input.name: Input(network.input.shape, "binary")}
    edges: list[Edge] = []
    for p in network.populations:
        assert isinstance(p, Cuba)
        nodes[p.name] = _neuron(p, dt)
        for k, c in enumerate(network.into(p.name)):
            late = c.delay + (order[c.source] >= order[p.name])
            chain = list(_chain(f"{p.name}.w{k}", c, _shape(network, c.source), p))
            nodes |= dict(chain)
            names = [c.source, *(n for n, _ in chain), p.name]
            steps = [0] * (len(names) - 2) + [late]
            edges += [Edge(a, b, d) for a, b, d in zip(names, names[1:], steps, strict=False)]
    for number, output in enumerate(network.outputs):
        end = "output" if len(network.outputs) == 1 else f"output{number}"
        nodes[end] = Output(network.population(output).shape)
        edges.append(Edge(output, end))
    said = {"reset": "file", "compare": "file"}
    metadata = {"name": name}
    return Graph(nodes, tuple(edges), dt, "euler", settings=said, metadata=metadata)


def _problems(network: ChipNetwork) -> Iterator[Problem]:
    hint = "compile it for a board with Loihi 2"
    if network.input.graded:
        yield Problem(network.input.name, "its events carry values, which a graph has not", hint)
    for p in network.populations:
        if not isinstance(p, Cuba):
            kind = "sigma-delta" if isinstance(p, SigmaDelta) else "programmed"
            yield Problem(p.name, f"{kind} neurons have no place in a graph", hint)
        elif p.v_init is not None and np.any(p.v_init):
            yield Problem(p.name, "initial membranes have no place in a graph", hint)
        elif p.reset_interval:
            yield Problem(p.name, "states cleared at intervals have no place in a graph", hint)
        for c in network.into(p.name):
            if len(p.shape) > 1 and not _is_plain(c, _seen(network, c), p.shape):
                what = f"a graph has no synapses like those from {c.source}: cut or flattened maps"
                yield Problem(p.name, what, hint)


def _shape(network: ChipNetwork, name: str) -> Shape:
    port = network.input
    return port.shape if name == port.name else network.population(name).shape


def _seen(network: ChipNetwork, c: Connection) -> Shape:
    """What the synapses of `c` see of its source."""
    return _shape(network, c.source) if c.pool is None else c.pool.out_shape


def _neuron(p: Cuba, dt: float) -> CubaLI | CubaLIF:
    """Euler's step with these constants is the chip's: see `docs/numerics.md`."""

    def shaped(values: Any) -> Array:
        return np.asarray(values, dtype=np.float64).reshape(p.shape)

    tau_syn, tau_mem = (
        np.where(decay == 0, NEVER, DECAY_ONE / np.maximum(decay, 1))
        for decay in (p.i_decay, p.v_decay)
    )
    common: dict[str, Any] = {
        "tau_syn": shaped(tau_syn * dt),
        "tau_mem": shaped(tau_mem * dt),
        "r": shaped(tau_mem),
        "v_leak": shaped(p.bias * tau_mem),
        "w_in": shaped(tau_syn),
    }
    if p.threshold is None:
        return CubaLI(**common)
    return CubaLIF(
        **common,
        v_reset=shaped(np.zeros(p.n)),
        v_threshold=shaped(p.threshold),
        reset="zero" if p.reset == "zero" else "subtract",
        refractory=(p.refractory - 1) * dt,
    )


def _chain(
    name: str, c: Connection, shape: Shape, target: ChipPopulation
) -> Iterator[tuple[str, Leaf]]:
    """The nodes of a connection, from source to target."""
    if isinstance(c.pool, Pool):
        yield f"{name}.pool", SumPool2d(c.pool.kernel, c.pool.stride, c.pool.padding)
        shape = c.pool.out_shape
    conv = c.synapses
    if isinstance(conv, Conv) and _is_plain(c, shape, target.shape):
        weight = conv.weight.astype(np.float64) * (1 << WEIGHT_SHIFT)
        none = np.zeros(len(weight))
        yield (
            name,
            Conv2d(None, weight, conv.stride, conv.padding, conv.dilation, conv.groups, none),
        )
        return
    if len(shape) > 1:
        yield f"{name}.flat", Flatten(None, 0, -1)
    rows = matrix(conv, target.n).toarray().astype(np.float64) * (1 << WEIGHT_SHIFT)
    yield name, Linear(rows)


def _is_plain(c: Connection, shape: Shape, target: Shape) -> bool:
    """Whether it is a convolution between these shapes, with the usual size of its result."""
    conv = c.synapses
    if not isinstance(conv, Conv) or (conv.in_shape, conv.out_shape) != (shape, target):
        return False
    geometry = conv.stride, conv.padding, conv.dilation
    usual = conv_size((shape[1], shape[2]), conv.weight.shape[2:], geometry)
    return tuple(conv.out_shape[1:]) == usual
