"""Fit the range of every converter to what the rows of its block carry in calibration data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.program import Block, Program, Route
from snnstack.backends.crossbar.ranges import fitted, units
from snnstack.ir.nodes import Array
from snnstack.ir.step import Pool
from snnstack.trace import Spikes

SLOTS = 512
"""(sample, step) pairs of a source that are looked at."""
READS = 4096
"""Reads of a block that are looked at."""


def calibrate(program: Program, sources: Mapping[str, Spikes]) -> Program:
    """`program` with converter ranges of least squared error on the spikes of all `sources`.

    `sources`: by name, the input and every population that fires. A block that is never read
    in them keeps its range.
    """
    bits = hardware(program.board).adc_bits
    if bits == 0:
        return program
    routes = []
    for route in program.routes:
        seen = None if route.source not in sources else _counts(route, sources[route.source])
        blocks = route.blocks if seen is None else tuple(
            _fitted(program, route, block, seen, bits) for block in route.blocks
        )  # fmt: skip
        routes.append(replace(route, blocks=blocks))
    return replace(program, routes=tuple(routes))


def _counts(route: Route, spikes: Spikes) -> NDArray[np.int64] | None:
    """Counts [slots, elements] of the (pooled) source in some of its busy steps."""
    busy = np.flatnonzero(np.diff(spikes.indptr))
    if not len(busy):
        return None
    chosen = busy[np.unique(np.linspace(0, len(busy) - 1, SLOTS).astype(np.int64))]
    dense = np.zeros((len(chosen), spikes.n), dtype=np.int64)
    for k, row in enumerate(chosen):
        part = slice(int(spikes.indptr[row]), int(spikes.indptr[row + 1]))
        dense[k, spikes.indices[part]] = 1 if spikes.counts is None else spikes.counts[part]
    return dense if route.pool is None else _pooled(route.pool, dense)


def _pooled(pool: Pool, dense: Array) -> Any:
    from snnstack.ir.matrix import pool_matrix

    return (pool_matrix(pool) @ dense.T).T.astype(np.int64)


def _fitted(program: Program, route: Route, block: Block, seen: Array, bits: int) -> Block:
    rows = _driven(route, block, seen)
    if rows is None:
        return block
    outputs = block.scatter.shape[1]
    currents = rows @ units(block.levels, program.coding, outputs)
    return replace(block, converter=fitted(currents, program.coding, outputs, bits))


def _driven(route: Route, block: Block, seen: Array) -> Array | None:
    """What the rows of a block carry in some of its reads, one digit at a time: [reads, rows]."""
    padded = np.concatenate([seen, np.zeros((len(seen), 1), seen.dtype)], axis=1)
    step = max(1, len(seen) * block.positions // READS)
    picks = np.arange(0, len(seen) * block.positions, step)
    slot, position = np.divmod(picks, block.positions)
    counts = padded[slot[:, None], block.gather[position]]
    mask = (1 << route.dac_bits) - 1
    digits = [(counts >> (route.dac_bits * p)) & mask for p in range(route.phases)]
    rows = np.concatenate(digits).astype(np.float64)
    rows = rows[rows.any(axis=1)]
    return rows if len(rows) else None
