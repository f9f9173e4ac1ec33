"""Real-valued inputs as counts: what a converter with a few levels would give, one per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, ModelError, fail
from snnstack.frontends.array_like import as_array
from snnstack.frontends.data import read_arrays
from snnstack.frontends.in_memory import given
from snnstack.frontends.torch_layers import LARGEST, channel_affine
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Array, Leaf, Scale
from snnstack.ir.step import size

KEY = "input_levels"
MOST = 255
"""Counts an input element can carry per step."""
NAME = "input_levels"


@dataclass(frozen=True)
class Levels:
    """The value `low + step * c` is the count c, 0..most."""

    low: float
    step: float
    most: int

    def counts(self, x: Any) -> Array:
        """The nearest count of every value; values outside the range are limited to it."""
        nearest = np.rint((np.asarray(x, dtype=np.float64) - self.low) / self.step)
        return np.clip(nearest, 0, self.most).astype(np.uint8)

    def values(self, counts: Array) -> Array:
        """What the counts stand for."""
        return self.low + self.step * counts.astype(np.float64)


def levels_of(x: Array, most: int) -> Levels:
    """Levels that span the values of `x`; 0 is one of them if no value is negative."""
    if not 1 <= most <= MOST:
        raise fail(DataError, "levels", f"{most} levels", f"between 1 and {MOST}")
    low, high = min(0.0, float(x.min())), float(x.max())
    return Levels(low, (high - low) / most or 1.0, most)


def with_levels(graph: Graph, levels: Levels) -> Graph:
    """The graph with counts as its input, turned into values by the first, constant synapses."""
    ((name, port),) = graph.inputs().items()
    nodes: dict[str, Any] = dict(graph.nodes)
    nodes[name] = type(port)(port.shape, "count", port.metadata)
    chain = _nodes(levels, port.shape)
    names = [f"{NAME}{suffix}" for suffix, _ in chain]
    nodes |= dict(zip(names, (node for _, node in chain), strict=True))
    edges = [Edge(a, b) for a, b in zip([name, *names[:-1]], names, strict=True)]
    for edge in graph.edges:
        edges.append(Edge(names[-1], edge.target, edge.delay) if edge.source == name else edge)
    if any(edge.delay is not None for edge in edges):
        edges = [Edge(e.source, e.target, e.delay or 0) for e in edges]
    metadata = {**graph.metadata, KEY: asdict(levels)}
    return graph.with_(nodes=nodes, edges=tuple(edges), metadata=metadata)


def _nodes(levels: Levels, shape: tuple[int, ...]) -> list[tuple[str, Leaf]]:
    if levels.low == 0.0:
        return [("", Scale(np.full(shape, levels.step)))]
    if len(shape) == 1 and size(shape) ** 2 > LARGEST:
        what = f"{size(shape)} elements with values below 0"
        raise fail(ModelError, "input", what, "shift the data so that no value is negative")
    channels = np.ones(shape[0])
    return channel_affine(levels.step * channels, levels.low * channels)(shape)


def encode(model: Any, x: Any) -> Array:
    """Real samples `x` [sample, step, *shape] as the counts that a network takes.

    `model`: the graph that `load` made with `levels=`, or a program compiled from it. Counts and
    spikes come back as they are.
    """
    stored = _stored(model)
    if stored is None:
        hint = "load the module with levels=..., for example levels=31"
        raise fail(DataError, "input", "the network takes no encoded input", hint)
    return Levels(**stored).counts(as_array(x))


def _stored(model: Any) -> Mapping[str, Any] | None:
    found = getattr(model, "metadata", {}).get(KEY)
    found = getattr(model, "settings", {}).get(KEY) if found is None else found
    return None if found is None else {k: found[k] for k in ("low", "step", "most")}


def as_counts(graph: Graph, data: Any) -> Any:
    """Data whose `x` holds real numbers, encoded for a graph with levels; other data as it is."""
    if KEY not in graph.metadata:
        return data
    data = arrays = given(data)
    if isinstance(arrays, str | PathLike):
        if not str(data).endswith(".npz"):
            return data
        arrays = read_arrays(Path(data))
    if not isinstance(arrays, Mapping) or np.asarray(arrays.get("x")).dtype.kind != "f":
        return data
    return {**arrays, "x": encode(graph, arrays["x"])}
