"""The time loop: one group of layers over all steps of a number of samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.compiled import compiled, inlined
from snnstack.engine.flat import (
    BLOCK,
    DELAY,
    FAST,
    FIRST_EDGE,
    LAST_EDGE,
    N,
    NARROW,
    OFFSET,
    READS,
    SOURCE,
    WEIGHT,
)
from snnstack.engine.inject import add_edge, add_rows
from snnstack.engine.neurons import emit, update_fast, update_float, update_integer


class Work(NamedTuple):
    """What a run of some samples writes.

    `ends[source, sample * steps + t]` is where the events of that step begin in `events`, and
    the next entry where they end. `synops` [layer, sample]. `watch` [layer, 2] is where the
    recorded v and i of a layer begin in `record`, or -1. `flags` and `words` share memory.
    """

    events: NDArray[np.int32]
    ends: NDArray[np.int64]
    synops: NDArray[np.int64]
    v: NDArray[Any]
    i: NDArray[Any]
    wait: NDArray[np.int32]
    wide: NDArray[Any]
    narrow: NDArray[Any]
    scratch: NDArray[np.int32]
    flags: NDArray[np.uint8]
    words: NDArray[np.uint64]
    watch: NDArray[np.int64]
    record: NDArray[Any]


@inlined
def gather(flat: Any, work: Any, layer: int, begin: int, t: int, wide: Any, narrow: Any) -> int:
    """The synaptic input of one layer in step t into `wide`; returns synaptic operations."""
    wide[:] = 0
    done = 0
    for edge in range(flat.layers[layer, FIRST_EDGE], flat.layers[layer, LAST_EDGE]):
        then = t - flat.edges[edge, DELAY]
        if then >= 0:
            ends = work.ends[flat.edges[edge, READS]]
            lo, hi = ends[begin + then], ends[begin + then + 1]
            if lo < hi:
                done += add_edge(flat, flat.edges[edge], work.events, lo, hi, wide, narrow, work.scratch)
    return done


@inlined
def gather_narrow(flat: Any, work: Any, layer: int, begin: int, t: int, narrow: Any) -> int:
    """`gather` where one dense table is all; -1 if a narrow sum would not be safe."""
    edge = flat.layers[layer, FIRST_EDGE]
    then = t - flat.edges[edge, DELAY]
    narrow[:] = 0
    if then < 0:
        return 0
    ends = work.ends[flat.edges[edge, READS]]
    lo, hi = ends[begin + then], ends[begin + then + 1]
    if hi - lo > BLOCK:
        return -1
    add_rows(narrow, flat.weights, flat.edges[edge, WEIGHT], work.events, lo, hi)
    return (hi - lo) * len(narrow)


@inlined
def finish(flat: Any, work: Any, layer: int, row: int) -> None:
    """Events and records of one layer after its update; `row` is sample * steps + t."""
    n, offset = flat.layers[layer, N], flat.layers[layer, OFFSET]
    ends = work.ends[flat.layers[layer, SOURCE]]
    ends[row + 1] = emit(work.flags, work.words, n, work.events, ends[row])
    for variable in range(2):
        start = work.watch[layer, variable]
        if start >= 0:
            states = work.i if variable else work.v
            work.record[start + row * n : start + (row + 1) * n] = states[offset : offset + n]


@compiled
def run_integer(flat: Any, work: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group` of an integer network, stepping together."""
    for sample in range(samples):
        for layer in group:
            start, stop = flat.layers[layer, OFFSET], flat.layers[layer, OFFSET]
            stop += flat.layers[layer, N]
            work.v[start:stop], work.i[start:stop], work.wait[start:stop] = 0, 0, 0
        for t in range(steps):
            for layer in group:
                n, offset = flat.layers[layer, N], flat.layers[layer, OFFSET]
                wide, narrow, v = work.wide[:n], work.narrow[:n], work.v[offset : offset + n]
                done = -1
                if flat.layers[layer, NARROW]:
                    done = gather_narrow(flat, work, layer, sample * steps, t, narrow)
                    if done >= 0:
                        update_fast(flat.layers[layer], flat.parameters, narrow, v, work.flags)
                if done < 0:
                    done = gather(flat, work, layer, sample * steps, t, wide, narrow)
                    if flat.layers[layer, FAST]:
                        update_fast(flat.layers[layer], flat.parameters, wide, v, work.flags)
                    else:
                        i, wait = work.i[offset : offset + n], work.wait[offset : offset + n]
                        update_integer(flat.layers[layer], flat.parameters, wide, v, i, wait, work.flags)
                work.synops[layer, sample] += done
                finish(flat, work, layer, sample * steps + t)


@compiled
def run_float(flat: Any, work: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group` of a float64 network, stepping together."""
    for sample in range(samples):
        for layer in group:
            start, stop = flat.layers[layer, OFFSET], flat.layers[layer, OFFSET]
            stop += flat.layers[layer, N]
            work.v[start:stop], work.i[start:stop], work.wait[start:stop] = 0, 0, 0
        for t in range(steps):
            for layer in group:
                n, offset = flat.layers[layer, N], flat.layers[layer, OFFSET]
                wide, narrow, v = work.wide[:n], work.narrow[:n], work.v[offset : offset + n]
                i, wait = work.i[offset : offset + n], work.wait[offset : offset + n]
                done = gather(flat, work, layer, sample * steps, t, wide, narrow)
                update_float(flat.layers[layer], flat.parameters, wide, v, i, wait, work.flags)
                work.synops[layer, sample] += done
                finish(flat, work, layer, sample * steps + t)
