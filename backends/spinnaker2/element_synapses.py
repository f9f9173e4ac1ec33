"""Synapses in the two forms a processing element holds: rows of 16-bit words, and kernels.

    with delays:  weight 4 | delay 3 | type 1 | index 8        (type 1: inhibitory)
    without:      weight 7           | type 1 | index 8
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from snnstack.backends.spinnaker2.network import Connection
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import Array, Shape, node
from snnstack.ir.step import Conv, size

DELAY_SHIFT, WEIGHT_SHIFT, WEIGHT_SHIFT_NO_DELAY, TYPE_SHIFT = 9, 12, 9, 8


@node
class Block:
    """Neurons of a population or input on one element: `neurons[k]` sends the key `key + k`.

    `neurons` int [n], numbers in C order of the population's shape, ascending.
    """

    source: str
    neurons: Array
    key: int

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.neurons)

    def __str__(self) -> str:
        return f"{self.source}[{int(self.neurons[0])}..{int(self.neurons[-1])}]"

    def places(self, total: int) -> Array:
        """int64 [total]: for each neuron of the population its place here, or -1."""
        found = np.full(total, -1, dtype=np.int64)
        found[self.neurons] = np.arange(self.n)
        return found


@node
class Rows:
    """All synapses of one source population: int64 arrays of one length, in order of source.

    `weight` is a magnitude, `kind` 1 for an inhibitory synapse.
    """

    source: Array
    target: Array
    weight: Array
    delay: Array
    kind: Array

    def onto(self, places: Array) -> Rows:
        """The synapses to the neurons that have a place, with it as target."""
        target = places[self.target]
        kept = target >= 0
        return Rows(
            self.source[kept], target[kept], self.weight[kept], self.delay[kept], self.kind[kept]
        )

    def words(self, source: Block, delays: bool, limit: int) -> tuple[Array, Array]:
        """(synapse words, uint16; their number for each neuron of `source`).

        A weight beyond `limit` (several events meet in a pool's window) takes several words.
        """
        first = np.searchsorted(self.source, source.neurons)
        counts = np.searchsorted(self.source, source.neurons, side="right") - first
        row = np.repeat(np.arange(source.n), counts)
        here = np.arange(len(row)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        pieces = -(-self.weight[here] // limit)
        each = np.repeat(here, pieces)
        number = np.arange(len(each)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        part = np.minimum(self.weight[each] - number * limit, limit)
        shift = WEIGHT_SHIFT if delays else WEIGHT_SHIFT_NO_DELAY
        word = part << shift | self.kind[each] << TYPE_SHIFT | self.target[each]
        if delays:
            word |= self.delay[each] << DELAY_SHIFT
        lengths = np.bincount(np.repeat(row, pieces), minlength=source.n)
        return word.astype(np.uint16), lengths


def rows_from(connections: Iterable[Connection], targets: int) -> dict[str, Rows]:
    """{source: its synapses}, pools folded in, weights of 0 left out."""
    found: dict[str, list[Array]] = {}
    for c in connections:
        for kind, sign in enumerate((1, -1)):
            weight = np.maximum(sign * np.asarray(c.synapses.weight, dtype=np.int64), 0)
            entries = matrix(replace(c.synapses, weight=weight), targets)
            if c.pool is not None:
                entries = entries @ pool_matrix(c.pool).astype(np.int64)
            entries = entries.tocoo()
            used = entries.data > 0
            block = np.zeros((5, int(used.sum())), dtype=np.int64)
            block[:3] = entries.col[used], entries.row[used], entries.data[used]
            block[3], block[4] = c.delay, kind
            found.setdefault(c.source, []).append(block)
    made = {}
    for source, blocks in found.items():
        block = np.concatenate(blocks, axis=1)
        order = np.lexsort((block[1], block[0]))
        made[source] = Rows(*block[:, order])
    return made


@node
class Box:
    """Neurons as a part of a [C, H, W] map: number `first` + k of those in the part.

    The part: `channels`, `height`, `width` from `channel`, `y`, `x` on.
    """

    first: int
    channel: int
    y: int
    x: int
    channels: int
    height: int
    width: int


def box_of(neurons: Array, shape: Shape) -> Box | None:
    """The part of a map that `neurons` (ascending) are exactly; None if they are not one."""
    at = np.unravel_index(neurons, shape)
    low, high = [int(a.min()) for a in at], [int(a.max()) for a in at]
    sizes = [b - a + 1 for a, b in zip(low, high, strict=True)]
    return Box(0, *low, *sizes) if size(tuple(sizes)) == len(neurons) else None


def run_of(neurons: Array, shape: Shape) -> Box | None:
    """As `box_of`, or neurons without a gap."""
    if int(neurons[-1]) - int(neurons[0]) + 1 == len(neurons):
        return Box(int(neurons[0]), 0, 0, 0, *shape)
    return box_of(neurons, shape)


def kernel_fits(c: Connection, sources: Iterable[Block], targets: Iterable[Block]) -> bool:
    """Is `c` a convolution, at most behind a plain pool, between parts of maps?"""
    if not isinstance(c.synapses, Conv):
        return False
    if c.pool is not None and (c.pool.kernel != c.pool.stride or c.pool.padding != (0, 0)):
        return False
    before, after = _shapes(c, c.synapses)
    return all(box_of(b.neurons, after) is not None for b in targets) and all(
        run_of(b.neurons, before) is not None for b in sources if b.source == c.source
    )


def _shapes(c: Connection, conv: Conv) -> tuple[Shape, Shape]:
    return conv.in_shape if c.pool is None else c.pool.in_shape, conv.out_shape


@node
class ConvTable:
    """A kernel for one source block: `geometry` int words, `weight` int8 [C, C_in/g, K_y, K_x].

    Only the output channels that the target block holds are kept.
    """

    geometry: tuple[int, ...]
    weight: Array


def conv_table(c: Connection, source: Block, target: Block) -> ConvTable:
    """The kernel of `c` as the block `target` needs it for `source`; see `kernel_fits`."""
    conv = c.synapses
    if not isinstance(conv, Conv):
        raise TypeError(f"{c.source} -> {c.target} is no convolution")
    before, after = _shapes(c, conv)
    given, made = run_of(source.neurons, before), box_of(target.neurons, after)
    if given is None or made is None:
        raise TypeError(f"{c.source} -> {c.target} does not join parts of maps")
    c_out, c_in, *kernel = conv.weight.shape
    geometry = (
        given.first, given.channel, given.y, given.x, given.height, given.width,
        *(c.pool.kernel if c.pool else (1, 1)), *conv.in_shape[1:], *conv.out_shape[1:], *kernel,
        *conv.stride, *conv.padding, *conv.dilation, c_in, c_out // conv.groups,
        made.channel, made.channels, made.y, made.height, made.x, made.width,
    )  # fmt: skip
    kept = conv.weight[made.channel : made.channel + made.channels].astype(np.int8).ravel()
    return ConvTable(tuple(int(value) for value in geometry), kept)
