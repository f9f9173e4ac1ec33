"""Pieces: all populations cut into elements-to-be, and which of them sends to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.limits import Limits
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.compilers.spinnaker2.cut import cut_input, cut_kernels, cut_lists
from snnstack.compilers.spinnaker2.lists import Lists, kernels_into, lists_into
from snnstack.errors import ModelError, fail
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Projection, size
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.reach import pairs

DENSE_PAIRS = 2**29
"""Up to so many pairs of elements are marked in a table of bytes; beyond, they are sorted."""
CHUNK = 1 << 23
LARGEST_SUM = 2**16 - 1
"""Of arriving weights of one sign in one step, that 16 bits hold."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """`blocks` of the input and every population, by name, in that order.

    Piece `first[name] + b` is block b of `name`. `kernels`: numbers of the connections that are
    kept as kernels, `wide`: 32-bit sums, by population.
    """

    blocks: Mapping[str, Blocks]
    first: Mapping[str, int]
    lists: Mapping[str, tuple[Lists, ...]]
    kernels: Mapping[str, tuple[int, ...]]
    wide: Mapping[str, bool]

    @property
    def count(self) -> int:
        """Number of pieces."""
        return sum(b.count for b in self.blocks.values())

    def names(self) -> list[str]:
        """The population of every piece."""
        return [name for name, blocks in self.blocks.items() for _ in range(blocks.count)]


def pieces(network: ChipNetwork, limits: Limits, max_count: int) -> Pieces:
    """The network cut for elements of `limits`; `max_count`: events of an input per step.

    Raises CapacityError for a neuron that alone does not fit an element.
    """
    seen = _seen(network)
    lists = {p.name: lists_into(network, p.name) for p in network.populations}
    kernels = {p.name: kernels_into(network, p.name) for p in network.populations}
    port = network.input
    blocks = {port.name: cut_input(port.shape, limits.neurons, seen.get(port.name))}
    wide = {}
    for p in network.populations:
        wide[p.name] = _needs_32_bits(network, p.name, lists[p.name], max_count)
        used = [network.connections[k] for k in kernels[p.name]]
        convs = [c.synapses for c in used if isinstance(c.synapses, Conv)]
        if convs:
            boxes = sum(_boxes(network, c.source, limits) for c in used)
            blocks[p.name] = cut_kernels(p, convs, boxes, wide[p.name], limits)
        else:
            shape = seen.get(p.name)
            blocks[p.name], _ = cut_lists(p, lists[p.name], wide[p.name], limits, shape)
    first, total = {}, 0
    for name, cut in blocks.items():
        first[name] = total
        total += cut.count
    return Pieces(blocks, first, lists, kernels, wide)


def _boxes(network: ChipNetwork, source: str, limits: Limits) -> int:
    """Elements that a source may have at most."""
    port = network.input
    n = size(port.shape) if source == port.name else network.population(source).n
    return min(n, 4 * (n // limits.neurons + 1))


def _seen(network: ChipNetwork) -> dict[str, Shape]:
    """The [C, H, W] as which kernels read a source or hold a population."""
    sizes = {network.input.name: size(network.input.shape)}
    sizes |= {p.name: p.n for p in network.populations}
    found: dict[str, Shape] = {}
    for p in network.populations:
        for k in kernels_into(network, p.name):
            c = network.connections[k]
            assert isinstance(c.synapses, Conv)
            read = c.synapses.in_shape if c.pool is None else c.pool.in_shape
            for name, shape in ((c.source, read), (c.target, c.synapses.out_shape)):
                if found.setdefault(name, shape) != shape or size(shape) != sizes[name]:
                    what = f"is seen as {list(found[name])} and as {list(shape)} by convolutions"
                    raise fail(ModelError, name, what, "use lif_no_delay for one of the targets")
    return found


def _needs_32_bits(
    network: ChipNetwork, name: str, lists: tuple[Lists, ...], max_count: int
) -> bool:
    """Whether the weights of one sign that may arrive in one step leave 16 bits."""
    n, port = network.population(name).n, network.input.name
    sums = np.zeros((2, n))
    for part in lists:
        times = max_count if part.source == port else 1
        for start in range(0, len(part.target), CHUNK):
            piece = slice(start, start + CHUNK)
            weight, target = part.weight[piece].astype(np.float64), part.target[piece]
            for row, sign in enumerate((1, -1)):
                some = np.maximum(sign * weight, 0)
                sums[row] += times * np.bincount(target, some, minlength=n)
    most = float(sums.max(initial=0.0))
    for k in kernels_into(network, name):
        c = network.connections[k]
        weight = np.asarray(c.synapses.weight, dtype=np.float64)
        rows = weight.reshape(len(weight), -1)
        largest = max(float(np.maximum(s * rows, 0).sum(axis=1).max(initial=0)) for s in (1, -1))
        windows = 1 if c.pool is None else size(c.pool.kernel)
        most += largest * windows * (max_count if c.source == port else 1)
    return most > LARGEST_SUM


def reach(network: ChipNetwork, cut: Pieces) -> Any:
    """Which piece sends to which: a scipy CSR matrix [piece, piece] of bool, True stored only."""
    import scipy.sparse as sp

    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for p in network.populations:
        target = cut.blocks[p.name]
        for part in cut.lists[p.name]:
            source = cut.blocks[part.source]
            found = _joined(part, source, target)
            rows.append(found[0] + cut.first[part.source])
            columns.append(found[1] + cut.first[p.name])
        for k in cut.kernels[p.name]:
            c = network.connections[k]
            own = cut.blocks[c.source].of_neurons()
            wire = Projection(c.source, c.target, c.synapses, 0, c.pool)
            for pair in pairs(wire, target):
                key = np.unique(own[pair.source] * target.count + pair.block)
                rows.append(key // target.count + cut.first[c.source])
                columns.append(key % target.count + cut.first[p.name])
    row, column = np.concatenate(rows), np.concatenate(columns)
    made = sp.coo_matrix((np.ones(len(row), np.int8), (row, column)), (cut.count, cut.count))
    made = made.tocsr()
    made.sum_duplicates()
    made.sort_indices()
    made.data[:] = 1
    return made.astype(bool)


def _joined(part: Lists, source: Blocks, target: Blocks) -> tuple[Array, Array]:
    """Distinct (source block, target block) of the synapses of `part`."""
    own, to = source.of_neurons().astype(np.int32), target.of_neurons().astype(np.int32)
    small = source.count * target.count <= DENSE_PAIRS
    marked = np.zeros((source.count, target.count) if small else (0, 0), dtype=bool)
    keys = [np.zeros(0, dtype=np.int64)]
    start, neurons = 0, len(part.indptr) - 1
    while start < neurons:
        stop = int(np.searchsorted(part.indptr, part.indptr[start] + CHUNK, side="right")) - 1
        stop = min(max(stop, start + 1), neurons)
        lengths = np.diff(part.indptr[start : stop + 1])
        block = to[part.target[part.indptr[start] : part.indptr[stop]]]
        sent = np.repeat(own[start:stop], lengths)
        if small:
            marked[sent, block] = True
        else:
            keys.append(np.unique(sent.astype(np.int64) * target.count + block))
        start = stop
    if small:
        found = np.nonzero(marked)
        return found[0], found[1]
    key = np.unique(np.concatenate(keys))
    return key // target.count, key % target.count
