"""Routes that multiply everything in every step: sizes, and weights in the kernel's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.kernels import Kernels
from snnstack.backends.mcu.program import ConvTable, DenseTable, Route

LARGEST = 127
"""Most events that one element may carry: the map of the source holds int8."""


@dataclass(frozen=True)
class Full:
    """32-bit words of the source's `map`, of what one output reads (`patch`; a dense route reads
    the map itself) and of the same widened (`column`). `fours`: groups of four inputs.
    """

    fours: int
    map: int
    patch: int
    column: int


def dot_form(family: Kernels) -> str:
    """Which dot product a core uses: "plain", "dsp" or "mve"."""
    return "plain" if family == "portable" else family


def can_be_full(route: Route, most: int) -> bool:
    """Whether the full form exists, where one source element brings up to `most` events."""
    if route.pool is not None:
        most *= route.pool.kernel[0] * route.pool.kernel[1]
    fits = isinstance(route.table, DenseTable | ConvTable) and route.table.bits == 8
    return fits and most <= LARGEST


def full(table: DenseTable | ConvTable, family: Kernels) -> Full:
    """Sizes for one table."""
    step = 16 if family == "mve" else 4
    if isinstance(table, ConvTable):
        _, ky, kx, _ = table.weight.shape
        reads = ky * kx * (table.in_shape[0] // table.groups)
    else:
        reads = len(table.weight)
    fours = -(-reads // step) * step // 4
    column = fours * (2 if family == "dsp" else 1)
    if isinstance(table, ConvTable):
        return Full(fours, -(-int(np.prod(table.in_shape)) // 4), fours, column)
    return Full(fours, fours, 0, column)


def full_words(table: DenseTable | ConvTable, family: Kernels) -> NDArray[np.uint32]:
    """The weights as words: four outputs a block, see `pack_blocks`."""
    if isinstance(table, ConvTable):
        groups, (channels, ky, kx, outs) = table.groups, table.weight.shape
        split = table.weight.reshape(groups, channels // groups, ky, kx, outs)
        rows = split.transpose(0, 4, 2, 3, 1).reshape(groups, outs, -1)
    else:
        rows = table.weight.T[None]
    blocks = pack_blocks(rows.astype(np.int8), dot_form(family), 16 if family == "mve" else 4)
    return blocks.view("<u4").astype(np.uint32)


def pack_blocks(rows: NDArray[Any], form: str, step: int) -> NDArray[np.int8]:
    """[group, output, input] in the kernel's order: blocks of four outputs, padded with zeros.

    In a block, "plain": input after input, four weights each; "dsp" and "mve": `step` inputs
    after the other, `step` weights of each of the four outputs.
    """
    groups, outputs, inputs = rows.shape
    padded = np.zeros((groups, -(-outputs // 4) * 4, -(-inputs // step) * step), dtype=np.int8)
    padded[:, :outputs, :inputs] = rows
    width = 1 if form == "plain" else step
    blocks = padded.reshape(groups, -1, 4, padded.shape[2] // width, width)
    return np.ascontiguousarray(np.moveaxis(blocks, 2, 3)).ravel()
