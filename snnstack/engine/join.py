"""Results of groups of samples, put together in the samples' order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.job import Job
from snnstack.engine.plan import LayerPlan
from snnstack.errors import Problem
from snnstack.trace import Counts, Spikes, Trace


@dataclass(frozen=True, eq=False)
class Part:
    """Results of some samples: per layer its events, what they carry, and where steps end."""

    samples: int
    events: list[NDArray[np.int32]]
    values: list[NDArray[Any] | None]
    ends: list[NDArray[np.int64]]
    synops: NDArray[np.int64]
    busy: NDArray[np.int64]
    overflow: NDArray[np.uint8]
    records: list[NDArray[Any]]


def joined(job: Job, parts: list[Part]) -> Trace:
    """The trace of all samples; its spikes and states have the shape (n,)."""
    (batch, steps), layers = job.shape, job.plan.layers
    by_name = {layer.name: layer for layer in layers}
    states = {
        (name, variable): np.concatenate(
            [_nothing(by_name[name], steps)] + [p.records[k] for p in parts]
        ).astype(_recorded(by_name[name]), copy=False)
        for k, (name, variable) in enumerate(job.probes)
    }
    synops = [np.zeros((len(layers), 0), dtype=np.int64)] + [p.synops for p in parts]
    reached = np.concatenate(synops, axis=1)
    busy = [np.zeros((sum(layer.parts for layer in layers), 0), dtype=np.int64)]
    active = np.concatenate(busy + [p.busy for p in parts], axis=1).T
    spikes, counts, first = {}, {}, 0
    for k, layer in enumerate(layers):
        fired = _joined_spikes(parts, k, layer, (batch, steps))
        sent = np.diff(fired.indptr[np.arange(batch + 1) * steps])
        updates = np.full(batch, steps * layer.n, dtype=np.int64)
        counted = job.updates[k].counts_active
        other = {"active": active[:, first : first + layer.parts]} if counted else {}
        counts[layer.name] = Counts(reached[k], updates, sent, other)
        first += layer.parts
        if layer.neurons.fires:
            spikes[layer.name] = fired
    return Trace(spikes, states, counts)


def _recorded(layer: LayerPlan) -> Any:
    """What states are recorded as; int64 states that a run ends well with fit int32."""
    return np.int32 if layer.neurons.integer else np.dtype(layer.neurons.number)


def _nothing(layer: LayerPlan, steps: int) -> NDArray[Any]:
    return np.zeros((0, steps, layer.n), dtype=layer.neurons.number)


def overflows(job: Job, parts: list[Part]) -> Iterator[Problem]:
    """Layers that were to send a value which does not fit."""
    for k, layer in enumerate(job.plan.layers):
        if any(p.overflow[k] for p in parts if len(p.overflow)):
            yield Problem(layer.name, "a value does not fit 32 bits")


def _joined_spikes(parts: list[Part], k: int, layer: LayerPlan, extent: tuple[int, int]) -> Spikes:
    """What layer number `k` sent in all parts; `extent`: (batch, steps)."""
    indptr, base = [np.zeros(1, dtype=np.int64)], 0
    for part in parts:
        indptr.append(part.ends[k][1:] + base)
        base += int(part.ends[k][-1])
    events = [np.zeros(0, dtype=np.int32), *(part.events[k] for part in parts)]
    values = [part.values[k] for part in parts]
    carried = None
    if layer.sends_values:
        empty = np.zeros(0, dtype=np.float64 if layer.real else np.int32)
        carried = np.concatenate([empty, *(v for v in values if v is not None)])
    starts = np.concatenate(indptr)
    return Spikes((layer.n,), *extent, starts, np.concatenate(events), values=carried)
