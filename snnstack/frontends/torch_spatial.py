"""Torch's operations over the places of a map: enlarging, padding, uneven pools, transposed.

What an operation does is measured: torch itself applies it to a map with a single 1 at each
place, in double precision, which gives its matrix whatever its options are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snnstack.frontends import spatial
from snnstack.frontends import torch_layers as layers
from snnstack.frontends.torch_values import Value, opaque
from snnstack.ir.nodes import Array, Shape

Run = Callable[[Any], Any]
BATCH = 2**22
"""Elements of what is measured at once."""


def measured(run: Run, space: Shape) -> tuple[Array, Shape]:
    """([places out, places in], output places) of a linear `run` on [sample, 1, *space]."""
    import torch

    count = int(np.prod(space))
    out = tuple(run(torch.zeros(1, 1, *space, dtype=torch.float64)).shape[2:])
    places = int(np.prod(out))
    spatial.check_size(count, places)
    rows = max(1, BATCH // max(count, places))
    parts = []
    for start in range(0, count, rows):
        some = torch.eye(count, dtype=torch.float64)[start : start + rows]
        found = run(some.reshape(-1, 1, *space)).reshape(-1, places)
        parts.append(found.detach().numpy())
    return np.concatenate(parts).T.copy(), out


def over_places(run: Run, key: Any, value: Value, axes: int) -> Value | None:
    """The output of a linear `run`, the same for every channel; None where there are no channels.

    `axes`: behind the channel. `key` tells equal ones.
    """
    if len(value.shape) != axes + 1:
        return None

    def make(shape: Shape) -> layers.Nodes:
        matrix, out = measured(_with_plain_calls(run), tuple(shape[1:]))
        return spatial.nodes(matrix, out)

    return Value("space", (value,), key, (), value.lead, False, make)


def _with_plain_calls(run: Run) -> Run:
    """`run` without gradients: it is only measured."""
    import torch

    def quiet(x: Any) -> Any:
        with torch.no_grad():
            return run(x)

    return quiet


def module(module: Any, name: str, value: Value) -> Value:
    """A module that does the same at every channel."""
    found = over_places(type(module).forward.__get__(module), (name,), value, _axes(module, value))
    if found is None:
        what = f"gets the shape {list(value.shape)}"
        return opaque(_said(name, module), what, "give it maps [channel, ...]", value)
    return found


def _axes(module: Any, value: Value) -> int:
    kind = type(module).__name__
    return next((n for n in (1, 2, 3) if kind.endswith(f"{n}d")), len(value.shape) - 1)


def _said(name: str, module: Any) -> str:
    return f"{name} ({type(module).__name__})"


def transposed(weight: Array, bias: Array | None, window: Any) -> layers.Make:
    """A transposed convolution.

    `window`: (stride, padding, output_padding, groups, dilation).
    """
    axes = weight.ndim - 2
    many = [_each(v, axes) for v in (*window[:3], window[4])]
    stride, padding, more, dilation = many

    def make(shape: Shape) -> layers.Nodes:
        matrix, out, kernel, around, spread = spatial.transposed(
            weight, window[3], tuple(shape[1:]), stride, padding, more, dilation
        )
        before = spatial.nodes(matrix, out) if matrix.size else []
        apart = [(f"_apart{suffix}", node) for suffix, node in before]
        return [*apart, ("", layers.convolution(kernel, bias, 1, around, spread, window[3]))]

    return make


def _each(value: Any, axes: int) -> tuple[int, ...]:
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    return tuple(int(n) for n in (listed * axes if len(listed) == 1 else listed))


def in_windows(window: Any, shape: Shape, out: Shape) -> layers.Nodes:
    """Sums over the windows of a maximum, of a map `shape` giving `out`.

    `window`: (kernel, stride, padding, dilation, ceil_mode), or (axes,) of adaptive ones.
    """
    adaptive = len(window) == 1
    if not adaptive and not window[4] and layers.pair(window[3]) == (1, 1):
        return layers.sums_over_windows(window[0], window[1] or window[0], window[2])(shape)
    sizes = list(zip(shape[1:], out[1:], strict=True))
    if adaptive:
        parts = [_adaptive(n, m) for n, m in sizes]
    else:
        said = (window[0], window[1] or window[0], window[2], window[3])
        each = zip(*(_each(v, len(sizes)) for v in said), strict=True)
        parts = [spatial.windows(*two, *one) for two, one in zip(sizes, each, strict=True)]
    return spatial.nodes(spatial.along_axes(parts), tuple(out[1:]))


def _adaptive(length: int, out: int) -> Array:
    """[out, length]: 1 where an element lies in a window from i n / m to (i + 1) n / m."""
    rows, at = np.arange(out)[:, None], np.arange(length)
    inside = (at >= rows * length // out) & (at < -(-(rows + 1) * length // out))
    return inside.astype(np.float64)


def zeros(pads: Any, key: Any, value: Value) -> Value | None:
    """Zeros around a map; `pads` as torch has them: (left, right, top, bottom, ...)."""
    sizes = [int(n) for n in pads]
    axes = len(value.shape) - 1
    before, after = ([0] * (axes - len(sizes) // 2) + sizes[k::2][::-1] for k in (0, 1))
    if axes not in (1, 2) or len(sizes) > 2 * axes:
        return None
    # What is cut off is gone: a convolution that pads as well puts zeros in its place.
    foldable = ("zeros", (tuple(before), tuple(after))) if min(sizes, default=0) >= 0 else ("cut",)

    def make(shape: Shape) -> layers.Nodes:
        return spatial.nodes(*spatial.padded(tuple(shape[1:]), before, after))

    said = (*key, str(sizes), *foldable)
    return Value("space", (value,), said, (), value.lead, value.binary, make)


def unpadded(value: Value) -> tuple[Value, Any]:
    """What lies under zeros around a map, and (before, after) of them; None without any."""
    if value.op == "space" and len(value.key) > 2 and value.key[-2] == "zeros":
        return value.args[0], value.key[-1]
    return value, None
