"""Synaptic memory: words of a core that the synapses of one projection take, as wires.

A synapse list holds groups of up to 64 synapses; a group starts with the number of its format
and its length, ends at a word boundary, and every synapse has a weight, and where the list is
sparse an index. Per list the shorter of the two forms is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from snnstack.backends.loihi.limits import (
    DELAY_BITS,
    GROUP,
    HEADER_BITS,
    LEAST_INDEX_BITS,
    WEIGHT_BITS,
    WORD_BITS,
    Limits,
)
from snnstack.backends.loihi.network import Connection
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Projection
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.partition import Wire

WORD_BYTES = WORD_BITS // 8


def wire(projection: Projection, stored: Sequence[Connection], limits: Limits) -> Wire:
    """`projection` (all signs together) as a wire; `stored`: the connections that hold it.

    Connections of one projection share the message of a spike; each has lists of its own.
    """
    bits = max(_stored_bits(c) for c in stored)
    delayed = DELAY_BITS if any(c.delay for c in stored) else 0
    lists = len(stored)
    if isinstance(projection.synapses, Conv) and limits.shared_weights:
        kernel = partial(_kernel_bytes, projection.synapses, bits + delayed, lists)
        return Wire(projection, _no_list, kernel)
    return Wire(projection, partial(_list_bytes, bits + delayed, lists), _no_block)


def _stored_bits(c: Connection) -> int:
    """The legal width that holds a weight; the sign of a mixed one is one of its bits."""
    return next((legal for legal in WEIGHT_BITS if legal >= c.bits), WEIGHT_BITS[-1])


def _list_bytes(bits: int, lists: int, lengths: Array, targets: Array) -> Array:
    """Bytes of every list; equal ones are computed once where that is less work."""
    if not len(lengths):
        return np.zeros(0, dtype=np.int64)
    length, target = np.flatnonzero(np.bincount(lengths)), np.flatnonzero(np.bincount(targets))
    if len(length) * len(target) > len(lengths) // 2:
        return _bytes_of(bits, lists, lengths, targets)
    grid = np.broadcast_arrays(length[:, None], target)
    table = _bytes_of(bits, lists, grid[0].ravel(), grid[1].ravel()).reshape(grid[0].shape)
    row, column = np.zeros(length[-1] + 1, np.int64), np.zeros(target[-1] + 1, np.int64)
    row[length], column[target] = np.arange(len(length)), np.arange(len(target))
    return np.asarray(table[row[lengths], column[targets]])


def _bytes_of(bits: int, lists: int, lengths: Array, targets: Array) -> Array:
    index = np.maximum(np.ceil(np.log2(np.maximum(targets, 2))).astype(np.int64), LEAST_INDEX_BITS)
    sparse = _words(lengths, bits + index) + lists - 1
    dense = _words(targets, np.full_like(index, bits)) * lists
    return np.asarray(np.minimum(sparse, dense) * WORD_BYTES)


def _words(length: Array, bits: Array) -> Array:
    """Words of lists of `length` synapses of `bits` each."""
    full, rest = np.divmod(length, GROUP)
    group = -(-(HEADER_BITS + GROUP * bits) // WORD_BITS)
    last = -(-(HEADER_BITS + rest * bits) // WORD_BITS)
    return np.asarray(full * group + np.where(rest > 0, last, 0))


def _kernel_bytes(conv: Conv, bits: int, lists: int, blocks: Blocks) -> Array:
    """A kernel stored once: every weight of the channels in a block, as one dense list."""
    per_channel = int(np.prod(conv.weight.shape[1:]))
    channels = np.diff(blocks.bounds[0])
    words = _words(channels * per_channel, np.full(len(channels), bits)) * lists
    return np.repeat(words * WORD_BYTES, blocks.count // len(channels))


def _no_list(lengths: Array, targets: Array) -> Array:
    return np.zeros(len(lengths), dtype=np.int64)


def _no_block(blocks: Blocks) -> Array:
    return np.zeros(blocks.count, dtype=np.int64)
