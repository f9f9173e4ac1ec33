"""The opponent: a network without spikes that has the layers of a spiking one.

One pass over a frame: the input's events, counted in each of `windows` equal parts of a sample.
The layers have the widths, kernels and pools of the spiking network, a bias, and a ReLU behind
each but the last. What only has a meaning over time (a layer's synapses to itself, delays,
decays) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.ir.matrix import conv_matrix, pool_matrix
from snnstack.ir.nodes import Shape
from snnstack.ir.step import Conv, Dense, Pool, Projection, source_size
from snnstack.trace import Spikes

LOOP_WINDOWS = 8
"""Windows of a network with loops or delays, where nothing else is asked for; of others 1."""
HINT = "only chains of layers have an opponent of the same shape"


@dataclass(frozen=True, eq=False)
class Layer:
    """`pool` (the mean of its windows) first, then `synapses` and a bias for each of `n` outputs.

    `bias`: one per output channel of a convolution, else one per output. All in C order.
    """

    name: str
    n: int
    synapses: Dense | Conv
    bias: NDArray[Any]
    pool: Pool | None = None

    @cached_property
    def matrix(self) -> Any:
        """The synapses as float64 [n, inputs]; sparse for a convolution."""
        if isinstance(self.synapses, Dense):
            return self.synapses.weight.astype(np.float64)
        return conv_matrix(self.synapses).astype(np.float64)

    @cached_property
    def pooling(self) -> Any:
        """The sum pool as [pooled, inputs]; where there is one."""
        assert self.pool is not None
        return pool_matrix(self.pool)


@dataclass(frozen=True, eq=False)
class Opponent:
    """Layers in order, reading frames [windows, *shape]; with real or with int8 weights.

    `left_out`: what the spiking network has besides, in words.
    """

    shape: Shape
    windows: int
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """Numbers in a frame."""
        return self.windows * int(np.prod(self.shape, dtype=np.int64))

    def __str__(self) -> str:
        kinds = [f"{n}" for n in (self.inputs, *(layer.n for layer in self.layers))]
        return "-".join(kinds)


def opponent_of(network: Any, windows: int | None = None) -> Opponent:
    """The opponent of a step graph or quantised network, all weights and biases 0.

    `windows` None: 1, or `LOOP_WINDOWS` where the spiking network has loops or delays. Raises
    TargetError with everything that keeps it from being a chain.
    """
    raise_if_any(TargetError, _unlike(network))
    left_out = tuple(_left_out(network))
    count = (LOOP_WINDOWS if left_out else 1) if windows is None else windows
    layers = [_layer(p, network.population(p.target).n) for p in _chain(network)]
    if count > 1:
        layers[0] = _widened(layers[0], count)
    return Opponent(network.inputs[0].shape, count, tuple(layers), left_out)


def _chain(network: Any) -> list[Projection]:
    """What enters each population from another one."""
    return [p for p in network.projections if p.source != p.target]


def _unlike(network: Any) -> Iterator[Problem]:
    if len(network.inputs) != 1:
        yield Problem("network", f"has {len(network.inputs)} inputs, not one", HINT)
        return
    if network.inputs[0].events == "value":
        yield Problem(network.inputs[0].name, "takes whole numbers, not spikes to count", HINT)
    before = network.inputs[0].name
    for population in network.populations:
        sources = [p.source for p in network.into(population.name) if p.source != population.name]
        if sources != [before]:
            read = f"reads {', '.join(sources) or 'nothing'}, not {before} alone"
            yield Problem(population.name, read, HINT)
        before = population.name
    if network.outputs != (before,):
        yield Problem(", ".join(network.outputs), "is not the last population", HINT)


def _left_out(network: Any) -> Iterator[str]:
    loops = sorted({p.target for p in network.projections if p.source == p.target})
    delays = sorted({p.target for p in _chain(network) if p.delay})
    if loops:
        yield f"the synapses of {', '.join(loops)} to itself"
    if delays:
        yield f"the delays before {', '.join(delays)}"


def _layer(projection: Projection, n: int) -> Layer:
    found = projection.synapses
    if isinstance(found, Conv):
        zeros = replace(found, weight=np.zeros(found.weight.shape))
        return Layer(projection.target, n, zeros, np.zeros(found.out_shape[0]), projection.pool)
    dense = Dense(np.zeros((n, source_size(projection))))
    return Layer(projection.target, n, dense, np.zeros(n), projection.pool)


def _widened(layer: Layer, windows: int) -> Layer:
    """The first layer for frames of several windows: that many times the inputs, or channels."""
    wide, pool = layer.synapses, layer.pool
    if pool is not None:
        channels = (windows * pool.in_shape[0], windows * pool.out_shape[0])
        pool = replace(pool, in_shape=(channels[0], *pool.in_shape[1:]),
                       out_shape=(channels[1], *pool.out_shape[1:]))  # fmt: skip
    if isinstance(wide, Dense):
        outputs, inputs = wide.weight.shape
        return replace(layer, synapses=Dense(np.zeros((outputs, windows * inputs))), pool=pool)
    if wide.groups > 1:
        what = f"has {wide.groups} groups, and frames of {windows} windows more channels"
        raise_if_any(TargetError, [Problem(layer.name, what, "take 1 window")])
    outputs, channels_in, *kernel = wide.weight.shape
    weight = np.zeros((outputs, windows * channels_in, *kernel))
    in_shape = (windows * wide.in_shape[0], *wide.in_shape[1:])
    return replace(layer, synapses=replace(wide, weight=weight, in_shape=in_shape), pool=pool)


def frames(spikes: Spikes, windows: int) -> NDArray[np.int64]:
    """Events counted in each window: int64 [sample, windows * n], window by window."""
    sample, step = np.divmod(spikes.rows(), max(spikes.steps, 1))
    window = step * windows // max(spikes.steps, 1)
    keys = (sample * windows + window) * spikes.n + spikes.indices
    weights = None if spikes.counts is None else spikes.counts.astype(np.float64)
    size = spikes.batch * windows * spikes.n
    sums = np.bincount(keys, weights=weights, minlength=size)
    return sums.astype(np.int64).reshape(spikes.batch, -1)


def with_arrays(
    opponent: Opponent, arrays: Sequence[tuple[NDArray[Any], NDArray[Any]]]
) -> Opponent:
    """The opponent with (weight, bias) of each layer; shapes must be those it has."""
    layers = tuple(
        replace(layer, synapses=replace(layer.synapses, weight=weight), bias=bias)
        for layer, (weight, bias) in zip(opponent.layers, arrays, strict=True)
    )
    return replace(opponent, layers=layers)
