"""`Blocks`: a population cut into boxes of neurons, each of which goes to one core.

A cut is a product: the neurons of shape (C, H, W) are cut along every axis, and a block is one
interval of each. Blocks are numbered in C order of their intervals.
"""

from __future__ import annotations

from math import prod

import numpy as np

from snnstack.ir.nodes import Array, Shape, node


@node
class Blocks:
    """`bounds[axis]`: int64, 0 = first < ... < last = `shape[axis]`."""

    shape: Shape
    bounds: tuple[Array, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of intervals along each axis."""
        return tuple(len(bounds) - 1 for bounds in self.bounds)

    @property
    def count(self) -> int:
        """Number of blocks."""
        return prod(self.counts)

    def sizes(self) -> Array:
        """Neurons in every block: int64 [count]."""
        total = np.ones((), dtype=np.int64)
        for bounds in self.bounds:
            total = np.multiply.outer(total, np.diff(bounds))
        return total.reshape(-1)

    def of_neurons(self) -> Array:
        """The block of every neuron: int64 [n]."""
        block = np.zeros((), dtype=np.int64)
        for axis, count in enumerate(self.counts):
            block = np.add.outer(block * count, self.along(axis))
        return block.reshape(-1)

    def along(self, axis: int) -> Array:
        """The interval of every position on `axis`: int64 [shape[axis]]."""
        bounds = self.bounds[axis]
        return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def cut(shape: Shape, most: int, tiled: bool) -> Blocks:
    """Blocks of at most `most` neurons, as equal as whole numbers allow.

    `tiled` (shape (C, H, W)): all channels of a patch stay together as long as they fit, and
    patches are as square as possible, because neurons of a map share the inputs of their
    patch. Otherwise: intervals of neurons in C order.

    >>> cut((10,), 4, False).sizes().tolist()
    [3, 3, 4]
    >>> cut((2, 4, 4), 8, True).counts
    (1, 2, 2)
    """
    most = max(most, 1)
    if not tiled:
        n = prod(shape)
        return Blocks((n,), (_even(n, most),))
    channels, height, width = shape
    kept = min(channels, most)
    area = max(most // kept, 1)
    tall = min(height, max(int(area**0.5), 1))
    wide = min(width, max(area // tall, 1))
    tall = min(height, max(area // wide, 1))
    return Blocks(shape, (_even(channels, kept), _even(height, tall), _even(width, wide)))


def _even(n: int, most: int) -> Array:
    """Bounds of intervals of at most `most`."""
    parts = max(-(-n // most), 1)
    return np.arange(parts + 1, dtype=np.int64) * n // parts
