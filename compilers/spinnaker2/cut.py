"""Cut: every population into blocks of neurons, each of which fits one processing element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnstack.backends.spinnaker2.image import KERNEL, SOURCE_WORDS, neuron_words, table_bytes
from snnstack.backends.spinnaker2.limits import Limits
from snnstack.backends.spinnaker2.network import ChipPopulation
from snnstack.backends.spinnaker2.words import slots
from snnstack.compilers.spinnaker2.lists import Lists
from snnstack.errors import CapacityError, fail
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, size
from snnstack.mapping.blocks import Blocks

BOX_BYTES, KERNEL_BYTES = 4 * SOURCE_WORDS, 4 * len(KERNEL) + 3
ROW_BYTES, WORD_BYTES = 6, 2
"""Of a row of synapses, its key and its start; of a synapse."""
MOST_WORDS = 2**16 - 1
"""What the start of a row can count."""
CHUNK = 1 << 23
"""Synapses looked at in one go."""
ROUNDS = 40
"""Every round cuts at least one block smaller; real networks need two or three."""
SPARE = 1.02
"""Rows expected beyond what the round before measured."""


NETWORK_TABLES = ("keys", "starts", "words", "weights", "source_table", "neurons")
"""Those that the network makes large."""


@dataclass(frozen=True, eq=False)
class Demand:
    """What the lists into a population need, by block: int64 [block]."""

    rows: Array
    words: Array


@dataclass(frozen=True)
class Room:
    """Of an element: bytes that it needs whatever it holds, and bytes of every neuron."""

    kind: str
    steps: int
    wide: bool

    @property
    def fixed(self) -> int:
        """Without neurons and synapses; what alignment may add to both is in it."""
        return sum(self.tables(0).values()) + 8

    @property
    def each(self) -> int:
        """State and parameters of a neuron."""
        return 4 * len(neuron_words(self.kind))

    def tables(self, n: int, rows: int = 0, words: int = 0) -> dict[str, int]:
        """Every table of an element with `n` neurons."""
        return table_bytes(self.kind, n, self.steps, self.wide, rows, words)

    def used(self, sizes: Array, demand: Demand) -> Array:
        """Bytes of every block."""
        starts, words = 2 * demand.rows + 2, 2 * demand.words
        synapses = 4 * demand.rows + (starts + 3) // 4 * 4 + (words + 3) // 4 * 4
        return np.asarray(self.fixed - 12 + sizes * self.each + synapses)


def room(p: ChipPopulation, wide: bool) -> Room:
    """What an element needs for neurons of `p`."""
    kind = "lif" if p.exc_decay is None else "lif_curr_exp"
    return Room(kind, slots(p.application), wide)


def even(n: int, most: int) -> Array:
    """Bounds of intervals of at most `most`, as equal as whole numbers allow."""
    parts = max(-(-n // max(most, 1)), 1)
    return np.arange(parts + 1, dtype=np.int64) * n // parts


def cut_input(shape: Shape, most: int, seen: Shape | None) -> Blocks:
    """The input in blocks of at most `most`; in boxes of `seen` if a kernel reads it so."""
    if seen is None:
        n = size(shape)
        return Blocks((n,), (even(n, most),))
    return tiles(seen, most, most)


def tiles(shape: Shape, channels: int, most: int) -> Blocks:
    """Boxes of at most `channels` channels and `most` neurons, patches as square as possible."""
    c, height, width = shape
    bounds = even(c, min(channels, most))
    area = max(most // int(np.diff(bounds).max(initial=1)), 1)
    tall = min(height, max(int(area**0.5), 1))
    wide = min(width, max(area // tall, 1))
    tall = min(height, max(area // wide, 1))
    return Blocks(shape, (bounds, even(height, tall), even(width, wide)))


def cut_kernels(
    p: ChipPopulation, kernels: Sequence[Conv], boxes: int, wide: bool, limits: Limits
) -> Blocks:
    """Boxes of a convolution's population: of all ways the one with the fewest elements.

    `boxes`: source elements at most. Raises CapacityError if one channel's kernel is too large.
    """
    shape, c_out = kernels[0].out_shape, kernels[0].out_shape[0]
    per_channel = sum(int(np.prod(k.weight.shape[1:])) for k in kernels)
    own = room(p, wide)
    best: Blocks | None = None
    for parts in range(1, c_out + 1):
        held = -(-c_out // parts)
        taken = own.fixed + held * per_channel + boxes * BOX_BYTES + len(kernels) * KERNEL_BYTES
        most = min((limits.data_bytes - taken) // own.each, limits.neurons)
        if most < held:
            continue
        found = tiles(shape, held, most)
        if best is None or found.count < best.count:
            best = found
        if size(shape) / found.count > 0.9 * limits.neurons:
            break
    if best is None:
        used = table_bytes(own.kind, 1, own.steps, wide, 0, 0, ((per_channel, boxes),))
        raise too_large(p.name, 0, 1, used, limits)
    return best


def cut_lists(
    p: ChipPopulation, lists: Sequence[Lists], wide: bool, limits: Limits, seen: Shape | None
) -> tuple[Blocks, Demand]:
    """Blocks of a population with synapse lists, and what each needs.

    Intervals of neurons; boxes of the shape `seen` if a kernel reads the population.
    """
    degree = np.zeros(p.n, dtype=np.int64)
    for part in lists:
        for start in range(0, len(part.target), CHUNK):
            degree += np.bincount(part.target[start : start + CHUNK], minlength=p.n)
    available = sum(int(np.count_nonzero(np.diff(part.indptr))) for part in lists)
    if seen is not None:
        return _cut_boxes(p, lists, wide, limits, seen)
    own = room(p, wide)
    sharing, most = 1.0, np.full(p.n, limits.neurons, dtype=np.int64)
    best: tuple[Blocks, Demand] | None = None
    for _ in range(ROUNDS):
        blocks = Blocks((p.n,), (_filled(degree, most, own, sharing, available, limits),))
        demand = measure(lists, blocks)
        used = own.used(blocks.sizes(), demand)
        over = (used > limits.data_bytes) | (demand.words > MOST_WORDS)
        if not over.any():
            if best is not None and blocks.count >= best[0].count:
                return best
            best = blocks, demand
            bound = np.minimum(demand.words, available)
            measured = float((demand.rows / np.maximum(bound, 1)).max(initial=0.0)) * SPARE
            if measured >= 0.95 * sharing:
                return best
            sharing = measured
            continue
        if best is not None:
            return best
        most = _smaller(p.name, blocks, demand, own, most, limits)
    assert best is not None
    return best


def _smaller(
    name: str, blocks: Blocks, demand: Demand, own: Room, most: Array, limits: Limits
) -> Array:
    """New limits of neurons for the blocks that are too large."""
    sizes = blocks.sizes()
    used = own.used(sizes, demand)
    over = (used > limits.data_bytes) | (demand.words > MOST_WORDS)
    single = over & (sizes == 1)
    if single.any():
        b = int(np.flatnonzero(single)[0])
        tables = own.tables(1, int(demand.rows[b]), int(demand.words[b]))
        raise too_large(name, b, 1, tables, limits)
    excess = np.maximum(used / limits.data_bytes, demand.words / MOST_WORDS)
    wanted = np.maximum((sizes / np.maximum(excess, 1.0) ** 0.9).astype(np.int64), 1)
    wanted = np.where(over, np.minimum(wanted, sizes - 1), limits.neurons)
    return np.asarray(np.minimum(most, wanted[blocks.of_neurons()]))


def _filled(
    degree: Array, most: Array, own: Room, sharing: float, available: int, limits: Limits
) -> Array:
    """Bounds of intervals, each as long as the memory lasts if rows are `sharing` of synapses."""
    total = np.concatenate([[0], np.cumsum(degree)])
    bounds, n = [0], len(degree)
    while bounds[-1] < n:
        first = bounds[-1]
        stop = min(first + int(most[first]), n)
        count = np.arange(1, stop - first + 1)
        words = total[first + 1 : stop + 1] - total[first]
        rows = np.minimum(words, available) * min(sharing, 1.0)
        needed = own.fixed + count * own.each + words * WORD_BYTES + rows * ROW_BYTES
        fits = (needed <= limits.data_bytes) & (words <= MOST_WORDS)
        held = int(np.count_nonzero(fits))
        bounds.append(first + max(held, 1))
    return _balanced(np.array(bounds, dtype=np.int64), degree, most, limits)


def _balanced(bounds: Array, degree: Array, most: Array, limits: Limits) -> Array:
    """As many intervals of equal length, where that asks no more of any of them."""
    n, parts = len(degree), len(bounds) - 1
    equal = np.arange(parts + 1, dtype=np.int64) * n // parts
    lengths = np.diff(equal)
    uniform = len(degree) == 0 or (degree.min() == degree.max() and most.min() == most.max())
    return equal if uniform and lengths.max(initial=0) <= limits.neurons else bounds


def _cut_boxes(
    p: ChipPopulation, lists: Sequence[Lists], wide: bool, limits: Limits, seen: Shape
) -> tuple[Blocks, Demand]:
    most, own = limits.neurons, room(p, wide)
    while True:
        blocks = tiles(seen, seen[0], most)
        demand = measure(lists, blocks)
        used = own.used(blocks.sizes(), demand)
        excess = max(
            float(used.max(initial=0)) / limits.data_bytes,
            float(demand.words.max(initial=0)) / MOST_WORDS,
        )
        if excess <= 1:
            return blocks, demand
        if most == 1:
            b = int(used.argmax())
            tables = own.tables(1, int(demand.rows[b]), int(demand.words[b]))
            raise too_large(p.name, b, 1, tables, limits)
        most = max(min(int(most / excess**0.9), most - 1), 1)


def measure(lists: Sequence[Lists], blocks: Blocks) -> Demand:
    """Rows and words of every block."""
    order = blocks.of_neurons().astype(np.int32)
    rows, words = np.zeros(blocks.count, np.int64), np.zeros(blocks.count, np.int64)
    for part in lists:
        for start in range(0, len(part.target), CHUNK):
            block = order[part.target[start : start + CHUNK]]
            words += np.bincount(block, minlength=blocks.count)
        rows += _distinct(part, order, blocks.count)
    return Demand(rows, words)


def _distinct(part: Lists, order: Array, count: int) -> Array:
    """How many sources reach each block: int64 [block]; synapses are looked at in chunks."""
    found, start, sources = np.zeros(count, dtype=np.int64), 0, len(part.indptr) - 1
    while start < sources:
        reach = int(np.searchsorted(part.indptr, part.indptr[start] + CHUNK, side="right")) - 1
        stop = min(max(reach, start + 1), sources)
        piece = slice(int(part.indptr[start]), int(part.indptr[stop]))
        lengths = np.diff(part.indptr[start : stop + 1])
        key = np.repeat(np.arange(stop - start, dtype=np.int64), lengths) * count
        key += order[part.target[piece]]
        if len(key) and np.any(key[1:] < key[:-1]):
            key.sort()
        first = np.concatenate([[True], key[1:] != key[:-1]]) if len(key) else np.zeros(0, bool)
        found += np.bincount(key[first] % count, minlength=count)
        start = stop
    return found


def too_large(
    name: str, block: int, neurons: int, used: Mapping[str, int], limits: Limits
) -> CapacityError:
    """Which element, which table, how many bytes, and the smallest change that would fit."""
    total = sum(used.values())
    own = {key: used[key] for key in NETWORK_TABLES if key in used} or dict(used)
    table = max(own, key=lambda key: own[key])
    what = (
        f"element {block} of it, with {neurons} neuron{'s' if neurons > 1 else ''}, needs "
        f"{total:,} bytes, an element has {limits.data_bytes:,}; the table of {table} takes "
        f"{used[table]:,}"
    )
    hint = _remedy(used, total - limits.data_bytes)
    error = fail(CapacityError, name, what, hint)
    assert isinstance(error, CapacityError)
    return error


def _remedy(used: Mapping[str, int], excess: int) -> str:
    """The smallest change after which the tables are `excess` bytes smaller."""
    if excess < used.get("weights", 0):
        return f"make the kernel of one output channel {-(-excess // 4) * 4:,} weights smaller"
    synapses = -(-excess // (WORD_BYTES + ROW_BYTES))
    if synapses * WORD_BYTES <= used.get("words", 0):
        return f"remove {synapses:,} synapses of this neuron, from sources of their own"
    return "no neuron of this application fits: choose a board with larger elements"
