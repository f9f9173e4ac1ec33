"""Retime: where every hop takes a step, delays make parallel paths meet again.

A spike of step t arrives at t + 1 + chip delay. With L the lag of a population, a projection
that should act d steps later needs the chip delay L(target) - L(source) + d - 1 >= 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snnstack.ir.step import Projection


@dataclass(frozen=True)
class Timing:
    """`lag` by population; the chip delay of every projection and the steps it comes late.

    `late` is 0 wherever the network's relative timing is kept.
    """

    lag: dict[str, int]
    delay: tuple[int, ...]
    late: tuple[int, ...]


def retime(
    inputs: Sequence[str], names: Sequence[str], projections: Sequence[Projection]
) -> Timing:
    """The smallest lags that keep the relative timing of all paths.

    A loop whose delays are shorter than its number of hops cannot be kept: its feedback edges
    (those with a delay) then take the chip's minimum and arrive late.
    """
    lag = _longest(inputs, names, projections)
    if lag is None:
        loops = _loops(names, projections)
        kept = [p for p in projections if p.delay == 0 or (p.source, p.target) not in loops]
        lag = _longest(inputs, names, kept)
    if lag is None:  # a loop without any delay: the graph's check refuses it earlier
        raise ValueError("the delay-0 projections form a loop")
    wanted = [lag[p.target] - lag[p.source] + p.delay - 1 for p in projections]
    delay = tuple(max(d, 0) for d in wanted)
    late = tuple(max(-d, 0) for d in wanted)
    return Timing({n: lag[n] for n in names}, delay, late)


def _longest(
    inputs: Sequence[str], names: Sequence[str], projections: Sequence[Projection]
) -> dict[str, int] | None:
    """Least lags with L(target) >= L(source) + 1 - delay; None if they would grow forever."""
    lag = dict.fromkeys((*inputs, *names), 0)
    for _ in range(len(lag) + 1):
        changed = False
        for p in projections:
            least = lag[p.source] + 1 - p.delay
            if least > lag[p.target]:
                lag[p.target], changed = least, True
        if not changed:
            return lag
    return None


def _loops(names: Sequence[str], projections: Sequence[Projection]) -> set[tuple[str, str]]:
    """(source, target) of every projection that lies on a loop."""
    reach = {name: {name} for name in names}
    changed = True
    while changed:
        changed = False
        for p in projections:
            if p.source in reach and not reach[p.target] <= reach[p.source]:
                reach[p.source] |= reach[p.target]
                changed = True
    return {(p.source, p.target) for p in projections if p.source in reach.get(p.target, ())}
