"""Stateless modules of torch and of SpikingJelly's `layer` as IR nodes.

Everything has zero or more leading axes (time, batch); shapes here are those of one sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snnstack.frontends.windows import even
from snnstack.ir.nodes import (
    Affine,
    Array,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Leaf,
    Linear,
    Scale,
    Shape,
    SumPool2d,
)
from snnstack.ir.shapes import conv_padding

Nodes = list[tuple[str, Leaf]]
Make = Callable[[Shape], Nodes]
LARGEST = 2**26
"""Most elements of a matrix that is made to express a rearrangement."""


def array(tensor: Any) -> Array:
    """A tensor as float64; what a parameter is worth does not change."""
    return np.asarray(tensor.detach().cpu().double().numpy(), dtype=np.float64)


def dense(weight: Array, bias: Array | None) -> Leaf:
    """A fully connected layer."""
    return Linear(weight) if bias is None else Affine(weight, bias)


def pair(value: Any) -> tuple[int, int]:
    """A window size for two axes."""
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    return int(listed[0]), int(listed[-1])


def single(value: Any) -> int:
    """A window size for one axis."""
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def convolution(
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    around: Any = None,
) -> Leaf:
    """A convolution over one or two axes, by the number of axes of its weight.

    `around`: (before, after) of zeros that lie around the map before it pads.
    """
    if around is not None:
        weight, padding, dilation = _with_zeros(weight, padding, dilation, around)
    shift = np.zeros(len(weight)) if bias is None else bias
    if weight.ndim == 3:
        pad: Any = padding if isinstance(padding, str) else single(padding)
        return Conv1d(None, weight, single(stride), pad, single(dilation), groups, shift)
    sides: Any = padding if isinstance(padding, str) else pair(padding)
    return Conv2d(None, weight, pair(stride), sides, pair(dilation), groups, shift)


def _with_zeros(weight: Array, padding: Any, dilation: Any, around: Any) -> Any:
    """(weight, padding, dilation) of a convolution over a map that has zeros `around` it."""
    axes = weight.ndim - 2
    spread = pair(dilation)[:axes] if axes == 2 else (single(dilation),)
    own = (
        [conv_padding(padding, k, d) for k, d in zip(weight.shape[2:], spread, strict=True)]
        if isinstance(padding, str)
        else [(p, p) for p in (pair(padding) if axes == 2 else (single(padding),))]
    )
    before, after = (
        tuple(n + two[end] for n, two in zip(around[end], own, strict=True)) for end in (0, 1)
    )
    return even(weight, before, after, spread)


def mean_pool(kernel: Any, stride: Any, padding: Any, divisor: int | None = None) -> Make:
    """Mean over windows of [C, H, W] or [C, N]; `divisor` replaces the number of elements."""

    def make(shape: Shape) -> Nodes:
        if len(shape) == 2:
            width = single(kernel)
            weight = np.full((shape[0], 1, width), 1.0 / (divisor or width))
            return [("", convolution(weight, None, stride, padding, 1, shape[0]))]
        window = (pair(kernel), pair(stride), pair(padding))
        if divisor is None:
            return [("", AvgPool2d(*window))]
        nodes: Nodes = [("", SumPool2d(*window))]
        if divisor != 1:
            nodes.append(("_mean", Scale(np.full((1, 1, 1), 1.0 / divisor))))
        return nodes

    return make


def sums_over_windows(kernel: Any, stride: Any, padding: Any) -> Make:
    """Sum over windows of [C, H, W] or [C, N]."""
    return mean_pool(kernel, stride, padding, divisor=1)


def channel_affine(scale: Array, shift: Array) -> Make:
    """`scale * x + shift`, one of each per channel (the first axis)."""

    def make(shape: Shape) -> Nodes:
        if len(shape) == 1:
            return [("", Affine(np.diag(scale), shift))]
        weight = scale.reshape(-1, 1, *[1] * (len(shape) - 1))
        return [("", convolution(weight, shift, 1, 0, 1, len(scale)))]

    return make


def folded(node: Leaf, scale: Array, shift: Array) -> Leaf | None:
    """A layer and the channel affine after it as one layer; None if `node` has no weights."""
    if isinstance(node, (Conv1d, Conv2d)):
        weight = node.weight * scale.reshape(-1, *[1] * (node.weight.ndim - 1))
        values = (node.stride, node.padding, node.dilation, node.groups)
        return convolution(weight, node.bias * scale + shift, *values)
    if isinstance(node, (Linear, Affine)) and node.weight.ndim == 2:
        bias = node.bias * scale if isinstance(node, Affine) else 0.0
        return Affine(node.weight * scale[:, None], bias + shift)
    return None


def batchnorm(module: Any) -> tuple[Array, Array] | None:
    """(scale, shift) of a batch normalisation in evaluation; None if it has no statistics."""
    if module.running_mean is None or module.running_var is None:
        return None
    mean, variance = array(module.running_mean), array(module.running_var)
    scale = 1.0 / np.sqrt(variance + module.eps)
    shift = -mean * scale
    if module.weight is not None:
        scale, shift = scale * array(module.weight), shift * array(module.weight)
    return scale, shift if module.bias is None else shift + array(module.bias)


def added(shift: Array) -> Make:
    """`x + shift`, element by element."""

    def make(shape: Shape) -> Nodes:
        values = np.broadcast_to(shift, shape)
        by_channel = values.reshape(shape[0], -1)
        if np.all(by_channel == by_channel[:, :1]):
            return channel_affine(np.ones(shape[0]), by_channel[:, 0].copy())(shape)
        raise ValueError(f"adds a constant that differs within a channel of {list(shape)}")

    return make


def selection(order: Array, sources: int, start: int) -> Array:
    """The matrix of the elements of `order` that lie in `start`..`start + sources`."""
    if len(order) * sources > LARGEST:
        raise ValueError(f"rearranges {sources} elements, which is too many for a matrix")
    weight = np.zeros((len(order), sources))
    rows = np.flatnonzero((order >= start) & (order < start + sources))
    weight[rows, order[rows] - start] = 1.0
    return weight


def split(node: Leaf, parts: list[Array]) -> list[Leaf] | None:
    """A convolution of stacked maps as one for each of them; the first has the bias.

    `parts`: [channel, channel of the part] each. None where `node` is none, or has groups.
    """
    if not isinstance(node, (Conv1d, Conv2d)) or node.groups != 1:
        return None
    window = (node.stride, node.padding, node.dilation, 1)
    weights = [np.einsum("oc...,cp->op...", node.weight, part) for part in parts]
    return [
        convolution(weight, None if k else node.bias, *window) for k, weight in enumerate(weights)
    ]


def channels(part: Array, shape: Shape) -> Leaf:
    """Channels of a map of `shape` picked by `part` [channel, channel of the map]."""
    return convolution(part.reshape(*part.shape, *[1] * (len(shape) - 1)), None, 1, 0, 1, 1)
