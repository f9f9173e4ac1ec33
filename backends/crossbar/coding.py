"""How signed weights become cells, and how converted currents become signed sums again.

A weight w of magnitude at most M (M = 2**(bits - 1) - 1) is written in slices of `cell_bits`
bits, least significant first:

    differential    max(w, 0) in one column and max(-w, 0) in the next, for every slice
    offset          w + M in one column per slice; one column of M per slice for the whole block

Digital subtraction has one more column, all at level 0: its current is taken from every other
before conversion, so that the lowest conductance is no offset.

The current of a converted channel, in units of one level, is that of column `plus` minus that of
column `minus`; output += coefficient * value for every channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.hardware import CrossbarHardware, Mapping, Subtraction
from snnstack.ir.nodes import Array, node


@node
class Coding:
    """How weights up to `weight_max` in magnitude are written; fields as in the hardware table."""

    mapping: Mapping
    subtraction: Subtraction
    weight_max: int
    cell_bits: int

    @property
    def levels(self) -> int:
        """Number of levels of a cell."""
        return int(2**self.cell_bits)

    @property
    def slices(self) -> int:
        """Cells that one magnitude takes."""
        largest = self.weight_max if self.mapping == "differential" else 2 * self.weight_max
        return -(-largest.bit_length() // self.cell_bits)

    def columns(self, outputs: int) -> int:
        """Columns that `outputs` weights of a row take."""
        zero = int(self.subtraction == "digital")
        if self.mapping == "differential":
            return 2 * self.slices * outputs + zero
        return self.slices * (outputs + 1) + zero

    def outputs(self, columns: int) -> int:
        """How many outputs fit `columns` columns."""
        used = columns - int(self.subtraction == "digital")
        if self.mapping == "differential":
            return used // (2 * self.slices)
        return used // self.slices - 1


class Channels(NamedTuple):
    """What is converted. Column `plus` minus column `minus` gives one value of `slice`.

    It adds `coefficient` times itself to `output` (-1: to every output). int32 each.
    """

    plus: NDArray[np.int32]
    minus: NDArray[np.int32]
    output: NDArray[np.int32]
    coefficient: NDArray[np.int32]
    slice: NDArray[np.int32]


def coding(hardware: CrossbarHardware, weight_bits: int) -> Coding:
    """The coding that a board asks for, of weights of `weight_bits` bits.

    A cell has no more levels than such a weight: its whole range is used.
    """
    most = 2 ** (weight_bits - 1) - 1
    largest = most if hardware.mapping == "differential" else 2 * most
    bits = min(hardware.cell_bits, largest.bit_length())
    return Coding(hardware.mapping, hardware.subtraction, most, bits)


def cells(code: Coding, weight: Array) -> NDArray[np.uint8]:
    """Levels [rows, columns] of integer weights [rows, outputs]."""
    rows, outputs = weight.shape
    zero = np.zeros((rows, int(code.subtraction == "digital")), dtype=np.uint8)
    if code.mapping == "differential":
        signs = np.stack([np.maximum(weight, 0), np.maximum(-weight, 0)], axis=-1)
        return np.concatenate([_sliced(code, signs, 2).reshape(rows, -1), zero], axis=1)
    shifted = _sliced(code, weight + code.weight_max, 1).reshape(rows, outputs * code.slices)
    offset = _sliced(code, np.full((rows, 1), code.weight_max), 1).reshape(rows, -1)
    return np.concatenate([shifted, offset, zero], axis=1)


def _sliced(code: Coding, values: Array, width: int) -> NDArray[np.uint8]:
    """[rows, outputs, slices, width] digits of [rows, outputs, width] (or [rows, outputs])."""
    shifts = code.cell_bits * np.arange(code.slices)[:, None]
    digits = values.reshape(*values.shape[:2], 1, width) >> shifts
    found: NDArray[np.uint8] = (digits & (code.levels - 1)).astype(np.uint8)
    return found


def channels(code: Coding, outputs: int) -> Channels:
    """The channels of a block of `outputs` outputs, in the order of its columns."""
    j, k = (part.ravel() for part in np.divmod(np.arange(outputs * code.slices), code.slices))
    coefficient = 1 << (code.cell_bits * k)
    first = np.arange(len(j))
    zero = np.full(code.columns(outputs), code.columns(outputs) - 1)
    if code.mapping == "differential":
        if code.subtraction == "analogue":
            return _channels(2 * first, 2 * first + 1, j, coefficient, k)
        signs, twice = np.tile([1, -1], len(j)), np.repeat
        columns, both = np.arange(2 * len(j)), twice(coefficient, 2) * signs
        return _channels(columns, zero[: len(columns)], twice(j, 2), both, twice(k, 2))
    slices = np.arange(code.slices)
    reference = outputs * code.slices + slices
    if code.subtraction == "analogue":
        return _channels(first, reference[k], j, coefficient, k)
    plus = np.concatenate([first, reference])
    back, every = -(1 << (code.cell_bits * slices)), np.full(code.slices, -1)
    return _channels(
        plus,
        zero[: len(plus)],
        np.concatenate([j, every]),
        np.concatenate([coefficient, back]),
        np.concatenate([k, slices]),
    )


def _channels(*parts: Array) -> Channels:
    return Channels(*(part.astype(np.int32) for part in parts))


def combined(values: Array, channel: Channels) -> Array:
    """Columns [..., columns] of a block as channels [..., channels]: plus minus minus."""
    return np.asarray(values[..., channel.plus] - values[..., channel.minus])


def summed(values: Array, channel: Channels, outputs: int) -> Array:
    """Converted channels [reads, channels] as outputs [reads, outputs]: shift and add."""
    out = np.zeros((len(values), outputs), dtype=values.dtype)
    weighted = values * channel.coefficient
    one = channel.output >= 0
    np.add.at(out.T, channel.output[one], weighted.T[one])
    return np.asarray(out + weighted[:, ~one].sum(axis=1, keepdims=True))
