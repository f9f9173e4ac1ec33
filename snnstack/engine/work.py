"""Memory that the kernels work in, for some samples of a run, and what they leave in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.engine import kernels
from snnstack.engine.flat import ACTIVE, BLOCK, STATES, Flat, Update, widest_sum
from snnstack.engine.job import Job, Probes
from snnstack.engine.plan import NetworkPlan


def work_for(job: Job, events: Any, ends: Any, samples: int) -> kernels.Work:
    """Room for `samples` samples; they end, step by step, at `ends`."""
    plan = job.plan
    sizes = [layer.n for layer in plan.layers]
    widest, total = max(sizes, default=0), sum(sizes)
    sums = max((layer.n * layer.sums for layer in plan.layers), default=0)
    words = np.zeros(widest // 8 + 1, dtype=np.uint64)
    fan = [e.remap for layer in plan.layers for e in layer.edges if e.remap is not None]
    most = max((int(np.diff(m.indptr).max(initial=0)) for m in fan), default=0)
    watch, recorded = watched(plan, job.flat, job.updates, job.probes, samples * job.shape[1])
    mixed = any(layer.neurons.number == "int64" for layer in plan.layers)
    deep = np.dtype(np.int64) if mixed else widest_sum(plan)
    counts = bool(job.flat.layers[:, ACTIVE].any())
    return kernels.Work(
        events=events,
        ends=ends,
        synops=np.zeros((len(sizes), samples), dtype=np.int64),
        states=np.zeros(len(job.flat.initial), dtype=np.uint8),
        wide=np.zeros(sums, dtype=widest_sum(plan)),
        deep=np.zeros(sums if mixed else 0, dtype=deep),
        narrow=np.zeros(widest, dtype=job.narrow),
        scratch=np.zeros(BLOCK * most, dtype=np.int32),
        new_values=np.zeros(BLOCK * most if job.graded else 0, dtype=job.value),
        flags=words.view(np.uint8),
        words=words,
        sent=np.zeros(widest if job.graded else 0, dtype=np.float64 if plan.real else np.int64),
        active=np.zeros(total if counts else 0, dtype=np.int32),
        busy=np.zeros((sum(layer.parts for layer in plan.layers), samples), dtype=np.int64),
        overflow=np.zeros(len(sizes), dtype=np.uint8),
        watch=watch,
        record=np.zeros(recorded, dtype=np.uint8),
    )


def watched(
    plan: NetworkPlan, flat: Flat, updates: Sequence[Update], probes: Probes, steps: int
) -> tuple[NDArray[np.int64], int]:
    """[probe, 4] as in `kernels.Work`, for runs of `steps` in all; and the bytes of all records."""
    names = [layer.name for layer in plan.layers]
    watch = np.zeros((len(probes), 4), dtype=np.int64)
    length = 0
    for row, (name, variable) in zip(watch, probes, strict=True):
        k = names.index(name)
        shown, held = f"reads_{variable}", updates[k].rows
        at = held.index(shown if shown in held else variable)
        size = plan.layers[k].n * updates[k].initial.itemsize
        row[:] = k, flat.layers[k, STATES] + at * size, length, size
        length += steps * size
    return watch, length


def records(job: Job, work: kernels.Work, samples: int) -> Iterator[NDArray[Any]]:
    """[sample, step, n] of every probe, views of `work`."""
    for _, (layer, _, start, size) in zip(job.probes, work.watch, strict=True):
        number = job.plan.layers[layer].neurons.number
        data = work.record[start : start + samples * job.shape[1] * size]
        yield data.view(number).reshape(samples, job.shape[1], job.plan.layers[layer].n)
