"""From what was recorded over time to a `Graph`: every step must say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends import torch_layers as layers
from snnstack.frontends.torch_begin import beginnings, constants
from snnstack.frontends.torch_input import Axes
from snnstack.frontends.torch_logic import level
from snnstack.frontends.torch_modules import said
from snnstack.frontends.torch_nodes import (
    flattened,
    free,
    inputs,
    is_flat,
    neuron_shape,
    plain,
    spread,
    stacked,
    tidy,
)
from snnstack.frontends.torch_places import Place, Places
from snnstack.frontends.torch_record import Recorder
from snnstack.frontends.torch_spatial import in_windows
from snnstack.frontends.torch_steps import expression_key
from snnstack.frontends.torch_time import per_step
from snnstack.frontends.torch_values import Value
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    EventKind,
    Input,
    Linear,
    Output,
    Scale,
    Shape,
    Threshold,
)
from snnstack.ir.step import size


@dataclass
class Builder:
    """Nodes and edges made so far. `made`: the place of every expression by its key."""

    recorder: Recorder
    axes: Axes
    dt: float
    events: EventKind
    made: dict[Any, Place] = field(default_factory=dict)
    net: Places = field(default_factory=Places)
    waiting: list[str] = field(default_factory=list)
    faulty: set[str] = field(default_factory=set)
    port: str = "input"
    membranes: frozenset[str] = frozenset()

    def graph(self, results: list[Value]) -> Graph:
        """The network that gives `results`, values of one step."""
        taken = set(self.recorder.names.values())
        self.port = free("input", taken)
        self.net.nodes[self.port] = Input(self._input_shape(), self.events)
        places = [self.place(value) for value in results]
        while self.waiting:
            self._inputs_of(self.waiting.pop())
        for k, place in enumerate(places):
            name = free("output" if len(places) == 1 else f"output{k}", taken | set(self.net.nodes))
            self.net.nodes[name] = Output(place.node)
            self.net.join(place, name)
        raise_if_any(ModelError, dict.fromkeys(self.net.problems))
        return Graph(self.net.nodes, tidy(tuple(self.net.edges)), dt=self.dt, integrator="euler")

    def _input_shape(self) -> Shape:
        """As the network first sees it, if it always sees it so; else as the sample has it."""
        found = {v.shape for v in self._uses() if plain(v.data)}
        count = size(self.axes.feature_shape)
        shapes = {shape for shape in found if size(shape) == count}
        shape = shapes.pop() if len(found) == 1 and shapes else self.axes.feature_shape
        return shape or (1,)

    def _uses(self) -> Iterator[Value]:
        for calls in self.recorder.calls.values():
            yield from inputs(calls[-1])

    # Expressions

    def place(self, value: Value) -> Place:
        """Where the value of an expression is found, with all nodes that this needs."""
        key = expression_key(value, self.recorder, self.recorder.reading)
        if key not in self.made:
            self.made[key] = self._placed(value)
        return self.made[key]

    def _placed(self, value: Value) -> Place:
        match value.op:
            case "x":
                return self._from_input(value)
            case "spikes":
                return self._from_neuron(value)
            case "state":
                return self._from_membrane(value)
            case "zero":
                return Place((), value.shape, value.shape)
            case "reshape":
                given = self.place(value.args[0])
                return Place(given.sources, given.node, value.shape)
            case "gather":
                return self._gathered(value)
            case "sum":
                return self.net.summed([self.place(v) for v in value.args], value.shape)
            case "affine":
                return self._affine(value)
            case "max":
                return self._maximum(value)
            case "gate":
                return self._gate(value)
            case "at":
                return self._ago(value)
            case "mix":
                return self._mixed(value)
            case "node" | "space":
                return self._layered(value, value.data)
        return self._impossible(value)

    def _impossible(self, value: Value) -> Place:
        where, what, hint = value.key
        self.net.problems.append(Problem(where, what, hint))
        return Place((), value.shape or (1,), value.shape or (1,))

    def _from_input(self, value: Value) -> Place:
        node = self.net.nodes[self.port]
        assert isinstance(node, Input)
        ago = 0 if value.key in (None, "all") else self.recorder.reading - value.key
        whole = Place(((self.port, ago),), node.shape, node.shape)
        if plain(value.data) and size(value.shape) == size(node.shape):
            return Place(whole.sources, node.shape, value.shape)
        return self.net.rearranged("pick", [whole], value.data, value.shape)

    def _from_neuron(self, value: Value) -> Place:
        name, call = value.key
        place = self._population(name, value.shape)
        delay = self._delay(name, call)
        module, kind = self.recorder.modules[name]
        factor = kind.factor(module)
        sources = ((place.sources[0][0], delay),)
        if factor is None:
            return Place(sources, place.node, place.shape)
        full = np.broadcast_to(factor, place.shape).reshape(place.node)
        return self.net.node(f"{name}_factor", Scale(full.copy()), Place(sources, place.node, ()))

    def _from_membrane(self, value: Value) -> Place:
        name, call, variable = value.key
        module, _ = self.recorder.modules[name]
        if variable == "mem" and name in self.membranes and self._delay(name, call) == 0:
            return self._population(name, value.shape)
        hint = "send its spikes; only the last layer's membrane can be read"
        self.net.problems.append(Problem(said(name, module), f"sends its state '{variable}'", hint))
        return Place((), value.shape, value.shape)

    def _delay(self, name: str, call: int) -> int:
        if name in self.recorder.sequences:
            return 0
        return self.recorder.reading - call

    def _population(self, name: str, shape: Shape) -> Place:
        if name not in self.net.nodes:
            self._add_neuron(name, shape)
        return Place(((name, 0),), neuron_shape(self.net.nodes[name]), shape)

    def _add_neuron(self, name: str, shape: Shape) -> None:
        module, kind = self.recorder.modules[name]
        found = [Problem(said(name, module), *text) for text in kind.problems(module)]
        self.net.problems += found
        if found:
            self.faulty.add(name)
        node = per_step(shape, self.dt, decay=0.0)  # so that what lies before it is looked at too
        try:
            if not found:
                node = kind.neuron(module, shape, self.dt, name not in self.membranes)
        except ValueError as error:
            what = f"has parameters that do not fit its shape {list(shape)}: {error}"
            self.net.problems.append(
                Problem(said(name, module), what, "one value, or one per neuron")
            )
        flat = len(shape) > 1 and is_flat(name, self.recorder.calls, frozenset())
        self.net.nodes[name] = flattened(node) if flat else node
        self.waiting.append(name)

    def _inputs_of(self, name: str) -> None:
        """Join a neuron with what its last call was given, and with itself."""
        module, kind = self.recorder.modules[name]
        place = self.place(self.recorder.calls[name][-1])
        if name in self.faulty:  # its shapes, too, may be of another kind
            return
        shape = neuron_shape(self.net.nodes[name])
        for suffix, node in kind.recurrent(module) if name not in self.membranes else ():
            self.net.nodes[f"{name}.{suffix}"] = spread(node, shape)
            self.net.edges[Edge(name, f"{name}.{suffix}", 1)] = None
            self.net.edges[Edge(f"{name}.{suffix}", name, 0)] = None
        self.net.join(self.net.seen_as(place, shape), name, 1 if kind.late else 0)
        self._begin(name, shape)

    def _begin(self, name: str, shape: Shape) -> None:
        """Take away from the first steps of a neuron the biases that are not there yet."""
        found = beginnings(constants(self.recorder, name) or [np.zeros(1)])
        if found and len(shape) > 1:
            what = "is given the bias of a layer only from a later step on"
            hint = "bias=False for layers whose output waits for a later step, or use it at once"
            self.net.problems.append(
                Problem(said(name, self.recorder.modules[name][0]), what, hint)
            )
            return
        for delay, node in found:
            late = self.net.node(
                f"{name}_begin", node, Place(((self._always(), delay),), (1,), (1,))
            )
            self.net.join(late, name)

    def _always(self) -> str:
        """A neuron that fires in every step."""
        if "always" not in self.made:
            port = self.net.nodes[self.port]
            assert isinstance(port, Input)
            given = self.net.flat(Place(((self.port, 0),), port.shape, port.shape))
            drive = layers.dense(np.zeros((1, size(port.shape))), np.ones(1))
            driven = self.net.node("always_drive", drive, given)
            self.made["always"] = self.net.node("always", Threshold(np.array([0.5])), driven)
        return self.made["always"].sources[0][0]

    def _base(self, value: Value) -> str:
        key = value.key[0]
        return str(key)

    def _gathered(self, value: Value) -> Place:
        places = [self.place(v) for v in value.args]
        return self.net.rearranged("pick", places, value.data, value.shape)

    def _mixed(self, value: Value) -> Place:
        made = self.net.node(
            self._base(value), Linear(value.data), self.net.flat(self.place(value.args[0]))
        )
        return Place(made.sources, made.node, value.shape)

    def _affine(self, value: Value) -> Place:
        """Batch normalisation: folded into the layer before it where there is one."""
        scale, shift = value.data
        before = value.args[0]
        if before.op == "node":
            made = before.data(before.args[0].shape)
            last = layers.folded(made[-1][1], scale, shift)
            if last is not None:
                nodes = [*made[:-1], (made[-1][0], last)]
                return self._layered(before, lambda _: nodes)
        given = self.place(before)
        nodes = layers.channel_affine(scale, shift)(given.shape)
        return self.net.chain(self._base(value), given, value, nodes)

    def _layered(self, value: Value, make: Any) -> Place:
        """A layer. A convolution of maps laid on top of each other is one of each, added up."""
        given, base = value.args[0], self._base(value)
        parts = stacked(given) if given.op == "gather" else None
        nodes = make(given.shape) if parts is not None else []
        split = layers.split(nodes[0][1], parts) if parts is not None else None
        if parts is None or split is None or len(nodes) > 1:
            return self.net.chain(base, self.place(given), replace(value, data=make))
        ends = [
            self.net.chain(base, self.place(part), value, [("", node)])
            for part, node in zip(given.args, split, strict=True)
        ]
        return self.net.summed(ends, value.shape)

    def _ago(self, value: Value) -> Place:
        """Something a few steps later."""
        given, ago = self.place(value.args[0]), self.recorder.reading - value.key
        sources = tuple((name, delay + ago) for name, delay in given.sources)
        return Place(sources, given.node, given.shape)

    def _gate(self, value: Value) -> Place:
        """A sum of spikes and a threshold."""
        signs, threshold = level(value)
        ends = [self.net.signed(self.place(part), sign) for part, sign in signs]
        total = self.net.summed(ends, value.shape)
        return self.net.fired(self._base(value), total, threshold)

    def _maximum(self, value: Value) -> Place:
        given = self.place(value.args[0])
        nodes = in_windows(value.data, given.shape, value.shape)
        pooled = self.net.chain(f"{self._base(value)}_sum", given, value, nodes)
        pooled = Place(pooled.sources, pooled.node, value.shape)
        return self.net.fired(self._base(value), pooled, 0.5)
