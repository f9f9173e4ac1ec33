"""`Value`: a tensor of an ANN as a sum of pending linear operations and scaled spike sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.ir.graph import Edge
from snnstack.ir.nodes import Affine, Array, Conv1d, Conv2d, Leaf, Scale, Shape


@dataclass(frozen=True, eq=False)
class Pending:
    """A Conv1d, Conv2d or Affine node of the graph to be, not placed yet: it may be rescaled.

    `name` is that of the ONNX node; `sources` are graph nodes whose sum it reads.
    """

    name: str
    node: Any
    sources: tuple[str, ...]

    def scaled(self, factor: Array) -> Pending:
        """Its result times `factor` (a number, or one per channel or output)."""
        node = self.node
        one = np.broadcast_to(factor, node.bias.shape)
        weight = node.weight * one.reshape(-1, *(1,) * (node.weight.ndim - 1))
        return replace(self, node=replace(node, weight=weight, bias=node.bias * one))

    def shifted(self, amount: Array) -> Pending:
        """Its result plus `amount` (a number, or one per channel or output)."""
        bias = self.node.bias + np.broadcast_to(amount, self.node.bias.shape)
        return replace(self, node=replace(self.node, bias=bias))


@dataclass(frozen=True, eq=False)
class Source:
    """The rates of graph node `name` times `scale` plus `shift`, each a number or per channel."""

    name: str
    scale: Array
    shift: Array

    @property
    def plain(self) -> bool:
        """Whether the rates stand for themselves."""
        return bool(np.all(self.scale == 1.0) and np.all(self.shift == 0.0))

    @property
    def alike(self) -> bool:
        """Whether all channels have the same scale and shift."""
        return self.scale.size == 1 and self.shift.size == 1


@dataclass(frozen=True, eq=False)
class Value:
    """`shape` without batch; the tensor is the sum of all `pending` and all `sources`."""

    shape: Shape
    pending: tuple[Pending, ...] = ()
    sources: tuple[Source, ...] = ()


class Builder:
    """Nodes and edges of the graph under construction; names are kept unique."""

    def __init__(self) -> None:
        self.nodes: dict[str, Leaf] = {}
        self.edges: list[Edge] = []

    def add(self, name: str, node: Leaf, sources: tuple[str, ...]) -> str:
        """Place `node`, fed by `sources`; returns its name in the graph."""
        plain = name.strip("/").replace("/", ".") or "node"
        unique, k = plain, 2
        while unique in self.nodes:
            unique, k = f"{plain}_{k}", k + 1
        self.nodes[unique] = node
        self.edges += [Edge(source, unique) for source in dict.fromkeys(sources)]
        return unique

    def placed(self, value: Value) -> tuple[str, ...]:
        """Nodes whose sum is `value`."""
        return tuple(self._ends(value))

    def _ends(self, value: Value) -> Iterator[str]:
        for pending in value.pending:
            yield self.add(pending.name, pending.node, pending.sources)
        for source in value.sources:
            if source.plain:
                yield source.name
            elif np.all(source.shift == 0.0) and source.scale.size == 1:
                scale = Scale(np.full((1,) * len(value.shape), float(source.scale)))
                yield self.add(f"{source.name}.scale", scale, (source.name,))
            else:
                pending = identity(source, value.shape)
                yield self.add(pending.name, pending.node, pending.sources)


def identity(source: Source, shape: Shape) -> Pending:
    """A source as a linear operation of its own: one weight per channel (or element)."""
    channels = shape[0]
    scale = np.broadcast_to(source.scale, (channels,)).astype(np.float64)
    shift = np.broadcast_to(source.shift, (channels,)).astype(np.float64)
    name = f"{source.name}.norm"
    if len(shape) == 1:
        return Pending(name, Affine(np.diag(scale), shift), (source.name,))
    weight = scale.reshape(-1, *(1,) * len(shape))
    return Pending(name, convolution(weight, shift, shape[1:], channels), (source.name,))


def convolution(
    weight: Array,
    bias: Array,
    space: Shape,
    groups: int = 1,
    stride: tuple[int, ...] = (1, 1),
    padding: Any = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
) -> Conv1d | Conv2d:
    """A convolution over one or two axes."""
    pad: Any
    if weight.ndim == 3:
        pad = padding if isinstance(padding, str) else int(padding[0])
        return Conv1d(space[0], weight, int(stride[0]), pad, int(dilation[0]), groups, bias)
    two = (space[0], space[1])
    pad = padding if isinstance(padding, str) else (int(padding[0]), int(padding[1]))
    steps, wide = (int(stride[0]), int(stride[1])), (int(dilation[0]), int(dilation[1]))
    return Conv2d(two, weight, steps, pad, wide, groups, bias)


def folded_into(source: Source, node: Any) -> Any:
    """`node` as it must be to read the bare rates of `source` instead of their scaled values.

    Exact, except for a shift before padding: outside the image there is none (`border`).
    """
    weight, bias = node.weight, node.bias
    if isinstance(node, Affine):
        scale = np.broadcast_to(source.scale, (weight.shape[1],))
        shift = np.broadcast_to(source.shift, (weight.shape[1],))
        return replace(node, weight=weight * scale, bias=bias + weight @ shift)
    groups, per_group = node.groups, weight.shape[1]
    channels = groups * per_group
    scale = np.broadcast_to(source.scale, (channels,)).reshape(groups, 1, per_group)
    shift = np.broadcast_to(source.shift, (channels,)).reshape(groups, 1, per_group)
    split = weight.reshape(groups, -1, per_group, int(np.prod(weight.shape[2:])))
    moved = (split * shift[..., None]).sum(axis=(2, 3)).ravel()
    scaled = (split * scale[..., None]).reshape(weight.shape)
    return replace(node, weight=scaled, bias=bias + moved)


def constant_part(source: Source, shape: Shape) -> Pending:
    """What `source` is where its rates are zero: its shift, a bias without any weight."""
    still = Source(source.name, np.zeros(()), source.shift)
    return replace(identity(still, shape), name=f"{source.name}.shift")


def flattened(source: Source, shape: Shape) -> Source:
    """A source whose channels are spread over a flat axis."""

    def spread(values: Array) -> Array:
        if values.size == 1:
            return values
        return np.repeat(values, int(np.prod(shape[1:])))

    return Source(source.name, spread(source.scale), spread(source.shift))
