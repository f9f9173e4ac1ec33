"""Route: how many messages a spike becomes and how many hops they take, for every neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.partition import Wire
from snnstack.mapping.place import Cores
from snnstack.mapping.reach import pairs

ENTRY = (0, 0)
"""The tile where input enters the mesh."""


@dataclass(frozen=True, eq=False)
class Travel:
    """Per element, int32 [n]: messages of one spike, and their hops along columns and rows."""

    messages: Array
    hops_x: Array
    hops_y: Array


def travel(
    source: str,
    n: int,
    own: Array | None,
    wires: Sequence[Wire],
    blocks: Mapping[str, Blocks],
    core: Mapping[str, Array],
    cores: Cores,
) -> Travel:
    """Of the `n` elements of `source`, whose cores are `own` [n] (None: they enter from outside).

    A spike sends one message to every core that it reaches, first along the columns, then
    along the rows; the hops of a message are the distance between the two tiles.
    """
    totals = np.zeros((3, n))
    for wire in wires:
        if wire.projection.source != source:
            continue
        target = wire.projection.target
        for found in pairs(wire.projection, blocks[target]):
            there = core[target][found.block]
            x, y = (
                ENTRY if own is None else (cores.x[own[found.source]], cores.y[own[found.source]])
            )
            weights = (np.ones(len(there)), np.abs(cores.x[there] - x), np.abs(cores.y[there] - y))
            for row, weight in zip(totals, weights, strict=True):
                row += np.bincount(found.source, weight, minlength=n)
    return Travel(*(row.astype(np.int32) for row in totals))
