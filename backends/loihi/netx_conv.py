"""Convolutions and pools of a netx file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnstack.backends.loihi.netx_file import Layer, Pair, pair_of
from snnstack.errors import Problem
from snnstack.ir.given import as_conv, conv_size
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv

Geometry = tuple[Pair, Pair, Pair]


def convolution(
    where: str,
    kind: str,
    weight: Array,
    shapes: tuple[Shape | None, Shape],
    layer: Layer,
    problems: list[Problem],
) -> Conv | None:
    """The synapses of a layer between two maps of `shapes`; None and a problem if it has none."""
    before, after = shapes
    if before is None or len(before) != 3:
        what = f"the shape before it is {before}, not [C, H, W]"
        problems.append(Problem(where, what, "give input_shape=(C, H, W)"))
        return None
    if weight.ndim < 4 or set(weight.shape[4:]) - {1} or not weight.size:
        what = f"weight has shape {list(weight.shape)}, not [C_out, C_in / groups, K_y, K_x]"
        problems.append(Problem(where, what))
        return None
    c_out, c_in, *window = (int(n) for n in weight.shape[:4])
    weight, kernel = weight.reshape(c_out, c_in, *window), (window[0], window[1])
    geometry, groups = _geometry(where, kind, kernel, layer, problems)
    if problems:
        return None
    if kind != "pool":
        return as_conv(where, weight, (before, after), geometry, groups, problems)
    each = np.repeat(weight[:1, :1], before[0], axis=0)
    return _overlapping(where, each, (before, after), geometry) or as_conv(
        where, each, (before, after), geometry, before[0], problems
    )


def _overlapping(
    where: str, weight: Array, shapes: tuple[Shape, Shape], geometry: Geometry
) -> Conv | None:
    """A pool whose last windows reach over the edge, where there is nothing; None if none do."""
    (c, h, w), after = shapes
    if min(geometry[0]) < 1:
        return None
    padded = [int(np.ceil(s / k)) * k for s, k in zip((h, w), weight.shape[2:], strict=True)]
    grown = (c, *conv_size((padded[0], padded[1]), weight.shape[2:], geometry))
    found = as_conv(where, weight, ((c, *padded), grown), geometry, c, [])
    return replace(found, in_shape=(c, h, w)) if found and grown == tuple(after) else None


def _geometry(
    where: str, kind: str, kernel: Pair, layer: Layer, problems: list[Problem]
) -> tuple[Geometry, int]:
    """(stride, padding, dilation) and groups, as they are stored."""
    steps: int | Pair = kernel if kind == "pool" else 1
    stride = pair_of(where, "stride", layer, steps, problems)
    padding = pair_of(where, "padding", layer, 0, problems)
    dilation = pair_of(where, "dilation", layer, 1, problems)
    return (stride, padding, dilation), pair_of(where, "groups", layer, 1, problems)[0]
