"""Memory that the kernels work in, for some samples of a run, and what they leave in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.engine import kernels
from snnstack.engine.flat import BLOCK, state_type, sum_type
from snnstack.engine.job import Job, variables
from snnstack.engine.plan import DeltaNeurons


def work_for(job: Job, buffer: Any, ends: Any, samples: int) -> kernels.Work:
    """Room for `samples` samples; events go to `buffer`, whose steps end at `ends`."""
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


def _watch(job: Job, samples: int) -> tuple[NDArray[np.int64], int]:
    """Where the record of each probe begins, and the length of all."""
    names = [layer.name for layer in job.plan.layers]
    watch = np.full((len(names), 3), -1, dtype=np.int64)
    length = 0
    for name, variable in job.probes:
        k = names.index(name)
        watch[k, variables(job.plan.layers[k]).index(variable)] = length
        length += samples * job.shape[1] * job.plan.layers[k].n
    return watch, length


def records(job: Job, work: kernels.Work, samples: int) -> Iterator[NDArray[Any]]:
    """[sample, step, n] of every probe, views of `work`."""
    names = [layer.name for layer in job.plan.layers]
    for name, variable in job.probes:
        k = names.index(name)
        layer = job.plan.layers[k]
        start, n = work.watch[k, variables(layer).index(variable)], layer.n
        length = samples * job.shape[1] * n
        yield work.record[start : start + length].reshape(samples, job.shape[1], n)
