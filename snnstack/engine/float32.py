"""Neurons in IEEE float32 over exact integer sums: the compiled twins of `Float32Neurons`.

Every product and sum is rounded to float32 in the order written; nothing is contracted.

The sums of positive and of negative weights that such a neuron takes apart are kept in one
integer: `packed` weights hold one of them in the low, the other in the high bits, so that one
addition adds to both, through the same tables as any other weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.dynamics.compiled import compiled, inlined
from snnstack.engine.flat import (
    ABOVE,
    AFTER,
    ALPHA,
    BETA,
    BIAS,
    GAIN_IN,
    HAS_CURRENT,
    LEAK,
    OFFSET,
    SHIFT,
    SOURCE,
    SUBTRACT,
    N,
)
from snnstack.engine.kernels import gather, rest, slot
from snnstack.engine.neurons import emit


@compiled
def split_sums(row: Any, total: Any, up: Any, down: Any) -> None:
    """What the integers `total` of a layer hold, as float32: positive and negative sums."""
    bits = row[SHIFT]
    mask = (np.int64(1) << bits) - 1
    for j in range(len(total)):
        value = np.int64(total[j])
        up[j] = np.float32(np.int32(value & mask))
        down[j] = np.float32(np.int32(-(value >> bits)))


@compiled
def update_single(
    row: Any, parameters: Any, total: Any, up: Any, down: Any, v: Any, flags: Any
) -> None:
    """Update: v = alpha v + x + bias; x is `total`, or `up` + `down` where that is packed."""
    start, n = row[OFFSET], row[N]
    subtract, split = row[SUBTRACT] != 0, row[SHIFT] > 0
    alpha, bias = parameters[ALPHA, start : start + n], parameters[BIAS, start : start + n]
    threshold, reset = parameters[ABOVE, start : start + n], parameters[AFTER, start : start + n]
    for j in range(n):
        x = np.float32(up[j] + down[j]) if split else np.float32(total[j])
        u = np.float32(np.float32(np.float32(alpha[j] * v[j]) + x) + bias[j])
        fired = u >= threshold[j]
        after = np.float32(u - threshold[j]) if subtract else reset[j]
        flags[j] = fired
        v[j] = after if fired else u


@compiled
def update_pair(
    row: Any, parameters: Any, up: Any, down: Any, v: Any, ie: Any, ii: Any, flags: Any
) -> None:
    """Update: ie = ie exc + up;  ii = ii inh + down;  v = alpha v + ie + ii + bias."""
    start, n, subtract = row[OFFSET], row[N], row[SUBTRACT] != 0
    alpha, bias = parameters[ALPHA, start : start + n], parameters[BIAS, start : start + n]
    exc, inh = parameters[BETA, start : start + n], parameters[GAIN_IN, start : start + n]
    threshold, reset = parameters[ABOVE, start : start + n], parameters[AFTER, start : start + n]
    for j in range(n):
        a = np.float32(np.float32(ie[j] * exc[j]) + up[j])
        b = np.float32(np.float32(ii[j] * inh[j]) + down[j])
        ie[j] = a
        ii[j] = b
        u = np.float32(np.float32(np.float32(alpha[j] * v[j]) + a) + b)
        u = np.float32(u + bias[j])
        fired = u >= threshold[j]
        after = np.float32(u - threshold[j]) if subtract else reset[j]
        flags[j] = fired
        v[j] = after if fired else u


@inlined
def finish_single(flat: Any, work: Any, layer: int, row: int) -> None:
    """Events and records of one layer after its update; `row` is sample * steps + t."""
    n, offset = flat.layers[layer, N], flat.layers[layer, OFFSET]
    ends = work.ends[flat.layers[layer, SOURCE]]
    ends[row + 1] = emit(work.flags, work.words, n, work.events, ends[row])
    for variable in range(3):
        start = work.watch[layer, variable]
        if start >= 0:
            begin, states = offset, work.v if variable == 0 else work.i
            if variable == 2:
                begin += len(work.v)
            work.record[start + row * n : start + (row + 1) * n] = states[begin : begin + n]


@compiled
def run_single(flat: Any, work: Any, group: Any, samples: int, steps: int) -> None:
    """The layers `group` of a float32 network, stepping together.

    `work.i` holds the states ie of all layers, then their states ii.
    """
    second = len(work.v)
    for sample in range(samples):
        rest(flat, work, group)
        for layer in group:
            start, stop = slot(flat.layers[layer])
            work.v[start:stop] = flat.parameters[LEAK, start:stop]
            work.i[second + start : second + stop] = 0
        begin = sample * steps
        for t in range(steps):
            for layer in group:
                row = flat.layers[layer]
                start, stop = slot(row)
                n = row[N]
                wide, narrow = work.wide[:n], work.narrow[:n]
                up, down = work.halves[0, :n], work.halves[1, :n]
                v, ie = work.v[start:stop], work.i[start:stop]
                ii = work.i[second + start : second + stop]
                work.synops[layer, sample] += gather(flat, work, layer, begin, t, wide, narrow)
                if row[SHIFT]:
                    split_sums(row, wide, up, down)
                if row[HAS_CURRENT]:
                    update_pair(row, flat.parameters, up, down, v, ie, ii, work.flags)
                else:
                    update_single(row, flat.parameters, wide, up, down, v, work.flags)
                finish_single(flat, work, layer, begin + t)
