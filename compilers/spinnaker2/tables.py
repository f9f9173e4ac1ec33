"""Tables: the memory of every element, from the cut network and the numbers of its elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.delivery import distinct
from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation
from snnstack.backends.spinnaker2.program import INDEX_BITS, Kernel, Rows
from snnstack.backends.spinnaker2.words import encode
from snnstack.compilers.spinnaker2.pieces import Pieces
from snnstack.ir.nodes import Array, read_only
from snnstack.ir.step import Conv, Projection
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.reach import pairs


@dataclass(frozen=True, eq=False)
class Image:
    """What one piece keeps; `sources` int32: elements that send to it, ascending."""

    neurons: Array
    rows: Rows
    kernels: tuple[Kernel, ...]
    sources: Array


AT_ONCE = 1 << 24
"""Synapses that are sorted in one go."""
NO_ROWS = Rows(
    read_only([], np.uint32),
    read_only([0], np.uint16),
    read_only([], np.uint16),
)


def images(network: ChipNetwork, cut: Pieces, number: Array) -> dict[int, Image]:
    """The image of every piece, by its element's number; `number` [piece]."""
    port = network.input.name
    found = {}
    for b, neurons in enumerate(_members(cut.blocks[port])):
        element = int(number[cut.first[port] + b])
        found[element] = Image(neurons, NO_ROWS, (), read_only([], np.int32))
    keys = {name: _keys(cut, name, number) for name in cut.blocks}
    for p in network.populations:
        blocks = cut.blocks[p.name]
        rows = _rows(p, cut, keys)
        kernels = _kernels(network, p, cut, number)
        for b, neurons in enumerate(_members(blocks)):
            kept = tuple(k[b] for k in kernels)
            image = _image(neurons, next(rows), kept)
            found[int(number[cut.first[p.name] + b])] = image
    return found


def _image(neurons: Array, rows: Rows, kernels: tuple[Kernel, ...]) -> Image:
    sources = distinct(rows.keys >> np.uint32(INDEX_BITS)).astype(np.int32)
    if kernels:
        sources = np.unique(np.concatenate([sources, *(k.sources for k in kernels)]))
    return Image(neurons, rows, kernels, sources.astype(np.int32))


def _members(blocks: Blocks) -> list[Array]:
    """The neurons of every block, ascending: int32."""
    order = blocks.of_neurons()
    members = read_only(np.argsort(order, kind="stable"), np.int32)
    ends = np.cumsum(blocks.sizes())
    return [members[e - n : e] for e, n in zip(ends, blocks.sizes(), strict=True)]


def _positions(blocks: Blocks) -> Array:
    """The place of every neuron in its block: int64 [n]."""
    found = np.empty(int(blocks.sizes().sum()), dtype=np.int64)
    for members in _members(blocks):
        found[members] = np.arange(len(members))
    return found


def _keys(cut: Pieces, name: str, number: Array) -> Array:
    """The packet of every neuron of a source: uint32 [n]."""
    blocks = cut.blocks[name]
    element = number[cut.first[name] + blocks.of_neurons()]
    return np.asarray((element << INDEX_BITS) + _positions(blocks)).astype(np.uint32)


def _rows(p: ChipPopulation, cut: Pieces, keys: dict[str, Array]) -> Iterator[Rows]:
    """The synapse rows of all blocks of a population, one after the other."""
    blocks, lists = cut.blocks[p.name], cut.lists[p.name]
    kind: Any = np.uint16 if blocks.count < 2**16 else np.int64
    order = blocks.of_neurons().astype(kind)
    position = _positions(blocks).astype(np.uint8)
    total = sum(len(part.target) for part in lists)
    together = max(blocks.count * AT_ONCE // max(total, 1), 1)
    to = [order[part.target] for part in lists]
    key = [np.repeat(keys[part.source], np.diff(part.indptr)) for part in lists]
    for start in range(0, blocks.count, together):
        stop = min(start + together, blocks.count)
        found = []
        for part, block, sent in zip(lists, to, key, strict=True):
            chosen = np.flatnonzero((block >= start) & (block < stop))
            chosen = chosen[np.argsort(block[chosen], kind="stable")]
            ends = np.searchsorted(block[chosen], np.arange(start, stop + 1))
            index = position[part.target[chosen]]
            word = encode(p.application, part.weight[chosen], part.delay[chosen], index)
            found.append((ends, sent[chosen], word))
        for b in range(stop - start):
            yield _joined([(k[e[b] : e[b + 1]], w[e[b] : e[b + 1]]) for e, k, w in found])


def _joined(parts: Sequence[tuple[Array, Array]]) -> Rows:
    parts = [part for part in parts if len(part[0])]
    if not parts:
        return NO_ROWS
    key, word = parts[0]
    if len(parts) > 1:
        key, word = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        key, word = key[order], word[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    starts = np.append(first, len(key)).astype(np.uint16)
    return Rows(key[first], starts, word)


def _kernels(
    network: ChipNetwork, p: ChipPopulation, cut: Pieces, number: Array
) -> list[list[Kernel]]:
    """For each connection that `p` keeps as a kernel, its part in every block."""
    found, blocks = [], cut.blocks[p.name]
    for k in cut.kernels[p.name]:
        c = network.connections[k]
        assert isinstance(c.synapses, Conv)
        source = cut.blocks[c.source]
        element, corners = number[cut.first[c.source] :][: source.count], boxes(source)
        sent = source.of_neurons()
        wire = Projection(c.source, c.target, c.synapses, 0, c.pool)
        reached: list[list[Array]] = [[] for _ in range(blocks.count)]
        keys = [np.unique(sent[f.source] * blocks.count + f.block) for f in pairs(wire, blocks)]
        for key in np.unique(np.concatenate([np.zeros(0, np.int64), *keys])):
            reached[int(key % blocks.count)].append(key // blocks.count)
        made = []
        for b, box in enumerate(boxes(blocks)):
            own = np.array(reached[b], dtype=np.int64)
            own = own[np.argsort(element[own])]
            weight = np.asarray(c.synapses.weight)[box[0, 0] : box[0, 1]].astype(np.int8)
            numbers = element[own].astype(np.int32)
            made.append(Kernel(k, weight, box, numbers, corners[own]))
        found.append(made)
    return found


def boxes(blocks: Blocks) -> Array:
    """First and last + 1 along every axis of every block: int32 [block, axes, 2]."""
    axes = [np.stack([b[:-1], b[1:]], axis=1) for b in blocks.bounds]
    grid = np.meshgrid(*(np.arange(len(a)) for a in axes), indexing="ij")
    parts = [a[g.ravel()] for a, g in zip(axes, grid, strict=True)]
    return np.stack(parts, axis=1).astype(np.int32)
