"""Channel-last memory order: index maps, pools as event maps, traces from one order to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.plan import EventMap
from snnstack.ir.step import Pool, size
from snnstack.trace import Spikes, Trace

Index = NDArray[np.int32]


def channel_last(shape: tuple[int, ...]) -> Index:
    """For each element of (C, ...) in C order, its number where the first axis is put last.

    >>> channel_last((2, 1, 3)).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    numbers = np.arange(size(shape), dtype=np.int32)
    return np.ascontiguousarray(numbers.reshape(-1, shape[0]).T).ravel()


def inverse(index: Index) -> Index:
    """The map back: `inverse(m)[m[k]] == k`."""
    back = np.empty_like(index)
    back[index] = np.arange(len(index), dtype=index.dtype)
    return back


def renumbered(spikes: Spikes, index: Index | None, shape: tuple[int, ...]) -> Spikes:
    """The same events with neuron k called `index[k]`, ascending in a step, seen as `shape`."""
    if index is None:
        return replace(spikes, shape=shape)
    keys = spikes.rows() * spikes.n + index[spikes.indices]
    if spikes.counts is None and spikes.values is None:
        keys.sort()
        indices = (keys % max(spikes.n, 1)).astype(np.int32)
        return replace(spikes, shape=shape, indices=indices)
    order = np.argsort(keys)
    indices = (keys[order] % max(spikes.n, 1)).astype(np.int32)
    counts = None if spikes.counts is None else spikes.counts[order]
    values = None if spikes.values is None else spikes.values[order]
    return replace(spikes, shape=shape, indices=indices, counts=counts, values=values)


def in_c_order(
    trace: Trace, shapes: Mapping[str, tuple[int, ...]], memory: Mapping[str, Index | None]
) -> Trace:
    """A trace in memory order as one in C order; `memory` is `channel_last` or None by layer."""
    back = {name: None if index is None else inverse(index) for name, index in memory.items()}
    spikes = {
        name: renumbered(events, back[name], shapes[name]) for name, events in trace.spikes.items()
    }
    states: dict[tuple[str, str], NDArray[Any]] = {}
    for probe, values in trace.states.items():
        index = memory[probe[0]]
        states[probe] = values if index is None else values[:, :, index]
    return Trace(spikes, states, trace.counts)


def pool_map(pool: Pool) -> EventMap:
    """A sum pool as an event map: one event per window that holds the element.

    Source and pooled map are channel last.
    """
    (channels, height, width), (_, out_h, out_w) = pool.in_shape, pool.out_shape
    rows = _windows(height, out_h, pool.kernel[0], pool.stride[0], pool.padding[0])
    columns = _windows(width, out_w, pool.kernel[1], pool.stride[1], pool.padding[1])
    (y, out_y), (x, out_x) = np.nonzero(rows), np.nonzero(columns)
    c = np.arange(channels)
    source = ((y[:, None] * width + x)[..., None] * channels + c).ravel()
    target = ((out_y[:, None] * out_w + out_x)[..., None] * channels + c).ravel()
    indptr = np.zeros(channels * height * width + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=len(indptr) - 1), out=indptr[1:])
    order = np.lexsort((target, source))
    return EventMap(indptr, target[order].astype(np.int32), channels * out_h * out_w)


def _windows(length: int, out: int, kernel: int, stride: int, padding: int) -> NDArray[np.bool_]:
    """[element, window]: does the window hold the element?"""
    offset = np.arange(length)[:, None] + padding - np.arange(out)[None, :] * stride
    return (offset >= 0) & (offset < kernel)
