"""Neuron update and event emission: the compiled twins of the neuron equations.

Each update turns the synaptic input of one step into new states and one flag byte a neuron;
`row` describes the layer (see `flat`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.dynamics.compiled import compiled
from snnstack.engine.flat import (
    ABOVE,
    AFTER,
    ALPHA,
    BETA,
    BIAS,
    CURRENT_BITS,
    CURRENT_MAX,
    DRIVE,
    FINE_ALPHA,
    FINE_BETA,
    GAIN,
    GAIN_IN,
    HAS_CURRENT,
    LATE,
    LEAK,
    NEXT,
    NEXT_ALL,
    OFFSET,
    PAYLOAD_SHIFT,
    RECHECK,
    RECTIFY,
    REFRACTORY,
    SHIFT,
    STATE_MAX,
    SUBTRACT,
    N,
)

LOWEST = -(2**62)


@compiled
def decayed(value: Any, factor: Any) -> Any:
    """floor(value * factor / 2**16) in 32 bits, for a factor 0..65536."""
    high = np.int32((value >> 16) * factor)
    low = np.uint32(np.uint32(value & 0xFFFF) * np.uint32(factor))
    return np.int32(high + np.int32(low >> 16))


@compiled
def shrunk_by(value: Any, factor: Any, fine: Any) -> Any:
    """`decayed`, or with `fine` floor(value * (2**32 + factor) / 2**32) for -2**31 <= factor <= 0.

    A fine factor is what is missing to 1, so that it fits 32 bits.
    """
    if fine:
        return np.int32(value + np.int32((np.int64(value) * np.int64(factor)) >> 32))
    return decayed(value, factor)


@compiled
def update_fast(row: Any, parameters: Any, total: Any, v: Any, flags: Any) -> None:
    """Integer update without current or refractory time, one alpha, threshold and reset."""
    start, n, scale = row[OFFSET], row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    keep = np.int32(-row[SUBTRACT])
    alpha, above = parameters[ALPHA, start], parameters[ABOVE, start]
    after = parameters[AFTER, start]
    drive = parameters[DRIVE, start : start + n]
    for j in range(n):
        u = np.int32(decayed(v[j], alpha) + np.int32(np.int32(total[j]) * scale) + drive[j])
        u = min(max(u, lowest), highest)
        fired = u > above
        flags[j] = fired
        v[j] = np.int32((u & keep) + after) if fired else u


@compiled
def update_integer_fine(
    row: Any, parameters: Any, total: Any, v: Any, i: Any, wait: Any, flags: Any
) -> None:
    """`update_integer` with decays of 32 bits; apart, so that the other is vectorised."""
    start, stop, scale = row[OFFSET], row[OFFSET] + row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    bound = row[CURRENT_MAX] if row[HAS_CURRENT] else 2**31 - 1
    strongest, weakest = np.int32(bound), np.int32(-bound)
    keep, pause = np.int32(-row[SUBTRACT]), np.int32(row[REFRACTORY])
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    fine_alpha, fine_beta = row[FINE_ALPHA] != 0, row[FINE_BETA] != 0
    for j in range(stop - start):
        x = np.int32(
            shrunk_by(i[j], beta[j], fine_beta) + np.int32(np.int32(total[j]) * scale) + bias[j]
        )
        x = min(max(x, weakest), strongest)
        i[j] = x
        u = np.int32(shrunk_by(v[j], alpha[j], fine_alpha) + x + leak[j])
        u = min(max(u, lowest), highest)
        waiting = wait[j] > 0
        u = v[j] if waiting else u
        fired = (u > above[j]) & (not waiting)
        flags[j] = fired
        v[j] = np.int32((u & keep) + after[j]) if fired else u
        wait[j] = pause if fired else max(np.int32(wait[j] - 1), np.int32(0))


@compiled
def update_integer(
    row: Any, parameters: Any, total: Any, v: Any, i: Any, wait: Any, flags: Any
) -> None:
    """Integer update, all features; equations in `snnstack.quant.network`."""
    if row[FINE_ALPHA] or row[FINE_BETA]:
        update_integer_fine(row, parameters, total, v, i, wait, flags)
        return
    start, stop, scale = row[OFFSET], row[OFFSET] + row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    bound = row[CURRENT_MAX] if row[HAS_CURRENT] else 2**31 - 1
    strongest, weakest = np.int32(bound), np.int32(-bound)
    keep, pause = np.int32(-row[SUBTRACT]), np.int32(row[REFRACTORY])
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    for j in range(stop - start):
        x = np.int32(decayed(i[j], beta[j]) + np.int32(np.int32(total[j]) * scale) + bias[j])
        x = min(max(x, weakest), strongest)
        i[j] = x
        u = np.int32(decayed(v[j], alpha[j]) + x + leak[j])
        u = min(max(u, lowest), highest)
        waiting = wait[j] > 0
        u = v[j] if waiting else u
        fired = (u > above[j]) & (not waiting)
        flags[j] = fired
        v[j] = np.int32((u & keep) + after[j]) if fired else u
        wait[j] = pause if fired else max(np.int32(wait[j] - 1), np.int32(0))


@compiled
def update_integer_late_fine(
    row: Any, parameters: Any, total: Any, v: Any, i: Any, flags: Any
) -> None:
    """`update_integer_late` with decays of 32 bits; apart, so that the other is vectorised."""
    start, stop, scale = row[OFFSET], row[OFFSET] + row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    bound = row[CURRENT_MAX] if row[HAS_CURRENT] else 2**31 - 1
    strongest, weakest, recheck = np.int32(bound), np.int32(-bound), row[LATE] == RECHECK
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    fine_alpha, fine_beta = row[FINE_ALPHA] != 0, row[FINE_BETA] != 0
    for j in range(stop - start):
        x = np.int32(
            shrunk_by(i[j], beta[j], fine_beta) + np.int32(np.int32(total[j]) * scale) + bias[j]
        )
        x = min(max(x, weakest), strongest)
        i[j] = x
        back = after[j] if v[j] > above[j] else np.int32(0)
        at_once = np.int32(0) if recheck else back
        u = np.int32(np.int32(shrunk_by(v[j], alpha[j], fine_alpha) + at_once) + x + leak[j])
        u = min(max(u, lowest), highest)
        fired = (np.int32(u + back) if recheck else u) > above[j]
        flags[j] = fired
        v[j] = np.int32(u + after[j]) if recheck and fired else u


@compiled
def update_integer_late(row: Any, parameters: Any, total: Any, v: Any, i: Any, flags: Any) -> None:
    """Integer update with a subtraction in the next step, or rechecked; never refractory."""
    if row[FINE_ALPHA] or row[FINE_BETA]:
        update_integer_late_fine(row, parameters, total, v, i, flags)
        return
    start, stop, scale = row[OFFSET], row[OFFSET] + row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    bound = row[CURRENT_MAX] if row[HAS_CURRENT] else 2**31 - 1
    strongest, weakest, recheck = np.int32(bound), np.int32(-bound), row[LATE] == RECHECK
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    for j in range(stop - start):
        x = np.int32(decayed(i[j], beta[j]) + np.int32(np.int32(total[j]) * scale) + bias[j])
        x = min(max(x, weakest), strongest)
        i[j] = x
        back = after[j] if v[j] > above[j] else np.int32(0)
        at_once = np.int32(0) if recheck else back
        u = np.int32(np.int32(decayed(v[j], alpha[j]) + at_once) + x + leak[j])
        u = min(max(u, lowest), highest)
        fired = (np.int32(u + back) if recheck else u) > above[j]
        flags[j] = fired
        v[j] = np.int32(u + after[j]) if recheck and fired else u


@compiled
def shrunk(value: Any, factor: Any) -> Any:
    """`factor` / 2**12 of `value`, toward zero, in 32 bits; factor 0..4096."""
    up = np.int32(np.int32(value >> 31) & np.int32(4095))  # rounds a negative value up
    high = np.int32(np.int32(value >> 12) * factor)
    low = np.int32(np.int32(np.int32(value & np.int32(4095)) * factor) + up)
    return np.int32(high + np.int32(low >> 12))


@compiled
def update_cuba(
    row: Any, parameters: Any, total: Any, v: Any, i: Any, wait: Any, flags: Any, active: Any
) -> None:
    """Current-based update in wrapping registers; equations in `plan.CubaNeurons`.

    `active` counts the steps in which i or v (before the reset) is not 0. `wait` becomes the
    refractory period (1 or more) on a spike and counts down; v is held where it was above 1.
    """
    start, stop, scale = row[OFFSET], row[OFFSET] + row[N], np.int32(1 << row[SHIFT])
    highest, lowest = np.int32(row[STATE_MAX]), np.int32(-row[STATE_MAX])
    keep, pause = np.int32(-row[SUBTRACT]), np.int32(row[REFRACTORY])
    spare = np.int32(32 - row[CURRENT_BITS])
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, above = parameters[BIAS, start:stop], parameters[ABOVE, start:stop]
    after = parameters[AFTER, start:stop]
    for j in range(stop - start):
        x = np.int32(shrunk(i[j], beta[j]) + np.int32(np.int32(total[j]) * scale))
        x = np.int32(np.int32(x << spare) >> spare)
        i[j] = x
        u = np.int32(shrunk(v[j], alpha[j]) + x + bias[j])
        u = min(max(u, lowest), highest)
        waiting = wait[j] > 1
        u = v[j] if waiting else u
        fired = (u > above[j]) & (not waiting)
        flags[j] = fired
        active[j] += np.int32((x | u) != 0)
        v[j] = np.int32((u & keep) + after[j]) if fired else u
        wait[j] = pause if fired else max(np.int32(wait[j] - 1), np.int32(0))


@compiled
def update_delta(
    row: Any,
    parameters: Any,
    total: Any,
    memory: Any,
    sent: Any,
    shown: Any,
    flags: Any,
    active: Any,
) -> bool:
    """Sigma-delta update; equations in `plan.DeltaNeurons`. False if a value leaves int32.

    `memory` int64 [3, n]: sigma, act, residue. `sent` becomes the values sent, `shown` act.
    `active` counts the steps with input or with something to send.
    """
    start, stop, shift = row[OFFSET], row[OFFSET] + row[N], row[SHIFT]
    floor = np.int64(0) if row[RECTIFY] else np.int64(LOWEST)
    bias, threshold = parameters[BIAS, start:stop], parameters[ABOVE, start:stop]
    fits = True
    for j in range(stop - start):
        memory[0, j] += total[j] << shift
        act = max(memory[0, j] + bias[j], floor)
        delta = act - memory[1, j] + memory[2, j]
        sends = delta if abs(delta) >= threshold[j] else np.int64(0)
        memory[1, j] = act
        memory[2, j] = delta - sends
        value = sends >> row[PAYLOAD_SHIFT]
        fits &= (value == np.int32(value)) & (act == np.int32(act))
        sent[j] = value
        shown[j] = act
        flags[j] = value != 0
        active[j] += np.int32((total[j] != 0) | (delta != 0))
    return fits


@compiled
def update_float(
    row: Any, parameters: Any, total: Any, v: Any, i: Any, wait: Any, flags: Any
) -> None:
    """float64 update; equations in `snnstack.ir.step`, evaluated in their order."""
    start, stop = row[OFFSET], row[OFFSET] + row[N]
    subtract, has_current, pause = row[SUBTRACT] != 0, row[HAS_CURRENT] != 0, row[REFRACTORY]
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    gain_in, gain = parameters[GAIN_IN, start:stop], parameters[GAIN, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    for j in range(stop - start):
        x = total[j] + bias[j]
        if has_current:
            x = beta[j] * i[j] + gain_in[j] * x
            i[j] = x
        u = alpha[j] * v[j] + gain[j] * x + leak[j]
        waiting = wait[j] > 0
        u = v[j] if waiting else u
        fired = (u > above[j]) & (not waiting)
        flags[j] = fired
        v[j] = ((u + after[j]) if subtract else after[j]) if fired else u
        wait[j] = pause if fired else max(wait[j] - 1, 0)


@compiled
def update_float_late(row: Any, parameters: Any, total: Any, v: Any, i: Any, flags: Any) -> None:
    """float64 update with a reset that is not "now"; equations in `snnstack.ir.step`."""
    start, stop, late = row[OFFSET], row[OFFSET] + row[N], row[LATE]
    subtract, has_current = row[SUBTRACT] != 0, row[HAS_CURRENT] != 0
    alpha, beta = parameters[ALPHA, start:stop], parameters[BETA, start:stop]
    bias, leak = parameters[BIAS, start:stop], parameters[LEAK, start:stop]
    gain_in, gain = parameters[GAIN_IN, start:stop], parameters[GAIN, start:stop]
    above, after = parameters[ABOVE, start:stop], parameters[AFTER, start:stop]
    for j in range(stop - start):
        x = total[j] + bias[j]
        if has_current:
            x = beta[j] * i[j] + gain_in[j] * x
            i[j] = x
        was = v[j] > above[j]
        before = after[j] if was and late == NEXT and not subtract else v[j]
        u = alpha[j] * before + gain[j] * x + leak[j]
        if was and subtract:
            u += after[j]
        if was and late == NEXT_ALL:
            u = after[j]
        fired = u > above[j]
        flags[j] = fired
        if late == RECHECK and fired != was:
            u = u + after[j] if fired else u - after[j]
        v[j] = u


@compiled
def emit(flags: Any, words: Any, n: int, events: Any, at: int) -> int:
    """Write the numbers of the set flags from `events[at]` on; returns where they end.

    `words` is the memory of `flags` as 64-bit words; up to 7 entries past the end are touched.
    """
    flags[n : (n + 7) // 8 * 8] = 0
    for w in range((n + 7) // 8):
        if words[w]:
            for j in range(8 * w, 8 * w + 8):
                events[at] = j
                at += flags[j]
    return at


@compiled
def emit_values(flags: Any, sent: Any, n: int, events: Any, values: Any, at: int) -> int:
    """As `emit`, and the value of each event from `values[at]` on."""
    for j in range(n):
        if flags[j]:
            events[at] = j
            values[at] = sent[j]
            at += 1
    return at
