"""Weights as 32-bit table words: four outputs a byte lane each, 1 to 8 bits a weight.

Field f of a byte (bits f * `bits` ...) belongs to the word's outputs 4 f .. 4 f + 3, one per byte.
Which byte holds which of the four outputs is the kernels' choice (`byte_output`). A field holds
the weight plus 2**(bits - 1); of 1 bit, 0 means -1 and 1 means +1. Words are read little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snnstack.ir.nodes import Array

PAIRED = (0, 2, 1, 3)
"""Byte k of a word holds output PAIRED[k] of four: bytes 0 and 2 are outputs 0 and 1, so that two
16-bit lanes stand in memory in the order of the outputs."""
PLAIN = (0, 1, 2, 3)
BLOCK_ROWS: Mapping[int, int] = MappingProxyType({8: 257, 4: 17, 2: 85, 1: 255})
"""How many rows always fit the lanes: 257 * 127 < 2**15; 17 * 15, 85 * 3 and 255 * 1 < 2**8."""
WIDTHS = tuple(BLOCK_ROWS)


def words_per_row(outputs: int, bits: int) -> int:
    """Table words of a row; the last may be partly empty."""
    return -(-outputs * bits // 32)


def padded(outputs: int, bits: int) -> int:
    """Outputs that whole words stand for."""
    return words_per_row(outputs, bits) * 32 // bits


def pack_rows(weight: Array, bits: int, byte_output: tuple[int, ...]) -> NDArray[np.uint32]:
    """uint32 [rows, words] of integer weights [rows, outputs]; empty places hold the offset."""
    rows, outputs = weight.shape
    fields = np.full((rows, padded(outputs, bits)), _empty(bits), dtype=np.uint8)
    fields[:, :outputs] = _fields(weight, bits)
    bytes_ = np.zeros((rows, len(fields[0]) * bits // 32, 4), dtype=np.uint8)
    grouped = fields.reshape(rows, -1, 8 // bits, 4)[..., list(byte_output)]
    for f in range(8 // bits):
        bytes_ |= grouped[:, :, f] << np.uint8(f * bits)
    return np.ascontiguousarray(bytes_).view("<u4")[..., 0]


def pack_list(weight: Array, bits: int) -> NDArray[np.uint8]:
    """A flat list of weights as bytes, the first in the lowest bits; signed for 8 bits."""
    if bits == 8:
        return weight.astype(np.int8).view(np.uint8)
    per_byte = 8 // bits
    fields = np.full(-(-len(weight) // per_byte) * per_byte, _empty(bits), dtype=np.uint8)
    fields[: len(weight)] = _fields(weight, bits)
    found = np.zeros(len(fields) // per_byte, dtype=np.uint8)
    for f in range(per_byte):
        found |= fields[f::per_byte] << np.uint8(f * bits)
    return found


def signed_rows(weight: Array, byte_output: tuple[int, ...]) -> NDArray[np.uint32]:
    """uint32 [rows, outputs / 4] of int8 weights as they are; `outputs` a multiple of 4."""
    rows, outputs = weight.shape
    grouped = weight.astype(np.int8).reshape(rows, outputs // 4, 4)[..., list(byte_output)]
    return np.ascontiguousarray(grouped).view("<u4")[..., 0]


def _empty(bits: int) -> int:
    return 1 << (bits - 1) if bits > 1 else 0


def _fields(weight: Array, bits: int) -> NDArray[np.uint8]:
    if bits == 1:
        return (weight > 0).astype(np.uint8)
    return (weight.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8)
