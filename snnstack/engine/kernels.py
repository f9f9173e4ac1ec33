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
    NARROW,
    OFFSET,
    READS,
    SOURCE,
    WEIGHT,
    N,
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
def slot(row: Any) -> tuple[int, int]:
    """Where the states of a layer begin and end."""
    return row[OFFSET], row[OFFSET] + row[N]


@inlined
def rest(flat: Any, work: Any, group: Any) -> None:
    """All states of the layers `group` to zero."""
    for layer in group:
        start, stop = slot(flat.layers[layer])
        work.v[start:stop] = 0
        work.i[start:stop] = 0
        work.wait[start:stop] = 0


@inlined
def gather(flat: Any, work: Any, layer: int, begin: int, t: int, wide: Any, narrow: Any) -> int:
    """The synaptic input of one layer in step t into `wide`; returns synaptic operations.

    `begin` is the row of the sample's first step in `work.ends`.
    """
    wide[:] = 0
    done = 0
    for edge in range(flat.layers[layer, FIRST_EDGE], flat.layers[layer, LAST_EDGE]):
        row = flat.edges[edge]
        then = t - row[DELAY]
        if then >= 0:
            ends = work.ends[row[READS]]
            lo, hi = ends[begin + then], ends[begin + then + 1]
            if lo < hi:
                done += add_edge(flat, row, work.events, lo, hi, wide, narrow, work.scratch)
    return done


@inlined
def gather_narrow(flat: Any, work: Any, layer: int, begin: int, t: int, narrow: Any) -> int:
    """`gather` where one dense table is all; -1 if a narrow sum would not be safe."""
    row = flat.edges[flat.layers[layer, FIRST_EDGE]]
    then = t - row[DELAY]
    narrow[:] = 0
    done = 0
    if then >= 0:
        ends = work.ends[row[READS]]
        lo, hi = ends[begin + then], ends[begin + then + 1]
        if hi - lo <= BLOCK:
            add_rows(narrow, flat.weights, row[WEIGHT], work.events, lo, hi)
            done = (hi - lo) * len(narrow)
        else:
            done = -1
    return done


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
        rest(flat, work, group)
        begin = sample * steps
        for t in range(steps):
            for layer in group:
                row = flat.layers[layer]
                start, stop = slot(row)
                wide, narrow = work.wide[: row[N]], work.narrow[: row[N]]
                v, i, wait = work.v[start:stop], work.i[start:stop], work.wait[start:stop]
                done = -1
                if row[NARROW]:
                    done = gather_narrow(flat, work, layer, begin, t, narrow)
                if done >= 0:
                    update_fast(row, flat.parameters, narrow, v, work.flags)
                else:
                    done = gather(flat, work, layer, begin, t, wide, narrow)
                    if row[FAST]:
                        update_fast(row, flat.parameters, wide, v, work.flags)
                    else:
                        update_integer(row, flat.parameters, wide, v, i, wait, work.flags)
                work.synops[layer, sample] += done
                finish(flat, work, layer, begin + t)


@compiled
def run_float(flat: Any, work: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group` of a float64 network, stepping together."""
    for sample in range(samples):
        rest(flat, work, group)
        begin = sample * steps
        for t in range(steps):
            for layer in group:
                row = flat.layers[layer]
                start, stop = slot(row)
                wide, narrow = work.wide[: row[N]], work.narrow[: row[N]]
                v, i, wait = work.v[start:stop], work.i[start:stop], work.wait[start:stop]
                work.synops[layer, sample] += gather(flat, work, layer, begin, t, wide, narrow)
                update_float(row, flat.parameters, wide, v, i, wait, work.flags)
                finish(flat, work, layer, begin + t)
