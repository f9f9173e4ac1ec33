"""Synapse lists: everything that enters a population and is not a shared kernel, by source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, Connection
from snnstack.backends.spinnaker2.words import weight_limit
from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Sparse


@dataclass(frozen=True, eq=False)
class Lists:
    """Synapses from one source: those of neuron s are `indptr[s]:indptr[s + 1]`.

    `target` int32, ascending within a list of one connection; `weight` int16, `delay` uint8.
    A weight never exceeds what a word holds: a larger one stands there several times.
    """

    source: str
    indptr: Array
    target: Array
    weight: Array
    delay: Array

    @property
    def sources(self) -> Array:
        """The source neuron of every synapse: int32."""
        lengths = np.diff(self.indptr)
        return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def kernels_into(network: ChipNetwork, name: str) -> tuple[int, ...]:
    """Numbers of the connections into `name` that its elements keep as shared kernels."""
    if network.population(name).application != "lif_conv2d":
        return ()
    return tuple(
        k
        for k, c in enumerate(network.connections)
        if c.target == name and isinstance(c.synapses, Conv)
    )


def lists_into(network: ChipNetwork, name: str) -> tuple[Lists, ...]:
    """The synapse lists of population `name`, one for each source that has any."""
    kernels = kernels_into(network, name)
    by_source: dict[str, list[Connection]] = {}
    for k, c in enumerate(network.connections):
        if c.target == name and k not in kernels:
            by_source.setdefault(c.source, []).append(c)
    population = network.population(name)
    most = weight_limit(population.application)
    return tuple(
        _joined(source, [p for c in found for p in _parts(c, population.n, most)])
        for source, found in by_source.items()
    )


def _parts(c: Connection, targets: int, most: int) -> Iterator[tuple[Sparse, int]]:
    """(synapses, delay); pools and kernels unfolded, positive and negative weights apart."""
    if c.pool is None and not isinstance(c.synapses, Conv):
        yield from ((s, c.delay) for s in _words(_sparse(c.synapses), most))
        return
    weight = np.asarray(c.synapses.weight)
    for sign in (np.maximum, np.minimum):
        part: Any = matrix(replace(c.synapses, weight=sign(weight, 0)), targets)
        if c.pool is not None:
            part = part @ pool_matrix(c.pool).astype(np.int64)
        yield from ((s, c.delay) for s in _words(from_matrix(part), most))


def _sparse(synapses: Dense | Sparse) -> Sparse:
    """Without zeros."""
    if isinstance(synapses, Dense):
        source, target = np.nonzero(synapses.weight.T)
        counts = np.bincount(source, minlength=synapses.weight.shape[1])
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Sparse(indptr, target.astype(np.int32), synapses.weight[target, source])
    kept = np.asarray(synapses.weight) != 0
    if kept.all():
        return synapses
    before = np.concatenate([[0], np.cumsum(kept)])
    return Sparse(before[synapses.indptr], synapses.target[kept], synapses.weight[kept])


def _words(synapses: Sparse, most: int) -> Iterator[Sparse]:
    """The synapses, those above `most` as sums of several."""
    while len(synapses.weight) and np.abs(synapses.weight).max() > most:
        now = np.clip(synapses.weight, -most, most)
        rest = replace(synapses, weight=synapses.weight - now)
        yield replace(synapses, weight=now)
        synapses = _sparse(rest)
    yield synapses


def _joined(source: str, parts: Sequence[tuple[Sparse, int]]) -> Lists:
    """All synapses from one source, in the order of its neurons."""
    parts = [(s, d) for s, d in parts if len(s.weight)] or list(parts[:1])
    if len(parts) == 1:
        synapses, delay = parts[0]
        same = np.full(len(synapses.weight), delay, dtype=np.uint8)
        weight = np.asarray(synapses.weight).astype(np.int16)
        return Lists(source, synapses.indptr, synapses.target, weight, same)
    lengths = [np.diff(s.indptr) for s, _ in parts]
    number = np.concatenate([np.repeat(np.arange(len(k)), k) for k in lengths])
    order = np.argsort(number, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.sum(lengths, axis=0))]).astype(np.int64)
    weight = np.concatenate([np.asarray(s.weight) for s, _ in parts]).astype(np.int16)
    each = np.array([d for _, d in parts], dtype=np.uint8)
    delays = np.repeat(each, [len(s.weight) for s, _ in parts])
    target = np.concatenate([s.target for s, _ in parts]).astype(np.int32)
    return Lists(source, indptr, target[order], weight[order], delays[order])
