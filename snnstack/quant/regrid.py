"""Weights of one population on another grid: scales and roundings by the inputs' moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import (
    Conv,
    Dense,
    Population,
    Projection,
    Sparse,
    StepGraph,
    Synapses,
    source_size,
)
from snnstack.quant.compensate import Ordered, compensated, error, ordered, polished
from snnstack.quant.moments import filtered_moments, patch_moments
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.trace import Spikes

MOST_INPUTS = 4096
"""Inputs of a row whose moments are taken: their inverse is needed."""
MOST_WEIGHTS = 2**24
"""Weights of a list of synapses once it is written as a full matrix."""
Weights = Mapping[int, Synapses]
"""New synapses by the number of their projection."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of weights that share the moments of their inputs.

    `real` [row, input] in volts, 0 where there is no synapse; `neuron` [row]: the neuron whose
    scale a row has, which is the first of `span` ones; `part` [input]: the projection's number.
    """

    real: Array
    moments: Array
    neuron: Array
    part: Array
    span: int = 1

    @cached_property
    def ordered(self) -> Ordered:
        """The moments as `compensated` takes them."""
        return ordered(self.moments)


@dataclass(frozen=True, eq=False)
class Grid:
    """The weights a population can have: multiples `step` of a volt, at most `most` of them.

    `step`, `most` by projection; `volts` [neuron] is one weight integer. `apart` [row, input] by
    projection: weights that are stored apart from the others, and may be up to `widest`.
    """

    volts: Array
    step: Mapping[int, int]
    most: Mapping[int, int]
    zero: bool
    apart: Mapping[int, Array] = field(default_factory=dict)
    widest: int = 0

    def scaled(self, factor: Array | float) -> Grid:
        """With `factor` times as many integers in a volt."""
        return replace(self, volts=self.volts / factor)

    def round(self, block: Block) -> Array:
        """`block.real` on the grid, errors cancelling."""
        volts = self.volts[block.neuron]

        def nearest(values: Array, column: int) -> Array:
            part = int(block.part[column])
            step, most = self.step[part], self._limits(block, part, column)
            if not self.zero:
                return np.where(values > 0, most, -most) * volts
            return np.clip(np.rint(values / volts / step) * step, -most, most) * volts

        found = compensated(block.real, block.ordered, nearest)
        return polished(block.real, found, block.moments, nearest)

    def _limits(self, block: Block, part: int, column: int) -> Array | int:
        """The largest integer of every row in one column."""
        if part not in self.apart:
            return self.most[part]
        own = column - int(np.argmax(block.part == part))
        apart = self.apart[part][block.neuron // block.span, own]
        return np.where(apart, self.widest, self.most[part])


def grid_of(graph: StepGraph, network: QuantizedNetwork, name: str) -> Grid:
    """The grid that the weights into a population have in `network`."""
    numbers = [k for k, p in enumerate(graph.projections) if p.target == name]
    integers = dict(zip(numbers, (p.synapses for p in network.into(name)), strict=True))
    numerics, neurons = network.numerics, network.population(name).n
    apart = {}
    if numerics.wide_weight is not None:
        small = {k: s for k, s in integers.items() if neurons * _columns(s) <= MOST_WEIGHTS}
        masks = {k: np.abs(_matrix(neurons, s)) > numerics.weight_max for k, s in small.items()}
        apart = {k: mask for k, mask in masks.items() if mask.any()}
    used = {
        k: _used(s.weight, numerics.weight_max if k in apart else None) for k, s in integers.items()
    }
    return Grid(
        volts=volts(network.population(name)),
        step={k: step for k, (step, _) in used.items()},
        most={k: most for k, (_, most) in used.items()},
        zero=numerics.weight_zero,
        apart=apart,
        widest=numerics.wide_weight or 0,
    )


def _columns(synapses: Synapses) -> int:
    """Sources of a list, which is written as a full matrix; 0 for what is one already."""
    return len(synapses.indptr) - 1 if isinstance(synapses, Sparse) else 0


def _matrix(neurons: int, synapses: Synapses) -> Array:
    """Weights as [row, input]: a row a neuron, or a channel of a convolution."""
    if isinstance(synapses, Conv):
        return synapses.weight.reshape(len(synapses.weight), -1)
    return _full(neurons, synapses)


def volts(population: QuantizedPopulation) -> Array:
    """What one weight integer is, for every neuron."""
    return population.weight_volts


def _used(integers: Array, ordinary: int | None) -> tuple[int, int]:
    """(distance of neighbouring weights, largest weight) as the target used them.

    `ordinary`: only weights up to that count, others are stored apart; None: all.
    """
    used = np.abs(integers[integers != 0]).astype(np.int64)
    if ordinary is not None:
        used = used[used <= ordinary]
    if not used.size:
        return 1, 0
    common = int(np.bitwise_or.reduce(used))
    return common & -common, int(used.max())


def blocks_of(graph: StepGraph, population: Population, sources: dict[str, Spikes]) -> list[Block]:
    """All weights into a population whose moments can be had; others keep their roundings."""
    into = [
        (k, p)
        for k, p in enumerate(graph.projections)
        if p.target == population.name and p.source in sources and p.synapses.weight.size
    ]
    blocks = [
        b for k, p in into if isinstance(p.synapses, Conv) for b in _conv(population, k, p, sources)
    ]
    lists = [(k, p) for k, p in into if not isinstance(p.synapses, Conv) and _small(population, p)]
    if lists and sum(source_size(p) for _, p in lists) <= MOST_INPUTS:
        blocks.append(_rows(population, lists, sources))
    return blocks


def _small(population: Population, projection: Projection) -> bool:
    synapses = projection.synapses
    if not isinstance(synapses, Sparse):
        return True
    places = _places(synapses)
    return source_size(projection) * population.n <= MOST_WEIGHTS and len(
        np.unique(places[0] * source_size(projection) + places[1])
    ) == len(places[0])


def _places(sparse: Sparse) -> tuple[Array, Array]:
    """(target, source) of every synapse."""
    source = np.repeat(np.arange(len(sparse.indptr) - 1), np.diff(sparse.indptr))
    return sparse.target.astype(np.int64), source


def _rows(
    population: Population, into: list[tuple[int, Projection]], sources: dict[str, Spikes]
) -> Block:
    parts = [_full(population.n, p.synapses) for _, p in into]
    return Block(
        real=np.concatenate(parts, axis=1),
        moments=filtered_moments(population, tuple(p for _, p in into), sources),
        neuron=np.arange(population.n),
        part=np.repeat([k for k, _ in into], [part.shape[1] for part in parts]),
    )


def _full(neurons: int, synapses: Synapses) -> Array:
    if not isinstance(synapses, Sparse):
        return synapses.weight
    out = np.zeros((neurons, len(synapses.indptr) - 1))
    out[_places(synapses)] = synapses.weight
    return out


def _conv(
    population: Population, number: int, projection: Projection, sources: dict[str, Spikes]
) -> Iterator[Block]:
    conv = projection.synapses
    assert isinstance(conv, Conv)
    per_group = len(conv.weight) // conv.groups
    if int(np.prod(conv.weight.shape[1:])) > MOST_INPUTS:
        return
    span = population.n // len(conv.weight)
    first = np.arange(len(conv.weight)) * span
    for g, moments in enumerate(patch_moments(population, projection, sources)):
        rows = slice(g * per_group, (g + 1) * per_group)
        real = conv.weight[rows].reshape(per_group, -1)
        yield Block(real, moments, first[rows], np.full(real.shape[1], number), span)


def put(graph: StepGraph, found: list[tuple[Block, Array]]) -> Weights:
    """The rounded rows of blocks as synapses of their projections."""
    made: dict[int, Synapses] = {}
    rows: dict[int, list[Array]] = {}
    for block, values in found:
        for number in np.unique(block.part):
            rows.setdefault(int(number), []).append(values[:, block.part == number])
    for number, parts in rows.items():
        synapses = graph.projections[number].synapses
        full = np.concatenate(parts)
        if isinstance(synapses, Sparse):
            weight = full[_places(synapses)]
        else:
            weight = full.reshape(synapses.weight.shape)
        made[number] = replace(synapses, weight=weight)
    return made


def with_weights(graph: StepGraph, weights: Weights) -> StepGraph:
    """`graph` with some synapses replaced."""
    projections = tuple(
        replace(p, synapses=weights[k]) if k in weights else p
        for k, p in enumerate(graph.projections)
    )
    return graph.with_(projections=projections)


def regridded(
    graph: StepGraph, blocks: list[Block], grid: Grid, factors: tuple[float, ...], alike: Array
) -> list[tuple[Array, Weights]]:
    """Other scales for one population: (factor of every neuron's scale, the weights it gives).

    First, of all `factors` those with the least error by the moments; neurons of one group of
    `alike` (int64 [neuron]) share theirs. Then each of `factors` for all neurons.
    """
    rounded = [[grid.scaled(factor).round(b) for b in blocks] for factor in factors]
    costs = np.zeros((len(factors), int(alike.max(initial=0)) + 1))
    for cost, found in zip(costs, rounded, strict=True):
        for block, values in zip(blocks, found, strict=True):
            each = error(block.real, values, block.moments)
            span = block.neuron[:, None] + np.arange(block.span)
            np.add.at(cost, alike[span], each[:, None])
    best = costs.argmin(axis=0)[alike]
    mixed = [
        np.stack([found[k] for found in rounded])[best[b.neuron], np.arange(len(b.real))]
        for k, b in enumerate(blocks)
    ]
    values = np.asarray(factors)
    options = [(values[best], mixed)] if blocks else []
    options += [(np.full(len(alike), f), found) for f, found in zip(values, rounded, strict=True)]
    return [(f, put(graph, list(zip(blocks, found, strict=True)))) for f, found in options]


def held(graph: StepGraph, network: QuantizedNetwork) -> StepGraph:
    """`graph` with the weights that `network` has, in volts."""
    rest = {p.name: iter(network.into(p.name)) for p in network.populations}
    weights = {
        k: _in_volts(next(rest[p.target]).synapses, volts(network.population(p.target)))
        for k, p in enumerate(graph.projections)
    }
    return with_weights(graph, weights)


def _in_volts(synapses: Synapses, unit: Array) -> Synapses:
    match synapses:
        case Dense():
            each = unit[:, None]
        case Sparse():
            each = unit[synapses.target]
        case Conv():
            each = unit.reshape(synapses.out_shape[0], -1)[:, 0, None, None, None]
    return replace(synapses, weight=synapses.weight * each)
