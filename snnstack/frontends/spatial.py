"""Linear maps over the places of a map, the same for every channel, as nodes of a graph.

Enlarging, padding anywhere and pools over uneven windows have no node of their own: each is a
matrix from the places of its input [H, W] (or [N]) to those of its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from snnstack.frontends.windows import even
from snnstack.ir.nodes import Array, Flatten, Leaf, Linear, Shape

LARGEST = 2**26
"""Elements of a matrix from places to places."""
Ints = Sequence[int]


def nodes(matrix: Array, out: Shape) -> list[tuple[str, Leaf]]:
    """(suffix, node) of `matrix` [places out, places in], from maps [C, *places] to [C, *out]."""
    if len(out) == 1:
        return [("", Linear(matrix))]
    return [
        ("_places", Flatten(None, 1, -1)),
        ("", Linear(matrix)),
        ("_map", Flatten(None, 1, 1, into=out)),
    ]


def check_size(places: int, out: int) -> None:
    """ValueError where a matrix would be too large."""
    if places * out > LARGEST:
        raise ValueError(f"maps {places} places to {out}, at most {LARGEST} pairs of them")


def along_axes(parts: Sequence[Array]) -> Array:
    """The matrix over all places, of one [out, in] along each axis."""
    made: Array = np.ones((1, 1))
    check_size(prod(p.shape[1] for p in parts), prod(p.shape[0] for p in parts))
    for part in parts:
        made = np.kron(made, part)
    return made


def placed(length: int, stride: int, before: int, total: int) -> Array:
    """[total, length]: elements `stride` apart, the first behind `before` zeros (or cut off)."""
    found = np.zeros((total, length))
    at = np.arange(length) * stride + before
    kept = (at >= 0) & (at < total)
    found[at[kept], np.flatnonzero(kept)] = 1.0
    return found


def padded(space: Shape, before: Ints, after: Ints) -> tuple[Array, Shape]:
    """(matrix, output places) of zeros around a map; negative numbers cut off."""
    out = tuple(n + b + a for n, b, a in zip(space, before, after, strict=True))
    check_size(prod(space), prod(max(n, 0) for n in out))
    axes = zip(space, before, out, strict=True)
    return along_axes([placed(n, 1, b, total) for n, b, total in axes]), out


def transposed(
    weight: Array, groups: int, space: Shape, stride: Ints, before: Ints, more: Ints, dilation: Ints
) -> tuple[Array, Shape, Array, tuple[int, ...], tuple[int, ...]]:
    """A transposed convolution as elements set apart, then a convolution of stride 1.

    `weight` [C_in, C_out / groups, *taps], `before`: its padding, at the front and (less
    `more`) at the end of each axis. Returns (matrix, its output places, weight
    [C_out, C_in / groups, *taps], padding, dilation); a stride of 1 needs no matrix (empty).
    """
    reach = [(k - 1) * d for k, d in zip(weight.shape[2:], dilation, strict=True)]
    ahead = [r - p for r, p in zip(reach, before, strict=True)]
    behind = [a + m for a, m in zip(ahead, more, strict=True)]
    turned = _turned(weight, groups)
    if all(s == 1 for s in stride):
        kernel, padding, spread = even(turned, tuple(ahead), tuple(behind), tuple(dilation))
        return np.zeros((0, 0)), space, kernel, padding, spread
    sizes = zip(space, stride, ahead, behind, strict=True)
    out = tuple((n - 1) * s + 1 + a + b for n, s, a, b in sizes)
    check_size(prod(space), prod(max(n, 0) for n in out))
    parts = zip(space, stride, ahead, out, strict=True)
    matrix = along_axes([placed(n, s, a, total) for n, s, a, total in parts])
    return matrix, out, turned, (0,) * len(space), tuple(dilation)


def _turned(weight: Array, groups: int) -> Array:
    """The kernel of the convolution: channels change places, taps turn around."""
    inner = weight.reshape(groups, -1, *weight.shape[1:])
    swapped = np.swapaxes(inner, 1, 2)
    flipped = np.flip(swapped, axis=tuple(range(3, swapped.ndim)))
    return np.ascontiguousarray(flipped.reshape(-1, *flipped.shape[2:]))


def windows(
    length: int, out: int, kernel: int, stride: int, before: int, dilation: int = 1
) -> Array:
    """[out, length]: 1 where an element lies in a window; windows may reach outside."""
    check_size(max(length, kernel), out)
    reached = np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - before
    found = np.zeros((out, length))
    rows, taps = np.nonzero((reached >= 0) & (reached < length))
    found[rows, reached[rows, taps]] = 1.0
    return found
