"""The time loop: one group of layers over all steps of a number of samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.compiled import compiled, inlined
from snnstack.engine.flat import (
    CLEARED,
    DELAY,
    DELTA,
    FAST,
    FIRST_EDGE,
    GRADED,
    LAST_EDGE,
    LATE,
    LEAK,
    MODEL,
    NARROW,
    NOW,
    OFFSET,
    PHASE,
    READS,
    REFRACTORY,
    ROWS,
    SHOWN,
    SOURCE,
    WEIGHT,
    N,
)
from snnstack.engine.inject import add_edge, add_rows
from snnstack.engine.neurons import (
    emit,
    emit_values,
    update_cuba,
    update_delta,
    update_fast,
    update_float,
    update_float_late,
    update_integer,
    update_integer_late,
)


class Work(NamedTuple):
    """What a run of some samples writes.

    `ends[source, sample * steps + t]` is where the events of that step begin in `events`, and
    the next entry where they end. `synops` [layer, sample]. `watch` [layer, 3] is where the
    recorded variables of a layer begin in `record`, or -1. `flags` and `words` share memory.

    Of use only to networks of Cuba and delta neurons: `values`, parallel to `events`; `deep`,
    synaptic input in int64; `memory` [3, neuron]; `active` [neuron], the active steps of a
    sample, and `busy` [part, sample], their sums; `overflow` [layer], 1 where a value left int32.

    Of a float32 network, `i` holds the states ie of all layers, then their ii, and `halves`
    [2, neuron] the positive and the negative sums of a step.
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
    values: NDArray[np.int32]
    new_values: NDArray[np.int32]
    deep: NDArray[np.int64]
    memory: NDArray[np.int64]
    active: NDArray[np.int32]
    busy: NDArray[np.int64]
    overflow: NDArray[np.uint8]
    halves: NDArray[np.float32]


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
                ids, room = work.events, work.scratch
                done += add_edge(flat, row, ids, None, lo, hi, wide, narrow, room, None)
    return done


@compiled
def gather_graded(
    flat: Any, work: Any, layer: int, begin: int, t: int, wide: Any, narrow: Any
) -> int:
    """`gather` where events of some sources carry values."""
    wide[:] = 0
    done = 0
    for edge in range(flat.layers[layer, FIRST_EDGE], flat.layers[layer, LAST_EDGE]):
        row = flat.edges[edge]
        then = t - row[DELAY]
        if then >= 0:
            ends, ids, room = work.ends[row[READS]], work.events, work.scratch
            lo, hi = ends[begin + then], ends[begin + then + 1]
            if row[GRADED]:
                given, new = work.values, work.new_values
                done += add_edge(flat, row, ids, given, lo, hi, wide, narrow, room, new)
            else:
                done += add_edge(flat, row, ids, None, lo, hi, wide, narrow, room, None)
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
        if hi - lo <= row[ROWS]:
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
                    elif row[LATE] != NOW:
                        update_integer_late(row, flat.parameters, wide, v, i, work.flags)
                    else:
                        update_integer(row, flat.parameters, wide, v, i, wait, work.flags)
                work.synops[layer, sample] += done
                finish(flat, work, layer, begin + t)


@inlined
def finish_graded(flat: Any, work: Any, layer: int, row: int) -> None:
    """`finish` of a layer whose events carry values, or whose probe counts refractory steps."""
    n, offset = flat.layers[layer, N], flat.layers[layer, OFFSET]
    if flat.layers[layer, MODEL] == DELTA:
        ends, sent = work.ends[flat.layers[layer, SOURCE]], work.v[offset : offset + n]
        ends[row + 1] = emit_values(work.flags, sent, n, work.events, work.values, ends[row])
    start, shown = work.watch[layer, 0], flat.layers[layer, SHOWN]
    if start >= 0 and shown >= 0:
        for j in range(n):
            waits = work.wait[offset + j]
            if waits:
                passed = flat.layers[layer, REFRACTORY] - waits
                work.record[start + row * n + j] = shown + passed


@inlined
def wake(flat: Any, work: Any, group: Any) -> None:
    """What `rest` leaves of the layers `group`: sums and counts to zero, v to its beginning."""
    for layer in group:
        start, stop = slot(flat.layers[layer])
        work.active[start:stop] = 0
        if flat.layers[layer, MODEL] == DELTA:
            work.memory[:, start:stop] = 0
        else:
            work.v[start:stop] = flat.parameters[LEAK, start:stop]


@inlined
def tally(flat: Any, work: Any, group: Any, sample: int) -> None:
    """The active steps of the neurons of a sample, summed by part."""
    for layer in group:
        start, stop = slot(flat.layers[layer])
        for j in range(start, stop):
            work.busy[flat.parts[j], sample] += work.active[j]


@compiled
def run_cuba(flat: Any, work: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group` of a network of Cuba and delta neurons, stepping together."""
    for sample in range(samples):
        rest(flat, work, group)
        wake(flat, work, group)
        begin = sample * steps
        for t in range(steps):
            for layer in group:
                row = flat.layers[layer]
                start, stop = slot(row)
                wide, narrow = work.wide[: row[N]], work.narrow[: row[N]]
                v, i, wait = work.v[start:stop], work.i[start:stop], work.wait[start:stop]
                active, flags, parameters = work.active[start:stop], work.flags, flat.parameters
                if row[CLEARED] and t % row[CLEARED] == row[PHASE]:
                    v[:], i[:], wait[:] = 0, 0, 0
                done = -1
                if row[MODEL] == DELTA:
                    deep, memory = work.deep[: row[N]], work.memory[:, start:stop]
                    done = gather_graded(flat, work, layer, begin, t, deep, narrow)
                    if not update_delta(row, parameters, deep, memory, v, i, flags, active):
                        work.overflow[layer] = 1
                else:
                    if row[NARROW]:
                        done = gather_narrow(flat, work, layer, begin, t, narrow)
                    if done >= 0:
                        update_cuba(row, parameters, narrow, v, i, wait, flags, active)
                    else:
                        done = gather_graded(flat, work, layer, begin, t, wide, narrow)
                        update_cuba(row, parameters, wide, v, i, wait, flags, active)
                work.synops[layer, sample] += done
                finish(flat, work, layer, begin + t)
                finish_graded(flat, work, layer, begin + t)
        tally(flat, work, group, sample)


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
                if row[LATE] != NOW:
                    update_float_late(row, flat.parameters, wide, v, i, work.flags)
                else:
                    update_float(row, flat.parameters, wide, v, i, wait, work.flags)
                finish(flat, work, layer, begin + t)
