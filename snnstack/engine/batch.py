"""Run a plan on a batch: samples in groups, groups on threads, results joined in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from snnstack.engine import float32, kernels
from snnstack.engine.check import input_problems, plan_problems
from snnstack.engine.components import components
from snnstack.engine.flat import BLOCK, Flat, flatten, narrow_type, state_type, sum_type
from snnstack.engine.graded import GradedEvents
from snnstack.engine.plan import DeltaNeurons, Float32Neurons, LayerPlan, NetworkPlan
from snnstack.errors import DataError, ModelError, Problem, fail, raise_if_any
from snnstack.trace import Counts, Spikes, Trace

Events = Spikes | GradedEvents
Probes = Sequence[tuple[str, str]]
Progress = Callable[[int], None]

_KEPT: WeakKeyDictionary[NetworkPlan, tuple[Flat, list[NDArray[np.int64]]]] = WeakKeyDictionary()
LARGEST_GROUP = 2**25
"""Events for which memory is reserved (not used) per thread."""
GROUPS_PER_THREAD = 4
"""So that threads finish at about the same time."""


def run(
    plan: NetworkPlan,
    inputs: Sequence[Events],
    *,
    probes: Probes = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The network on a batch; every neuron starts at rest (v = i = 0).

    `inputs`: one `Spikes` per input (`GradedEvents` where it carries values), elements numbered
    as the plan's tables number them; an event with a count stands for that many events.
    `probes`: (layer name, "v" or "i"); of delta neurons "s", what they send, or "v", act.
    `threads` None: one per available processor. `progress` is told, in the calling thread, the
    number of samples just finished. The result does not depend on `threads`.

    The trace holds spikes of layers that fire (shape (n,), ascending within a step; without
    the values), states [batch, steps, n] (int32; float64 or float32 of a float network) and
    counts of every layer. Cuba and delta neurons also count `other["active"]`, int64 [batch,
    part]: neuron updates in which a state, or the input, is not 0. Raises `ModelError` for a
    plan or probe, and `DataError` for input, that does not fit, or that drives a value to be
    sent out of int32.
    """
    flat, groups = _prepared(plan)
    raise_if_any(DataError, input_problems(plan, inputs))
    job = _Job(plan, flat, groups, [_expanded(spikes) for spikes in inputs], probes)
    parts = list(_parts(job, _processors() if threads is None else max(threads, 1), progress))
    raise_if_any(DataError, _overflows(job, parts))
    return _joined(job, parts)


def _prepared(plan: NetworkPlan) -> tuple[Flat, list[NDArray[np.int64]]]:
    """What a checked plan becomes, kept for as long as the plan lives."""
    found = _KEPT.get(plan)
    if found is None:
        raise_if_any(ModelError, plan_problems(plan))
        found = _KEPT[plan] = flatten(plan), _groups(plan)
    return found


def _overflows(job: _Job, parts: list[_Part]) -> Iterator[Problem]:
    for k, layer in enumerate(job.plan.layers):
        if any(p.overflow[k] for p in parts if len(p.overflow)):
            yield Problem(layer.name, "a value does not fit 32 bits")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(plan: NetworkPlan) -> list[NDArray[np.int64]]:
    """Layers that step together, as the kernels want them."""
    first = len(plan.inputs)
    edges = [
        (edge.source - first, k)
        for k, layer in enumerate(plan.layers)
        for edge in layer.edges
        if edge.source >= first
    ]
    found = components(len(plan.layers), edges)
    return [np.array(group, dtype=np.int64) for group in found]


def _expanded(spikes: Events) -> Events:
    """One event per spike."""
    if isinstance(spikes, GradedEvents) or spikes.counts is None:
        return spikes
    ends = np.concatenate([[0], np.cumsum(spikes.counts, dtype=np.int64)])
    indices = np.repeat(spikes.indices, spikes.counts)
    return Spikes(spikes.shape, spikes.batch, spikes.steps, ends[spikes.indptr], indices)


@dataclass(frozen=True, eq=False)
class _Job:
    plan: NetworkPlan
    flat: Flat
    groups: list[NDArray[np.int64]]
    inputs: list[Events]
    probes: Probes

    def __post_init__(self) -> None:
        layers = {layer.name: layer for layer in self.plan.layers}
        for name, variable in self.probes:
            if name not in layers or variable not in _variables(layers[name]):
                hint = 'probes are (layer, "v") and, with a synaptic current, (layer, "i")'
                raise fail(ModelError, name, f"has no state {variable!r} to record", hint)

    @cached_property
    def narrow(self) -> Any:
        """Number type of narrow sums."""
        return narrow_type(self.plan)

    @cached_property
    def graded(self) -> int:
        """1 where events of any source carry values, else 0."""
        sources = range(len(self.plan.source_sizes()))
        return int(any(self.plan.carries_values(k) for k in sources))

    @property
    def shape(self) -> tuple[int, int]:
        """(batch, steps)."""
        return (self.inputs[0].batch, self.inputs[0].steps) if self.inputs else (0, 0)


