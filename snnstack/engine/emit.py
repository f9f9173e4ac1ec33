"""Flags of the neurons that send, into events."""

from __future__ import annotations

from typing import Any

from snnstack.dynamics.compiled import compiled


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
