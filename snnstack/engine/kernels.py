"""The time loop: one group of layers over all steps of a number of samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.compiled import compiled, inlined
from snnstack.engine.call import call_update
from snnstack.engine.emit import emit, emit_values
from snnstack.engine.flat import (
    ACTIVE,
    CODE,
    CODE_NARROW,
    DEEP,
    DELAY,
    FIRST_EDGE,
    GRADED,
    LAST_EDGE,
    NARROW,
    OFFSET,
    PARAMETERS,
    PORT,
    READS,
    ROWS,
    SIZE,
    SOURCE,
    STATES,
    SUMS,
    VALUES,
    WEIGHT,
    N,
)
from snnstack.engine.inject import add_edge, add_rows


class Work(NamedTuple):
    """What a run of some samples writes.

    `ends[source, sample * steps + t]` is where the events of that step begin in `events`, and
    the next entry where they end. `synops` [layer, sample]. `states`: bytes, blocks as in
    `Flat.initial`. `wide`, `deep`, `narrow`: sums of a step, `deep` in int64. `flags` and
    `words` share memory. `sent` [neuron of a layer]: the values of a step. `active` [neuron]:
    the active steps of a sample, and `busy` [part, sample] their sums. `overflow` [layer]: 1
    where a number did not fit. `watch` [probe, 4]: layer, first byte in `states`, first byte in
    `record`, bytes a step.
    """

    events: NDArray[np.int32]
    ends: NDArray[np.int64]
    synops: NDArray[np.int64]
    states: NDArray[np.uint8]
    wide: NDArray[Any]
    deep: NDArray[Any]
    narrow: NDArray[Any]
    scratch: NDArray[np.int32]
    new_values: NDArray[Any]
    flags: NDArray[np.uint8]
    words: NDArray[np.uint64]
    sent: NDArray[Any]
    active: NDArray[np.int32]
    busy: NDArray[np.int64]
    overflow: NDArray[np.uint8]
    watch: NDArray[np.int64]
    record: NDArray[np.uint8]


@compiled
def gather(
    flat: Any, work: Any, values: Any, layer: int, begin: int, t: int, wide: Any, narrow: Any
) -> int:
    """The synaptic input of one layer in step t into `wide` [sum, n]; returns synaptic operations.

    `begin` is the row of the sample's first step in `work.ends`; `values` runs parallel to
    `work.events`, or is None where no event carries one.
    """
    wide[:] = 0
    done, n = 0, flat.layers[layer, N]
    ids, room, new = work.events, work.scratch, work.new_values
    for edge in range(flat.layers[layer, FIRST_EDGE], flat.layers[layer, LAST_EDGE]):
        row = flat.edges[edge]
        then = t - row[DELAY]
        if then >= 0:
            ends = work.ends[row[READS]]
            lo, hi = ends[begin + then], ends[begin + then + 1]
            if lo < hi:
                sums = wide[row[PORT] * n : (row[PORT] + 1) * n]
                if values is None:
                    done += add_edge(flat, row, ids, None, lo, hi, sums, narrow, room, None)
                elif row[GRADED]:
                    done += add_edge(flat, row, ids, values, lo, hi, sums, narrow, room, new)
                else:
                    done += add_edge(flat, row, ids, None, lo, hi, sums, narrow, room, None)
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
def rest(flat: Any, work: Any, group: Any) -> None:
    """The layers `group` as they are before the first step of a sample."""
    for layer in group:
        row = flat.layers[layer]
        start, stop = row[STATES], row[STATES] + row[SIZE]
        work.states[start:stop] = flat.initial[start:stop]
        if row[ACTIVE]:
            work.active[row[OFFSET] : row[OFFSET] + row[N]] = 0


@inlined
def finish(flat: Any, work: Any, values: Any, layer: int, row: int) -> None:
    """Events and records of one layer after its update; `row` is sample * steps + t."""
    n, ends = flat.layers[layer, N], work.ends[flat.layers[layer, SOURCE]]
    if values is None:
        ends[row + 1] = emit(work.flags, work.words, n, work.events, ends[row])
    elif flat.layers[layer, VALUES]:
        ends[row + 1] = emit_values(work.flags, work.sent, n, work.events, values, ends[row])
    else:
        ends[row + 1] = emit(work.flags, work.words, n, work.events, ends[row])
    for probe in range(len(work.watch)):
        if work.watch[probe, 0] == layer:
            seen, length = work.watch[probe, 1], work.watch[probe, 3]
            to = work.watch[probe, 2] + row * length
            work.record[to : to + length] = work.states[seen : seen + length]


@inlined
def tally(flat: Any, work: Any, group: Any, sample: int) -> None:
    """The active steps of the neurons of a sample, summed by part."""
    for layer in group:
        if flat.layers[layer, ACTIVE]:
            start = flat.layers[layer, OFFSET]
            for j in range(start, start + flat.layers[layer, N]):
                work.busy[flat.parts[j], sample] += work.active[j]


@compiled
def run_group(flat: Any, work: Any, values: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group`, stepping together."""
    parameters, states = flat.parameters.ctypes.data, work.states.ctypes.data
    flags, active, sent = work.flags.ctypes.data, work.active.ctypes.data, work.sent.ctypes.data
    narrow_sums, wide_sums, deep_sums = (
        work.narrow.ctypes.data,
        work.wide.ctypes.data,
        work.deep.ctypes.data,
    )
    for sample in range(samples):
        rest(flat, work, group)
        begin = sample * steps
        for t in range(steps):
            for layer in group:
                row = flat.layers[layer]
                n, room = row[N], row[N] * row[SUMS]
                narrow, code, sums, done = work.narrow[:n], row[CODE], wide_sums, -1
                if row[NARROW]:
                    done = gather_narrow(flat, work, layer, begin, t, narrow)
                if done >= 0:
                    code, sums = row[CODE_NARROW], narrow_sums
                elif row[DEEP]:
                    sums = deep_sums
                    done = gather(flat, work, values, layer, begin, t, work.deep[:room], narrow)
                else:
                    done = gather(flat, work, values, layer, begin, t, work.wide[:room], narrow)
                own, own_states = parameters + row[PARAMETERS], states + row[STATES]
                own_active = active + 4 * row[OFFSET]
                if not call_update(code, n, sums, own, own_states, flags, own_active, sent):
                    work.overflow[layer] = 1
                work.synops[layer, sample] += done
                finish(flat, work, values, layer, begin + t)
        tally(flat, work, group, sample)
