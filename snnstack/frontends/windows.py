"""Windows over maps that reach outside unevenly, as convolutions that pad both sides alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.ir.nodes import Array

Pads = tuple[int, ...]


def even(
    weight: Array, before: Pads, after: Pads, dilation: Pads
) -> tuple[Array, tuple[int, ...], tuple[int, ...]]:
    """(weight, padding, dilation) that give what `weight` gives of an unevenly padded map.

    `before` and `after` are elements added at the ends of each axis, negative where they are cut
    off. The kernel grows by zeros on the side that is padded less: with p on both sides, its
    taps lie where they lay.
    """
    padding = tuple(max(b, a, 0) for b, a in zip(before, after, strict=True))
    room = [(p - b, p - a) for p, b, a in zip(padding, before, after, strict=True)]
    if not any(n for two in room for n in two):
        return weight, padding, dilation
    spread = spread_out(weight, dilation)
    return np.pad(spread, [(0, 0), (0, 0), *room]), padding, (1,) * len(padding)


def spread_out(weight: Array, dilation: Pads) -> Array:
    """A dilated kernel [out, in, *taps] with its zeros between the taps written out."""
    sizes = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    full = np.zeros((*weight.shape[:2], *sizes))
    taps: Any = (..., *(slice(None, None, d) for d in dilation))
    full[taps] = weight
    return full
