"""Nodes and edges of a graph under construction, and where values are found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack.errors import Problem
from snnstack.frontends import torch_layers as layers
from snnstack.frontends.torch_nodes import unrolled, whole_channels
from snnstack.frontends.torch_values import Value
from snnstack.ir.graph import Edge
from snnstack.ir.nodes import Flatten, Leaf, Linear, Scale, Shape, Threshold
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import size


@dataclass(frozen=True)
class Place:
    """Nodes (with delays in steps) whose sum something is; `node` is their shape in the graph.

    `shape` is what the framework sees; both have the same elements in the same order.
    """

    sources: tuple[tuple[str, int], ...]
    node: Shape
    shape: Shape


@dataclass
class Places:
    """What was placed so far, and every fault found on the way."""

    nodes: dict[str, Leaf] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def join(self, place: Place, name: str, more: int = 0) -> None:
        """Edges from every source of `place` to the node `name`, `more` steps later."""
        for source, delay in place.sources:
            self.edges[Edge(source, name, delay + more)] = None

    def node(self, base: str, node: Leaf, given: Place) -> Place:
        """A new node that reads `given`."""
        name, number = base, 1
        while name in self.nodes:
            number += 1
            name = f"{base}_{number}"
        self.nodes[name] = node
        self.join(given, name)
        shape = output_shape(node, given.node)
        return Place(((name, 0),), shape, shape)

    def seen_as(self, place: Place, shape: Shape) -> Place:
        """`place` with another shape in the graph, of as many elements in the same order."""
        if place.node == shape:
            return place
        if shape == (size(place.node),):
            return self.node("flatten", Flatten(place.node, 0, -1), place)
        if not place.sources or size(place.node) != size(shape):
            return Place(place.sources, shape, shape)
        return self.node("reshape", Flatten(place.node, 0, -1, into=shape), place)

    def flat(self, place: Place) -> Place:
        """`place` with one axis."""
        flat = self.seen_as(place, (size(place.node),))
        return Place(flat.sources, flat.node, flat.node)

    def chain(self, base: str, given: Place, value: Value, nodes: Any = None) -> Place:
        """The nodes of a layer, one after the other."""
        shape = given.shape
        try:
            made = value.data(shape) if nodes is None else nodes
        except ValueError as error:
            self.problems.append(Problem(base, str(error), "apply it per channel"))
            return given
        place = given
        for suffix, node in made:
            node, place = self._fitting(node, place, len(made) == 1)
            place = self.node(base + suffix, node, place)
        if size(place.node) == size(value.shape):
            return Place(place.sources, place.node, value.shape)
        return place

    def _fitting(self, node: Leaf, place: Place, alone: bool) -> tuple[Leaf, Place]:
        """The node and its input brought to one shape, where the framework's was a reshape.

        `alone`: it is all of its layer.
        """
        if place.node == place.shape:
            return node, place
        if isinstance(node, Scale):
            full = np.broadcast_to(node.scale, place.shape).reshape(place.node)
            return Scale(full.copy()), place
        if hasattr(node, "weight") and not hasattr(node, "stride") and len(place.shape) > 1:
            rows = size(place.shape[:-1])
            weight = np.kron(np.eye(rows), node.weight)
            bias = getattr(node, "bias", None)
            full_bias = None if bias is None else np.tile(bias, rows)
            return layers.dense(weight, full_bias), self.flat(place)
        flat = unrolled(node, place.shape) if len(place.node) == 1 and alone else None
        if flat is not None:
            return flat, place
        seen = self.seen_as(place, place.shape)
        return node, Place(seen.sources, seen.node, seen.node)

    def rearranged(self, base: str, places: list[Place], order: Any, shape: Shape) -> Place:
        """Elements of several places in a new order."""
        maps = [place.node for place in places]
        if len(shape) in (2, 3) and all(m[1:] == shape[1:] and len(m) > 1 for m in maps):
            picked = whole_channels(np.asarray(order), maps, shape)
            if picked is not None:
                pairs = zip(places, picked, strict=True)
                ends = [self.node(base, layers.channels(w, p.node), p) for p, w in pairs]
                return self.summed(ends, shape)
        start, parts = 0, []
        for place in places:
            count = size(place.node)
            try:
                weight = layers.selection(np.asarray(order), count, start)
            except ValueError as error:
                hint = "keep the elements in their order"
                self.problems.append(Problem(place.sources[0][0], str(error), hint))
                return place
            parts.append(self.node(base, Linear(weight), self.flat(place)))
            start += count
        return self.summed(parts, shape)

    def signed(self, place: Place, sign: float) -> Place:
        """`place`, or its negative."""
        if sign > 0:
            return place
        made = self.node("negative", Scale(np.full(place.node, sign)), place)
        return Place(made.sources, made.node, place.shape)

    def fired(self, base: str, total: Place, threshold: float) -> Place:
        """1 where `total` is above a threshold."""
        made = self.node(base, Threshold(np.full(total.node, threshold)), total)
        return Place(made.sources, made.node, total.shape)

    def summed(self, places: list[Place], shape: Shape) -> Place:
        """The sum of several places; one that stands there n times is scaled by n."""
        known = [p for p in places if p.sources]
        if not known:
            return Place((), shape, shape)
        if len({p.node for p in known}) > 1:
            known = [self.flat(p) for p in known]
        listed = [source for p in known for source in p.sources]
        for source in {s for s in listed if listed.count(s) > 1}:
            count = listed.count(source)
            once = Place((source,), known[0].node, known[0].node)
            double = self.node("twice", Scale(np.full(known[0].node, float(count))), once)
            listed = [s for s in listed if s != source] + list(double.sources)
        return Place(tuple(listed), known[0].node, shape)
