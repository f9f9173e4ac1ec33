"""From the recognised neurons and layers of a step to a `Graph`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_neurons import HINT, Found, Neurons
from snnstack.frontends.onnx_shapes import as_node, channels, folding, image, shapes, space
from snnstack.frontends.onnx_terms import ONE, Atom, Terms, single
from snnstack.frontends.onnx_values import Walk
from snnstack.frontends.torch_layers import LARGEST, dense, folded
from snnstack.frontends.torch_nodes import tidy, unrolled
from snnstack.frontends.torch_time import per_step
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    Affine,
    Array,
    EventKind,
    Flatten,
    Input,
    Leaf,
    Linear,
    Output,
    Scale,
    Shape,
)
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import Conv, size

End = tuple[str, int, Shape]
"""A node of the graph, the steps since it sent, and its shape."""


@dataclass
class StepBuilder:
    """Nodes and edges made so far; `known`: {key of what is sent: where it is}."""

    walk: Walk
    dt: float
    nodes: dict[str, Leaf] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    known: dict[str, End] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    port: str = ""

    def graph(self, first: str, events: EventKind, found: Found, results: tuple[str, ...]) -> Graph:
        """The network whose input is `first` and whose results are the outputs `results`."""
        shape = self.walk.of(first).shape[1:]
        self.port = self._free(_plain(first))
        self.nodes[self.port] = Input(shape, events)
        self._know(self.walk.of(first), (self.port, 0, shape))
        made = shapes(self.walk, found)
        for neurons in found.neurons:
            self._add_neurons(neurons, made[neurons.state])
        self._remember(found)
        for neurons in found.neurons:
            self._feed(neurons)
        for k, result in enumerate(results):
            name = self._free("output" if len(results) == 1 else f"output{k}")
            source, ago, shape = self._result(result)
            self.nodes[name] = Output(shape)
            self.edges[Edge(source, name, ago)] = None
        return Graph(self.nodes, tidy(tuple(self.edges)), dt=self.dt, integrator="euler")

    def _free(self, name: str) -> str:
        unique, k = name, 2
        while unique in self.nodes:
            unique, k = f"{name}_{k}", k + 1
        return unique

    def _know(self, terms: Terms, end: End) -> None:
        self.known.setdefault(terms.key(), end)

    # Populations

    def _add_neurons(self, n: Neurons, shape: Shape) -> None:
        name = self._free(_name(self.walk, n))
        said: dict[str, Any] = {}
        if n.firing is not None:
            f = n.firing
            said = {"v_threshold": self._full(f.threshold, n, shape), "reset": f.reset}
            said |= {"v_reset": self._full(f.v_reset, n, shape), "reset_time": f.time}
            said |= {"compare": f.compare, "refractory": f.refractory * self.dt}
        if n.firing is None:
            said["fires"] = False
        current = None if n.beta is None else n.beta.reshape(shape)
        alpha, leak = n.alpha.reshape(shape), n.leak
        if not self._takes_bias(n, shape):
            leak = leak + n.drive.factor(ONE)
        if np.any(leak) and np.any(alpha == 1.0):
            raise fail(ModelError, name, "adds a constant to a membrane that does not leak", HINT)
        rest = np.where(
            alpha == 1.0, 0.0, leak.reshape(shape) / np.where(alpha == 1.0, 1, 1 - alpha)
        )
        gain = n.gain.reshape(shape)
        self.nodes[name] = per_step(
            shape, self.dt, decay=alpha, gain=gain, current=current, leak=rest, **said
        )
        self.names[n.state] = name
        self._know(n.sent(), (name, 0, shape))

    def _full(self, values: Array, n: Neurons, shape: Shape) -> Array:
        return np.broadcast_to(values, n.shape).reshape(shape)

    def _takes_bias(self, n: Neurons, shape: Shape) -> bool:
        """Whether the constant input can be added in front of the membrane."""
        return len(shape) == 1 or n.beta is not None or folding(self.walk, n.drive) is not None

    def _remember(self, found: Found) -> None:
        """States that hold what was sent before: the source, one step later."""
        left = dict(found.past)
        while left:
            ready = [s for s, terms in left.items() if self._where(terms) is not None]
            if not ready:
                state = next(iter(left))
                raise fail(ModelError, state, "holds something that no neuron sends", HINT)
            for state in ready:
                where = self._where(left.pop(state))
                assert where is not None
                name, ago, shape = where
                self._know(self.walk.of(state), (name, ago + 1, shape))

    def _where(self, terms: Terms) -> End | None:
        """Where exactly this is sent; flattened or not."""
        atom = terms.only()
        layer = None if atom is None else self.walk.layers.get(atom)
        if layer is not None and isinstance(layer.node, Flatten) and layer.node.into is None:
            return self._where(layer.source)
        return self.known.get(terms.key())

    def _result(self, output: str) -> End:
        found = self._where(self.walk.of(output))
        if found is None:
            what = "is neither spikes nor the membrane of neurons that do not fire"
            raise fail(ModelError, output, what, "return the spikes of the last neurons")
        return found

    # Layers

    def _feed(self, n: Neurons) -> None:
        name = self.names[n.state]
        shape = self.nodes[name].r.shape  # type: ignore[union-attr]
        drive, bias = n.drive, n.drive.factor(ONE)
        if np.any(bias) and folding(self.walk, drive) is None:
            drive = Terms(drive.shape, {p: f for p, f in drive.parts.items() if p != ONE})
            if self._takes_bias(n, shape):
                self._constant(name, bias.ravel(), shape)
        for end in self._ends(drive, name):
            source, ago, _ = self._seen_as(end, shape)
            self.edges[Edge(source, name, ago)] = None

    def _constant(self, name: str, bias: Array, shape: Shape) -> None:
        """A constant input: a layer of no weights that reads the input."""
        port = self.nodes[self.port]
        assert isinstance(port, Input)
        if len(shape) != 1 or len(bias) * size(port.shape) > LARGEST:
            raise fail(ModelError, name, "gets a constant that differs within a channel", HINT)
        source, _, _ = self._seen_as((self.port, 0, port.shape), (size(port.shape),))
        layer = Affine(np.zeros((len(bias), size(port.shape))), bias)
        made = self._node(f"{name}.bias", layer, [(source, 0)])
        self.edges[Edge(made, name, 0)] = None

    def _ends(self, terms: Terms, reader: str) -> list[End]:
        """Nodes whose sum is `terms`."""
        where = self._where(terms)
        if where is not None:
            return [where]
        folds, ends = folding(self.walk, terms) if np.any(terms.factor(ONE)) else None, []
        if ONE in terms.parts and folds is None:
            raise fail(ModelError, reader, "reads a constant plus something that is no layer", HINT)
        for product, factor in terms.parts.items():
            if product != ONE:
                shift = terms.factor(ONE) if folds in product else np.zeros(terms.shape)
                whole = np.array(np.broadcast_to(factor, terms.shape))
                ends.append(self._term(product, whole, shift, reader))
        return ends

    def _term(self, product: Any, factor: Array, shift: Array, reader: str) -> End:
        atom = next(iter(product)) if len(product) == 1 else None
        sent = None if atom is None else self.known.get(single(atom, factor.shape).key())
        if sent is not None:
            return self._scaled(sent, factor)
        if atom is None or atom.kind != "layer":
            raise ModelError(self._no_source(product, reader))
        return self._layer(atom, factor, shift)

    def _no_source(self, product: Any, reader: str) -> Any:
        from snnstack.errors import Problem

        for atom in product:
            if atom.kind == "unknown":
                what = (
                    f"{self.walk.unknown[atom]} is no operation of a neuron or layer that is read"
                )
                return Problem(atom.name, what, HINT)
            if atom.kind == "fires":
                node = self.walk.firings[atom].node
                return Problem(node, "is a comparison of no neuron that is known", HINT)
        return Problem(reader, f"reads {', '.join(a.name for a in product)}, no spikes", HINT)

    def _scaled(self, end: End, factor: Array) -> End:
        if np.all(factor == 1.0):
            return end
        name, ago, shape = end
        made = self._node(f"{name}.scale", Scale(factor.reshape(shape)), [(name, ago)])
        return made, 0, shape

    def _layer(self, atom: Atom, factor: Array, shift: Array) -> End:
        """A layer, with the factor and the constant behind it taken in."""
        layer = self.walk.layers[atom]
        ends = self._ends(layer.source, layer.name)
        node: Any = layer.node
        if isinstance(node, Conv):
            ends, node = self._own(node, ends, layer.name)
            wanted = ends[0][2]
        else:
            wanted = layer.source.shape[1:]
        flattens = isinstance(node, Flatten) and node.into is None
        if flattens and all(len(e[2]) == 1 for e in ends) and len(ends) == 1:
            return self._scaled(ends[0], factor)
        if isinstance(layer.node, Conv):
            factor, shift = (v.reshape(1, *layer.node.out_shape) for v in (factor, shift))
        scale, moved = channels(factor), channels(shift)
        if isinstance(node, (Linear, Affine)) and len(wanted) == 1:
            scale, moved = factor.ravel(), shift.ravel()
        if scale is not None and moved is not None and not (np.all(scale == 1) and not moved.any()):
            made = folded(node, scale, moved)
            if made is not None:
                node, factor = made, np.ones(factor.shape)
        if isinstance(node, Affine) and not node.bias.any():
            node = dense(node.weight, None)
        seen = [self._seen_as(end, wanted) for end in ends]
        name = self._node(_plain(layer.name), node, [(e[0], e[1]) for e in seen])
        shape = output_shape(node, wanted)
        return self._scaled((name, 0, shape), factor)

    def _own(self, conv: Conv, ends: list[End], name: str) -> tuple[list[End], Leaf]:
        """One of our own convolutions in the shapes that the graph has."""
        shape = ends[0][2]
        node = as_node(conv, shape)
        if node is not None and output_shape(node, shape)[1:] == space(conv.out_shape, shape):
            return ends, node
        flat = unrolled(image(conv), conv.in_shape) if len(shape) == 1 else None
        if flat is None or output_shape(image(conv), conv.in_shape) != conv.out_shape:
            what = f"is a convolution of {list(conv.in_shape)} that gets {list(shape)}"
            raise fail(ModelError, name, what, "give the .nir file that it was exported from")
        return ends, flat

    def _seen_as(self, end: End, shape: Shape) -> End:
        name, ago, found = end
        if found == shape:
            return end
        if size(shape) != size(found):
            what = f"is followed by a reshape from {list(found)} to {list(shape)}"
            raise fail(ModelError, name, what, "the elements stay the same")
        into = None if shape == (size(found),) else shape
        made = Flatten(found, 0, -1, into=into)
        return self._node(f"{name}.flat", made, [(name, ago)]), 0, shape

    def _node(self, name: str, node: Leaf, sources: list[tuple[str, int]]) -> str:
        unique = self._free(name)
        self.nodes[unique] = node
        for source, ago in sources:
            self.edges[Edge(source, unique, ago)] = None
        return unique


def _plain(name: str) -> str:
    """As a name of a node."""
    words = [w for w in name.split("/") if w]
    words = words[:-1] if len(words) > 1 and name.startswith("/") else words
    return re.sub(r"[^A-Za-z0-9_.]+", "_", ".".join(words)).strip("._") or "node"


def _name(walk: Walk, n: Neurons) -> str:
    """Of the module that an exporter noted, else of the state."""
    if n.state.endswith(".v"):
        return _plain(n.state[:-2])
    node = "" if n.firing is None else walk.firings[n.firing.fires].node
    return _plain(node) if node.startswith("/") and node.count("/") > 1 else _plain(n.state)
