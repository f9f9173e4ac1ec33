"""From synapses to pieces: small integer matrices with what drives their rows at every read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.hardware import Convolution
from snnstack.ir.matrix import conv_matrix, matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Projection, size


@dataclass(frozen=True, eq=False)
class Limits:
    """At most `rows` rows and `outputs` outputs in a piece."""

    rows: int
    outputs: int
    convolution: Convolution


@dataclass(frozen=True, eq=False)
class Piece:
    """`weight` int [rows, outputs]; `gather`, `scatter` as in `Block`."""

    weight: Array
    gather: NDArray[np.int32]
    scatter: NDArray[np.int32]


def pieces(projection: Projection, targets: int, limits: Limits) -> Iterator[Piece]:
    """Pieces that together are `projection`; empty ones are left out."""
    synapses = projection.synapses
    match synapses:
        case Dense():
            whole = np.ascontiguousarray(synapses.weight.T)
            rows, columns = (np.arange(n, dtype=np.int32)[None] for n in whole.shape)
            yield from _split(Piece(whole, rows, columns), limits)
        case Conv() if limits.convolution == "reuse":
            for group in range(synapses.groups):
                yield from _split(_kernel(synapses, group), limits)
        case Conv():
            order = list(_patches(synapses, limits))
            yield from _gathered(conv_matrix(synapses), order, limits)
        case _:
            found = matrix(synapses, targets)
            yield from _gathered(found, _chunks(np.arange(targets), limits.outputs), limits)


def _split(piece: Piece, limits: Limits) -> Iterator[Piece]:
    """Parts of about equal size; rows and outputs without any weight are not programmed."""
    for columns in _chunks(np.arange(piece.weight.shape[1]), limits.outputs):
        for rows in _chunks(np.arange(len(piece.weight)), limits.rows):
            part = piece.weight[np.ix_(rows, columns)]
            if part.any():
                yield Piece(part, _picked(piece.gather, rows), _picked(piece.scatter, columns))


def _picked(table: NDArray[np.int32], which: Array) -> NDArray[np.int32]:
    return np.ascontiguousarray(table[:, which])


def _chunks(values: Array, most: int) -> list[Array]:
    count = -(-len(values) // most)
    return [] if count == 0 else np.array_split(values, count)


def _gathered(weights: Any, chunks: list[Array], limits: Limits) -> Iterator[Piece]:
    """Of a sparse [targets, sources] matrix: each chunk of targets with the sources it has."""
    for targets in chunks:
        mine = weights[targets]
        mine.eliminate_zeros()
        sources = np.unique(mine.indices)
        if len(sources):
            dense = np.ascontiguousarray(mine[:, sources].toarray().T)
            tables = (part.astype(np.int32)[None] for part in (sources, targets))
            yield from _split(Piece(dense, *tables), limits)


def _kernel(conv: Conv, group: int) -> Piece:
    """The kernel of one group, read once for every output position."""
    c_out, c_in, ky, kx = conv.weight.shape
    (_, h, w), (_, oh, ow) = conv.in_shape, conv.out_shape
    per_group = c_out // conv.groups
    mine = slice(group * per_group, (group + 1) * per_group)
    weight = conv.weight[mine].reshape(per_group, -1).T
    y = _reached(oh, ky, conv.stride[0], conv.dilation[0], conv.padding[0])[:, None, None, :, None]
    x = _reached(ow, kx, conv.stride[1], conv.dilation[1], conv.padding[1])[None, :, None, None, :]
    channel = (group * c_in + np.arange(c_in))[None, None, :, None, None]
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    gather = np.where(inside, (channel * h + y) * w + x, -1)
    outputs = np.arange(mine.start, mine.stop) * (oh * ow)
    scatter = np.arange(oh * ow)[:, None] + outputs
    return Piece(
        np.ascontiguousarray(weight),
        gather.reshape(oh * ow, -1).astype(np.int32),
        scatter.astype(np.int32),
    )


def _reached(out: int, taps: int, stride: int, dilation: int, padding: int) -> Array:
    """[output, tap]: input position, maybe outside."""
    return np.asarray(np.arange(out)[:, None] * stride - padding + np.arange(taps) * dilation)


def _patches(conv: Conv, limits: Limits) -> Iterator[Array]:
    """Targets in square patches whose outputs, and if possible their sources, fit one piece."""
    c_out, c_in, ky, kx = conv.weight.shape
    _, oh, ow = conv.out_shape
    side = 1
    while c_out * (side + 1) ** 2 <= limits.outputs and side < max(oh, ow):
        reach = [
            side * stride + (taps - 1) * dilation + 1
            for taps, stride, dilation in zip((ky, kx), conv.stride, conv.dilation, strict=True)
        ]
        if c_in * conv.groups * reach[0] * reach[1] > limits.rows:
            break
        side += 1
    number = np.arange(size(conv.out_shape)).reshape(conv.out_shape)
    for y in range(0, oh, side):
        for x in range(0, ow, side):
            patch = number[:, y : y + side, x : x + side].ravel()
            yield from _chunks(patch, limits.outputs)
