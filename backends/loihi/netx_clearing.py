"""States that a netx network clears at intervals, as lava-dl's `reset_interval` does.

lava-dl's `netx.hdf5.Network` takes `reset_interval` and `reset_offset`; its layers then are
Lava's `LIFReset`, which clears u and v in every step with
`time_step % reset_interval == reset_offset`, where the first step is 1. The first layer's offset
is the network's + 1, each further layer's one more. A file may hold both numbers at its root
(the network's) or in a layer's `neuron` group (those of its `LIFReset`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipPopulation, Cuba
from snnstack.backends.loihi.ranges import outside
from snnstack.errors import Problem
from snnstack.ir.given import integers

INTERVAL, OFFSET = "reset_interval", "reset_offset"
FIRST_STEP = 1
"""Lava's time of what is our step 0."""


@dataclass(frozen=True)
class Clearing:
    """States are 0 before every step t with t % `interval` == `offset` % `interval`."""

    interval: int
    offset: int

    def after(self, layers: int) -> Clearing:
        """So many steps later: that of the layer which has so many before it."""
        return Clearing(self.interval, self.offset + layers)


def clearing_data(interval: int | None, offset: int) -> dict[str, Any]:
    """The data sets that say what an option says; nothing without an interval."""
    return {} if interval is None else {INTERVAL: np.int64(interval), OFFSET: np.int64(offset)}


def network_clearing(where: str, data: dict[str, Any], problems: list[Problem]) -> Clearing | None:
    """The first layer's, from data sets at the root; None if they say none."""
    return _clearing(where, data, problems)


def layer_clearing(where: str, layer: dict[str, Any], problems: list[Problem]) -> Clearing | None:
    """A layer's own, from its neuron group."""
    group = layer.get("neuron")
    found = _clearing(where, group, problems) if isinstance(group, dict) else None
    return None if found is None else Clearing(found.interval, found.offset - FIRST_STEP)


def _clearing(where: str, data: dict[str, Any], problems: list[Problem]) -> Clearing | None:
    if INTERVAL not in data:
        return None
    found = [
        int(np.max(integers(where, key, data.get(key, 0), problems))) for key in (INTERVAL, OFFSET)
    ]
    for key, value in zip((INTERVAL, OFFSET), found, strict=True):
        problems += outside(where, key, value)
    return Clearing(max(found[0], 1), found[1])


def cleared(
    where: str, population: ChipPopulation, clearing: Clearing | None, problems: list[Problem]
) -> ChipPopulation:
    """`population` with `clearing`; sigma-delta neurons have none."""
    if clearing is None:
        return population
    if not isinstance(population, Cuba):
        what = f"{INTERVAL} of sigma-delta neurons is not supported"
        problems.append(Problem(where, what, "lava-dl passes over it: leave it out"))
        return population
    phase = clearing.offset % clearing.interval
    return replace(population, reset_interval=clearing.interval, reset_offset=phase)
