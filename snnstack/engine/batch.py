"""Run a plan on a batch: samples in groups, groups on threads, results joined in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.engine import kernels
from snnstack.engine.check import input_problems
from snnstack.engine.job import Job, Probes, expanded, prepared
from snnstack.engine.join import Part, joined, overflows
from snnstack.engine.plan import NetworkPlan
from snnstack.engine.work import records, work_for
from snnstack.errors import DataError, raise_if_any
from snnstack.process import processors
from snnstack.trace import Spikes, Trace

Progress = Callable[[int], None]

LARGEST_GROUP = 2**25
"""Events for which memory is reserved (not used) per thread."""
GROUPS_PER_THREAD = 4
"""So that threads finish at about the same time."""


@dataclass(frozen=True, eq=False)
class Buffer:
    """Room for the events of all sources, and for what they carry, where any do."""

    events: NDArray[np.int32]
    values: NDArray[Any]

    @classmethod
    def of(cls, job: Job, size: int) -> Buffer:
        """Room for `size` events."""
        values = np.empty(size if job.graded else 0, dtype=job.value)
        return cls(np.empty(size, dtype=np.int32), values)


def run(
    plan: NetworkPlan,
    inputs: Sequence[Spikes],
    *,
    probes: Probes = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The network on a batch; every sample starts from the neurons' initial states.

    `inputs`: one `Spikes` per input (with values where the plan says so), elements numbered as
    the plan's tables number them; an event with a count stands for that many events.
    `probes`: (layer name, state of its model), such as "v" or "i".
    `threads` None: one per available processor. `progress` is told, in the calling thread, the
    number of samples just finished. The result does not depend on `threads`.

    The trace holds spikes of layers that fire (shape (n,), ascending within a step), states
    [batch, steps, n] (int32; float64 or float32 of a float network) and
    counts of every layer. Models that say so also count `other["active"]`, int64 [batch,
    part]: neuron updates with something to do. Raises `ModelError` for a
    plan or probe, and `DataError` for input, that does not fit, or that drives a value to be
    sent out of int32.
    """
    flat, updates, groups = prepared(plan, probes)
    raise_if_any(DataError, input_problems(plan, inputs))
    job = Job(plan, flat, updates, groups, [expanded(spikes) for spikes in inputs], probes)
    parts = list(_parts(job, processors() if threads is None else max(threads, 1), progress))
    raise_if_any(DataError, overflows(job, parts))
    return joined(job, parts)


def _parts(job: Job, threads: int, progress: Progress | None) -> Iterator[Part]:
    batch, steps = job.shape
    per_sample = max(1, sum(steps * layer.n for layer in job.plan.layers))
    size = max(1, min(LARGEST_GROUP // per_sample, -(-batch // (GROUPS_PER_THREAD * threads))))
    buffers: SimpleQueue[Buffer] = SimpleQueue()
    for _ in range(threads):
        buffers.put(Buffer.of(job, 0))

    def work(start: int) -> Part:
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


def _told(parts: Iterable[Part], progress: Progress | None) -> Iterator[Part]:
    for part in parts:
        if progress is not None:
            progress(part.samples)
        yield part


def _run_samples(job: Job, start: int, stop: int, buffer: Buffer) -> tuple[Part, Buffer]:
    plan, (_, steps), samples = job.plan, job.shape, stop - start
    inputs = [spikes.samples(start, stop) for spikes in job.inputs]
    room = [len(spikes.indices) for spikes in inputs]
    room += [samples * steps * layer.n + 8 for layer in plan.layers]
    bases = np.concatenate([[0], np.cumsum(room)])
    if len(buffer.events) < bases[-1]:
        buffer = Buffer.of(job, int(bases[-1]))
    ends = np.zeros((len(room), samples * steps + 1), dtype=np.int64)
    ends[:, 0] = bases[:-1]
    for k, spikes in enumerate(inputs):
        buffer.events[bases[k] : bases[k + 1]] = spikes.indices
        if spikes.values is not None:
            buffer.values[bases[k] : bases[k + 1]] = spikes.values
        ends[k] = spikes.indptr + bases[k]
    work = work_for(job, buffer.events, ends, samples)
    values = buffer.values if job.graded else None
    for group in job.groups:
        kernels.run_group(job.flat, work, values, group, samples, steps)
    layers = range(len(inputs), len(room))
    places = [slice(int(ends[k, 0]), int(ends[k, -1])) for k in layers]
    events = [buffer.events[place].copy() for place in places]
    carried = [
        buffer.values[place].copy() if layer.sends_values else None
        for layer, place in zip(plan.layers, places, strict=True)
    ]
    starts, recorded = [ends[k] - ends[k, 0] for k in layers], list(records(job, work, samples))
    part = Part(samples, events, carried, starts, work.synops, work.busy, work.overflow, recorded)
    return part, buffer
