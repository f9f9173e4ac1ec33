"""What the report of a conversion says of a model in integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnstack.quant.fixed.formats import summed_bits
from snnstack.quant.fixed.record import Fixed
from snnstack.quant.fixed.scale import Scaled
from snnstack.quant.fixed.slow import decay_note


def noted(fixed: Fixed, s: Scaled, rounded: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each port, state, time constant, table and value that is sent."""
    return tuple(_lines(fixed, s, rounded))


def _lines(fixed: Fixed, s: Scaled, rounded: Mapping[str, Any]) -> Iterator[str]:
    for port, how in fixed.ports.items():
        if how == "shift":
            told = f"input {port}: the states take over its scale, no multiplication"
        else:
            told = f"input {port}: multiplied with what one of its integers is in the model's units"
        yield told + _held(fixed, f"input {port}")
    clipped = {clip.place for clip in fixed.clips}
    for state, scale in fixed.scale.items():
        low, high = (k / float(np.max(scale)) for k in fixed.spans[state])
        how = "saturates" if f"state {state}" in clipped else "cannot leave"
        yield f"state {state}: {_number(scale)} integers a unit, {how} {low:.4g}..{high:.4g}"
        lost = summed_bits(s, state, frozenset())
        if lost is not None and float(np.min(scale / s.factor[state])) < 2.0**lost:
            yield f"state {state}: sums are rounded in every step, what cancels may leave a rest"
        note = decay_note(s.plain, state, rounded, 1 / float(np.min(scale)))
        if note is not None:
            yield note
    for table in fixed.tables:
        low, high = table.domain
        entries = " x ".join(str(len(t.entries)) for t in table.tables)
        where = f"{entries} entries over {low:.4g}..{high:.4g}"
        yield f"{table.name}: {where}, off by at most {table.error:.2g}"
    if fixed.sent_bits is not None:
        how = ", saturates" if "sent" in clipped else ""
        yield f"values are sent with {fixed.sent_bits} fraction bits{how}"


def _held(fixed: Fixed, place: str) -> str:
    """Where a number is held, as integers; limits of every neuron's own are not listed."""
    ends = next(((c.low, c.high) for c in fixed.clips if c.place == place), None)
    if ends is None:
        return ""
    if isinstance(ends[0], int) and isinstance(ends[1], int):
        return f"; sums saturate at {ends[0]}..{ends[1]}"
    return "; sums saturate, each neuron's at limits of its own"


def _number(scale: Any) -> str:
    least, most = float(np.min(scale)), float(np.max(scale))
    return f"{most:.6g}" if least == most else f"{least:.6g}..{most:.6g}"