def _variables(layer: LayerPlan) -> tuple[str, ...]:
    """What can be recorded; the position is the column of `Work.watch`."""
    neurons = layer.neurons
    if isinstance(neurons, DeltaNeurons):
        return ("s", "v")
    if isinstance(neurons, Float32Neurons):
        return ("v",) if neurons.exc_decay is None else ("v", "ie", "ii")
    return ("v",) if neurons.beta is None else ("v", "i")


@dataclass(frozen=True, eq=False)
class _Part:
    """Results of some samples: per layer its events, and where each step ends in them."""

    samples: int
    events: list[NDArray[np.int32]]
    ends: list[NDArray[np.int64]]
    synops: NDArray[np.int64]
    busy: NDArray[np.int64]
    overflow: NDArray[np.uint8]
    records: list[NDArray[Any]]


def _parts(job: _Job, threads: int, progress: Progress | None) -> Iterator[_Part]:
    batch, steps = job.shape
    per_sample = max(1, sum(steps * layer.n for layer in job.plan.layers))
    size = max(1, min(LARGEST_GROUP // per_sample, -(-batch // (GROUPS_PER_THREAD * threads))))
    buffers: SimpleQueue[NDArray[np.int32]] = SimpleQueue()
    for _ in range(threads):
        buffers.put(np.empty((1 + job.graded, 0), dtype=np.int32))

    def work(start: int) -> _Part:
        buffer = buffers.get()
        try:
            part, buffer = _run_samples(job, start, min(start + size, batch), buffer)
        finally:
            buffers.put(buffer)
        return part

    starts = range(0, batch, size)
    if threads == 1 or len(starts) <= 1:  # a thread of its own would only have to be waited for
        yield from _told(map(work, starts), progress)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        yield from _told(pool.map(work, starts), progress)
    finally:
        pool.shutdown(cancel_futures=True)


def _told(parts: Iterable[_Part], progress: Progress | None) -> Iterator[_Part]:
    for part in parts:
        if progress is not None:
            progress(part.samples)
        yield part


def _run_samples(
    job: _Job, start: int, stop: int, buffer: NDArray[np.int32]
) -> tuple[_Part, NDArray[np.int32]]:
    plan, (_, steps), samples = job.plan, job.shape, stop - start
    inputs = [spikes.samples(start, stop) for spikes in job.inputs]
    room = [len(spikes.indices) for spikes in inputs]
    room += [samples * steps * layer.n + 8 for layer in plan.layers]
    bases = np.concatenate([[0], np.cumsum(room)])
    if buffer.shape[1] < bases[-1]:
        buffer = np.empty((1 + job.graded, bases[-1]), dtype=np.int32)
    ends = np.zeros((len(room), samples * steps + 1), dtype=np.int64)
    ends[:, 0] = bases[:-1]
    for k, spikes in enumerate(inputs):
        buffer[0, bases[k] : bases[k + 1]] = spikes.indices
        if isinstance(spikes, GradedEvents):
            buffer[1, bases[k] : bases[k + 1]] = spikes.values
        ends[k] = spikes.indptr + bases[k]
    work = _work(job, buffer, ends, samples)
    kernel = _kernel(plan)
    for group in job.groups:
        kernel(job.flat, work, group, samples, steps)
    layers = range(len(inputs), len(room))
    events = [buffer[0, ends[k, 0] : ends[k, -1]].copy() for k in layers]
    starts, records = [ends[k] - ends[k, 0] for k in layers], list(_records(job, work, samples))
    part = _Part(samples, events, starts, work.synops, work.busy, work.overflow, records)
    return part, buffer


def _kernel(plan: NetworkPlan) -> Callable[..., None]:
    if plan.wraps:
        return kernels.run_cuba
    if plan.single:
        return float32.run_single
    return kernels.run_integer if plan.integer else kernels.run_float


def _work(job: _Job, buffer: Any, ends: Any, samples: int) -> kernels.Work:
    plan = job.plan
    number = state_type(plan)
    sizes = [layer.n for layer in plan.layers]
    widest, total = max(sizes, default=0), sum(sizes)
    words = np.zeros(widest // 8 + 1, dtype=np.uint64)
    fan = [e.remap for layer in plan.layers for e in layer.edges if e.remap is not None]
    most = max((int(np.diff(m.indptr).max(initial=0)) for m in fan), default=0)
    watch, recorded = _watch(job, samples)
    delta = any(isinstance(layer.neurons, DeltaNeurons) for layer in plan.layers)
    wrapping = total if plan.wraps else 0
    return kernels.Work(
        buffer[0],
        ends,
        np.zeros((len(sizes), samples), dtype=np.int64),
        np.zeros(total, dtype=number),
        np.zeros(total * (1 + plan.single), dtype=number),
        np.zeros(total, dtype=np.int32),
        np.zeros(widest, dtype=sum_type(plan)),
        np.zeros(widest, dtype=job.narrow),
        np.zeros(BLOCK * most, dtype=np.int32),
        words.view(np.uint8),
        words,
        watch,
        np.zeros(recorded, dtype=number),
        buffer[-1],
        np.zeros(BLOCK * most if job.graded else 0, dtype=np.int32),
        np.zeros(widest if delta else 0, dtype=np.int64),
        np.zeros((3, total if delta else 0), dtype=np.int64),
        np.zeros(wrapping, dtype=np.int32),
        np.zeros((sum(layer.parts for layer in plan.layers), samples), dtype=np.int64),
        np.zeros(len(sizes), dtype=np.uint8),
        np.zeros((2, widest if plan.single else 0), dtype=np.float32),
    )


def _watch(job: _Job, samples: int) -> tuple[NDArray[np.int64], int]:
    """Where the record of each probe begins, and the length of all."""
    names = [layer.name for layer in job.plan.layers]
    watch = np.full((len(names), 3), -1, dtype=np.int64)
    length = 0
    for name, variable in job.probes:
        k = names.index(name)
        watch[k, _variables(job.plan.layers[k]).index(variable)] = length
        length += samples * job.shape[1] * job.plan.layers[k].n
    return watch, length


def _records(job: _Job, work: kernels.Work, samples: int) -> Iterator[NDArray[Any]]:
    names = [layer.name for layer in job.plan.layers]
    for name, variable in job.probes:
        k = names.index(name)
        layer = job.plan.layers[k]
        start, n = work.watch[k, _variables(layer).index(variable)], layer.n
        length = samples * job.shape[1] * n
        yield work.record[start : start + length].reshape(samples, job.shape[1], n)


def _joined(job: _Job, parts: list[_Part]) -> Trace:
    (batch, steps), layers = job.shape, job.plan.layers
    number = state_type(job.plan)
    sizes = {layer.name: layer.n for layer in layers}
    states = {
        (name, variable): np.concatenate(
            [np.zeros((0, steps, sizes[name]), dtype=number)] + [p.records[k] for p in parts]
        )
        for k, (name, variable) in enumerate(job.probes)
    }
    synops = [np.zeros((len(layers), 0), dtype=np.int64)] + [p.synops for p in parts]
    reached = np.concatenate(synops, axis=1)
    busy = [np.zeros((sum(layer.parts for layer in layers), 0), dtype=np.int64)]
    active = np.concatenate(busy + [p.busy for p in parts], axis=1).T
    spikes, counts, first = {}, {}, 0
    for k, layer in enumerate(layers):
        fired = _joined_spikes([(p.events[k], p.ends[k]) for p in parts], layer.n, batch, steps)
        sent = np.diff(fired.indptr[np.arange(batch + 1) * steps])
        updates = np.full(batch, steps * layer.n, dtype=np.int64)
        other = {"active": active[:, first : first + layer.parts]} if job.plan.wraps else {}
        counts[layer.name] = Counts(reached[k], updates, sent, other)
        first += layer.parts
        if layer.neurons.threshold is not None:
            spikes[layer.name] = fired
    return Trace(spikes, states, counts)


def _joined_spikes(
    parts: list[tuple[NDArray[np.int32], NDArray[np.int64]]], n: int, batch: int, steps: int
) -> Spikes:
    indptr, base = [np.zeros(1, dtype=np.int64)], 0
    for _, ends in parts:
        indptr.append(ends[1:] + base)
        base += int(ends[-1])
    events = [np.zeros(0, dtype=np.int32)] + [events for events, _ in parts]
    return Spikes((n,), batch, steps, np.concatenate(indptr), np.concatenate(events))
