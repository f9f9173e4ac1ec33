"""The circuits of a compiled program against ngspice: what the exact comparison cannot show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from snnstack.backends.crossbar.circuit import Array as CircuitArray
from snnstack.backends.crossbar.circuit import Circuit
from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.instance import wires_of
from snnstack.backends.crossbar.program import Program, Tile
from snnstack.backends.crossbar.programming import programming_files, read_programming
from snnstack.backends.crossbar.spice import INSTALL, TOOL, run_spice
from snnstack.ir.nodes import Array
from snnstack.report.equality import Agreement
from snnstack.trace import Spikes

LARGEST = {"passive": 32, "gated_bl": 64, "gated_wl": 64}
"""Rows and columns that ngspice solves in a second; of a larger tile the first ones are taken."""
TILES = 3
"""Tiles that are compared, the largest that fit first."""
VECTORS = 2
TOLERANCE = 1e-9


def agreements(program: Program, spikes: Spikes) -> Sequence[Agreement]:
    """Currents of some tiles, with their wires, by the solvers of `circuit` and by ngspice.

    Conductances are those of the emitted programming file. Rows are driven as `spikes` drive
    them where the input feeds the tile, else half of them. Nothing without ngspice: `missing`
    says so in what `verify` shows.
    """
    if missing():
        return ()
    _, arrays = read_programming(programming_files(program))
    return [_compared(program, t, arrays, spikes) for t in _chosen(program)]


def missing() -> str:
    """What keeps circuits from being compared, "" if nothing does."""
    found = shutil.which(TOOL)
    return "" if found else f"circuits not compared: {TOOL} not found, install it: {INSTALL}"


def _chosen(program: Program) -> list[Tile]:
    """The largest tiles that ngspice can take whole, then those that it cannot."""
    largest = LARGEST[hardware(program.board).topology]

    def rank(tile: Tile) -> tuple[bool, int]:
        block = tile.block
        return max(block.rows, block.columns) > largest, -block.rows * block.columns

    return sorted(program.tiles, key=rank)[:TILES]


def _compared(program: Program, tile: Tile, arrays: dict[str, Any], spikes: Spikes) -> Agreement:
    block, machine = tile.block, hardware(program.board)
    largest = LARGEST[machine.topology]
    rows, columns = min(block.rows, largest), min(block.columns, largest)
    g = arrays[f"array_{block.array}_us"][block.row : block.row + rows, :columns] * 1e-6
    array = CircuitArray(g, machine.topology, wires_of(program.board))
    volt = program.board.coefficients["read_v"].typical / tile.route.top
    drive = np.stack(list(_vectors(program, tile, spikes, rows)))[:, :rows] * volt
    ours = Circuit(array, tolerance=TOLERANCE / 1000).currents(drive)
    theirs = run_spice(array, drive).currents
    part = "" if (rows, columns) == (block.rows, block.columns) else "the first cells of "
    return Agreement(
        against=TOOL,
        of=f"currents of {part}{tile.name} ({rows}x{columns}, {machine.topology}, with wires)",
        compared=int(ours.size),
        worst=float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-30)),
        tolerance=TOLERANCE,
    )


def _vectors(program: Program, tile: Tile, spikes: Spikes, rows: int) -> Iterator[Array]:
    """Digits of the rows of the tile in some reads, at least one row of the first ones driven."""
    random = np.random.default_rng(tile.number)
    half = (random.random((VECTORS, tile.block.rows)) < 0.5).astype(np.int64)
    half[:, 0] = 1
    busy = np.flatnonzero(np.diff(spikes.indptr))
    if tile.route.source != program.input.name or tile.route.pool or not len(busy):
        yield from half
        return
    for number in range(VECTORS):
        row = busy[number * (len(busy) - 1) // VECTORS]
        part = slice(int(spikes.indptr[row]), int(spikes.indptr[row + 1]))
        seen = np.zeros(spikes.n + 1, dtype=np.int64)
        seen[spikes.indices[part]] = 1 if spikes.counts is None else spikes.counts[part]
        reads = np.minimum(seen[tile.block.gather], tile.route.top)
        chosen = reads[reads[:, :rows].sum(axis=1).argmax()]
        yield chosen if chosen[:rows].any() else half[number]
