"""From arrays that a user gives to synapses: shapes checked, and one part per delay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import Problem
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses

Pair = tuple[int, int]

LARGEST = 2.0**62
"""No register, count or size is larger; an int64 holds it."""


def integers(where: str, name: str, value: Any, problems: list[Problem]) -> Array:
    """`value` as int64; what is not a whole number is reported and becomes 0."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        problems.append(Problem(where, f"{name} is {array.dtype}, not a number"))
        return np.zeros(array.shape, dtype=np.int64)
    array = array.astype(np.float64) if array.dtype.kind == "f" else array
    within = np.isfinite(array) & (np.abs(np.where(np.isfinite(array), array, 0)) < LARGEST)
    whole = within & (np.floor(np.where(within, array, 0)) == array)
    if not whole.all():
        odd = array[~whole].flat[0]
        problems.append(Problem(where, f"{name} is {odd:g}, not a whole number"))
        array = np.where(whole, array, 0)
    return array.astype(np.int64)


def pair(value: int | Pair) -> Pair:
    """One value for y and x, or (y, x)."""
    if isinstance(value, (int, np.integer)):
        return int(value), int(value)
    y, x = value
    return int(y), int(x)


def as_matrix(where: str, weight: Any, shape: Pair, problems: list[Problem]) -> Synapses | None:
    """`weight` [target, source] as `Dense`, or as `Sparse` if it is a scipy.sparse matrix."""
    sparse = hasattr(weight, "tocsc")
    array = weight if sparse else np.asarray(weight)
    if tuple(array.shape) != shape:
        what = f"weight has shape {list(array.shape)}, not [target, source] = {list(shape)}"
        problems.append(Problem(where, what))
        return None
    if not sparse:
        return Dense(integers(where, "weight", array, problems))
    matrix = weight.tocsc(copy=True)
    matrix.sum_duplicates()
    values = integers(where, "weight", matrix.data, problems)
    return Sparse(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), values)


def as_conv(
    where: str,
    weight: Any,
    shapes: tuple[Shape, Shape],
    geometry: tuple[Pair, Pair, Pair],
    groups: int,
    problems: list[Problem],
) -> Conv | None:
    """`weight` [C_out, C_in / groups, K_y, K_x] between two [C, H, W]; checked for size."""
    array = integers(where, "weight", weight, problems)
    before = len(problems)
    if array.ndim != 4 or any(len(shape) != 3 for shape in shapes):
        what = f"weight has shape {list(array.shape)} between {list(shapes[0])} and "
        hint = "a convolution needs [C_out, C_in / groups, K_y, K_x] and two [C, H, W]"
        problems.append(Problem(where, what + f"{list(shapes[1])}", hint))
        return None
    (c_in, *space), out = shapes[0], shapes[1]
    stride, padding, dilation = geometry
    if groups < 1 or array.shape[1] * groups != c_in or array.shape[0] % max(groups, 1):
        what = f"weight {list(array.shape)} with {groups} groups does not fit {c_in} channels"
        problems.append(Problem(where, what))
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        what = f"stride {stride}, padding {padding}, dilation {dilation}: too small"
        problems.append(Problem(where, what))
    if len(problems) > before:
        return None
    size = conv_size((space[0], space[1]), array.shape[2:], geometry)
    if (array.shape[0], *size) != tuple(out):
        what = f"it gives {[array.shape[0], *size]}, but the target is {list(out)}"
        problems.append(Problem(where, what, "check stride, padding and dilation"))
        return None
    in_shape, out_shape = (c_in, space[0], space[1]), (out[0], out[1], out[2])
    return Conv(array, in_shape, out_shape, stride, padding, dilation, groups)


def conv_size(size: Pair, kernel: tuple[int, ...], geometry: tuple[Pair, Pair, Pair]) -> Pair:
    """(H', W') of a convolution with (stride, padding, dilation)."""
    y, x = (
        (size[i] + 2 * geometry[1][i] - geometry[2][i] * (kernel[i] - 1) - 1) // geometry[0][i] + 1
        for i in (0, 1)
    )
    return y, x


def pooling(where: str, shape: Shape, window: Pair, problems: list[Problem]) -> Pool | None:
    """Sums over windows that do not overlap; what does not fill a window is left out."""
    if len(shape) != 3 or min(window) < 1 or window[0] > shape[1] or window[1] > shape[2]:
        what = f"windows of {list(window)} do not fit the source's shape {list(shape)}"
        problems.append(Problem(where, what))
        return None
    c, h, w = shape
    out_shape = (c, h // window[0], w // window[1])
    return Pool((c, h, w), out_shape, window, window, (0, 0))


def split_by_delay(
    where: str, synapses: Synapses, delay: Array, problems: list[Problem]
) -> list[tuple[int, Synapses]]:
    """[(delay, its synapses)] in ascending order of delay.

    `delay`: one; for a convolution one per input channel; else one per synapse, [target,
    source] (for `Sparse` also one per stored synapse). Synapses of weight 0 are dropped
    where delays differ.
    """
    if not delay.ndim:
        return [(int(delay), synapses)]
    match synapses:
        case Conv():
            wanted: Shape = (synapses.in_shape[0],)
        case Dense():
            wanted = synapses.weight.shape
        case Sparse():
            wanted = (len(synapses.target),)
    if delay.shape != wanted:
        what = f"delay has shape {list(delay.shape)}, not {list(wanted)}"
        problems.append(
            Problem(where, what, "give one, or one per synapse (per channel of a conv)")
        )
        return []
    return [(int(d), _only(synapses, delay == d)) for d in np.unique(delay[_used(synapses)])]


def _used(synapses: Synapses) -> Array:
    """Which of the delays matter: those of a weight that is not 0."""
    if not isinstance(synapses, Conv):
        return np.asarray(synapses.weight != 0)
    kernels = _per_source(synapses.weight, synapses.groups) != 0
    return np.asarray(kernels.any(axis=(1, 2, 3)))


def _per_source(weight: Array, groups: int) -> Array:
    """[C_in, C_out / groups, K_y, K_x] from [C_out, C_in / groups, K_y, K_x]."""
    out, inner, ky, kx = weight.shape
    by_group = weight.reshape(groups, out // groups, inner, ky, kx)
    return by_group.transpose(0, 2, 1, 3, 4).reshape(groups * inner, out // groups, ky, kx)


def _only(synapses: Synapses, mask: Array) -> Synapses:
    """The synapses under `mask`."""
    match synapses:
        case Conv():
            kept = _per_source(synapses.weight, synapses.groups) * mask[:, None, None, None]
            out, inner, ky, kx = synapses.weight.shape
            groups = synapses.groups
            back = kept.reshape(groups, inner, out // groups, ky, kx).transpose(0, 2, 1, 3, 4)
            return replace(synapses, weight=back.reshape(out, inner, ky, kx))
        case Dense():
            return sparse_from(np.where(mask, synapses.weight, 0))
        case Sparse():
            keep = mask & (synapses.weight != 0)
            row = np.repeat(np.arange(len(synapses.indptr) - 1), np.diff(synapses.indptr))
            counts = np.bincount(row[keep], minlength=len(synapses.indptr) - 1)
            indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            return Sparse(indptr, synapses.target[keep], synapses.weight[keep])


def sparse_from(weight: Array) -> Sparse:
    """The entries of [target, source] that are not 0, grouped by source."""
    source, target = np.nonzero(weight.T)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weight.shape[1]))])
    return Sparse(indptr.astype(np.int64), target.astype(np.int32), weight[target, source])
