"""Shapes of populations that our own export wrote flat: which can have theirs back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snnstack.frontends.onnx_neurons import Found, Neurons
from snnstack.frontends.onnx_terms import ONE, Atom, Terms, single
from snnstack.frontends.onnx_values import Walk, shapes_of
from snnstack.ir.nodes import Affine, Array, Conv1d, Conv2d, Leaf, Linear, Shape, SumPool2d
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import Conv, size


def shapes(walk: Walk, found: Found) -> dict[str, Shape]:
    """{state: shape of its population}: as noted, where what it reads has a shape as well."""
    noted = shapes_of(walk.onnx)
    made = {n.state: n.shape[1:] for n in found.neurons}
    for n in found.neurons:
        shape = noted.get(n.state.removesuffix(".v"), ())
        if size(shape) == size(n.shape[1:]) and shape and _can_be_shaped(walk, n):
            made[n.state] = shape
    sources = _sources(walk, found)
    for _ in found.neurons:  # what reads a flat population is flat too
        for n in found.neurons:
            read = set(_reads(walk, n.drive, sources))
            if any(isinstance(walk.layers[a].node, Conv) for a in _layers(n.drive)) and any(
                len(made[s]) == 1 for s in read
            ):
                made[n.state] = n.shape[1:]
    return made


def _layers(terms: Terms) -> list[Atom]:
    return [a for a in terms.atoms if a.kind == "layer"]


def _can_be_shaped(walk: Walk, n: Neurons) -> bool:
    """Not with inputs that have one axis, nor with a constant that no node could add."""
    if any(isinstance(walk.layers[a].node, (Linear, Affine)) for a in _layers(n.drive)):
        return False
    leaks = n.beta is None and not np.any(n.alpha == 1.0)
    return leaks or not np.any(n.drive.factor(ONE)) or folding(walk, n.drive) is not None


def _sources(walk: Walk, found: Found) -> dict[str, str]:
    """{key of what is sent, now or before: the state of its neurons}."""
    known = {n.sent().key(): n.state for n in found.neurons}
    for _ in found.past:
        for state, terms in found.past.items():
            if terms.key() in known:
                known[walk.of(state).key()] = known[terms.key()]
    return known


def _reads(walk: Walk, terms: Terms, sources: dict[str, str]) -> Iterator[str]:
    keys = [terms.key(), *(single(a, terms.shape).key() for a in terms.atoms)]
    yield from (sources[key] for key in keys if key in sources)
    for atom in _layers(terms):
        yield from _reads(walk, walk.layers[atom].source, sources)


def folding(walk: Walk, terms: Terms) -> Atom | None:
    """The layer that can take the constant part of `terms`."""
    shift = terms.factor(ONE)
    for atom in sorted(_layers(terms)):
        node = walk.layers[atom].node
        if isinstance(node, (Linear, Affine)):
            return atom
        if isinstance(node, (Conv1d, Conv2d)) and channels(shift) is not None:
            return atom
        if not isinstance(node, Conv) or sums(node):
            continue
        if channels(shift.reshape(1, *node.out_shape)) is not None:
            return atom
    return None


def channels(values: Array) -> Array | None:
    """One number per channel of an array (1, C, ...), None where it differs within one."""
    rows = values.reshape(values.shape[1] if values.ndim > 1 else 1, -1)
    return rows[:, 0].copy() if np.all(rows == rows[:, :1]) else None


def sums(conv: Conv) -> bool:
    """Whether it only adds up each channel over windows."""
    depthwise = conv.groups == conv.in_shape[0] == len(conv.weight)
    return depthwise and conv.dilation == (1, 1) and bool(np.all(conv.weight == 1.0))


def space(out: Shape, like: Shape) -> Shape:
    """The axes behind the channel, as many as `like` has."""
    return out[2:] if len(like) == 2 else out[1:]


def image(conv: Conv) -> Leaf:
    """A convolution of ours over two axes, or the pool that it was."""
    if sums(conv):
        kernel = (int(conv.weight.shape[2]), int(conv.weight.shape[3]))
        return SumPool2d(kernel, conv.stride, conv.padding)
    zeros = np.zeros(len(conv.weight))
    space = (conv.in_shape[1], conv.in_shape[2])
    return Conv2d(space, conv.weight, conv.stride, conv.padding, conv.dilation, conv.groups, zeros)


def as_node(conv: Conv, shape: Shape) -> Leaf | None:
    """A convolution of ours as a node that reads `shape`; None if it cannot."""
    if shape == conv.in_shape:
        node = image(conv)
        if isinstance(node, Conv2d) and output_shape(node, shape) != conv.out_shape:
            return replace(node, padding="same")
        return node
    if len(shape) == 2 and (shape[0], 1, shape[1]) == conv.in_shape:
        zeros = np.zeros(len(conv.weight))
        made = Conv1d(
            shape[1], conv.weight[:, :, 0], conv.stride[1], conv.padding[1], conv.dilation[1],
            conv.groups, zeros,
        )  # fmt: skip
        if output_shape(made, shape)[1] != conv.out_shape[2]:
            return replace(made, padding="same")
        return made
    return None
