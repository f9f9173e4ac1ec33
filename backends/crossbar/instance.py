"""The arrays of one chip: cells as they came out, seen through the wires of the array."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from snnstack.backends.crossbar.circuit import Array, Circuit, Wires
from snnstack.backends.crossbar.device import (
    Device,
    device_of,
    drift,
    generator,
    program_cells,
    read_sigma,
    stuck,
)
from snnstack.backends.crossbar.hardware import CrossbarHardware, hardware
from snnstack.backends.crossbar.program import Program
from snnstack.board import Board

Siemens = NDArray[np.float64]
BUILDERS = 2
"""Arrays that are built side by side, each by one thread of the linear algebra: so the last bit
of a matrix does not depend on the machine's number of processors."""
WIRES = {
    "row": "wire_row_ohm",
    "col": "wire_column_ohm",
    "driver": "driver_ohm",
    "sense": "sense_ohm",
    "access": "access_ohm",
}
"""Coefficient of a board for each resistance; one that it lacks is 0."""


class ArrayCells(NamedTuple):
    """One array in siemens, [rows in use, columns in use].

    `g`: conductances of the cells, with the transistor of a gated cell. `seen`: what a unit of
    voltage on a row brings to a column: the transfer matrix of a passive array; in gated_wl the
    cells behind their source lines; else `g`. `admittance` [rows, rows]: what the rows of a
    passive array with wires draw. `noise`: spread of one read of `seen`. `scale`: what the values
    of its converters are multiplied by.
    """

    g: Siemens
    seen: Siemens
    admittance: Siemens | None
    noise: Siemens
    scale: float = 1.0


def targets(program: Program) -> tuple[Siemens, ...]:
    """What the cells of every array shall be, in siemens; 0 for those that are never formed."""
    sizes = np.zeros((program.arrays, 2), dtype=np.int64)
    blocks = [tile.block for tile in program.tiles]
    for b in blocks:
        sizes[b.array] = np.maximum(sizes[b.array], (b.row + b.rows, b.columns))
    arrays = [np.zeros(tuple(shape)) for shape in sizes]
    for b in blocks:
        microsiemens = program.cell.g_min_us + b.levels * program.cell.step_us
        arrays[b.array][b.row : b.row + b.rows, : b.columns] = microsiemens * 1e-6
    return tuple(arrays)


def formed(program: Program) -> tuple[NDArray[np.bool_], ...]:
    """Which cells of every array belong to a block."""
    found = [np.zeros(g.shape, dtype=np.bool_) for g in targets(program)]
    for tile in program.tiles:
        b = tile.block
        found[b.array][b.row : b.row + b.rows, : b.columns] = True
    return tuple(found)


def wires_of(board: Board) -> Wires:
    """The wires of a board's arrays; none where it leaves them out."""
    if not hardware(board).wires:
        return Wires()
    found = board.coefficients
    return Wires(**{k: found[name].typical if name in found else 0.0 for k, name in WIRES.items()})


def cells_of(program: Program, seed: int) -> tuple[ArrayCells, ...]:
    """The arrays of chip `seed`: programmed, stuck, drifted, behind wires."""
    machine = hardware(program.board)
    device = device_of(program.board)
    masks = formed(program)
    goals = targets(program)

    def made(k: int) -> ArrayCells:
        g, noise, scale = _written(machine, device, goals[k], masks[k], seed, k)
        return through_wires(program.board, g, noise)._replace(scale=scale)

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(BUILDERS) as pool:
        return tuple(pool.map(made, range(len(goals))))


def conductances(program: Program, seed: int) -> tuple[Siemens, ...]:
    """The cells of chip `seed`, array after array, without wires: programmed, stuck, drifted."""
    machine = hardware(program.board)
    device, masks = device_of(program.board), formed(program)
    goals = enumerate(targets(program))
    return tuple(_written(machine, device, g, masks[k], seed, k)[0] for k, g in goals)


def _written(
    machine: CrossbarHardware,
    device: Device,
    goal: Siemens,
    mask: NDArray[np.bool_],
    seed: int,
    tile: int,
) -> tuple[Siemens, Siemens, float]:
    """(conductances, spread of a read, scale of its values) of one array."""
    g = goal
    if machine.programming:
        g = program_cells(device, goal, seed, tile).g
    if machine.stuck:
        g = stuck(device, goal.shape, seed, tile).apply(device, g)
    before = np.where(mask, g, 0.0)
    g = np.where(mask, drift(device, g, machine.drift_s, seed, tile), 0.0)
    noise = _noise(machine, device, g, mask, machine.drift_s)
    if machine.drift_compensation == "none":
        return g, noise, 1.0
    reads = [(before, _noise(machine, device, before, mask, 0.0)), (g, noise)]
    return g, noise, compensation(*reads[0], *reads[1], seed, tile)


def _noise(
    machine: CrossbarHardware, device: Device, g: Siemens, mask: NDArray[np.bool_], t: float
) -> Siemens:
    """Spread of one read, `t` seconds after programming."""
    return np.where(mask, read_sigma(device, g, t), 0.0) if machine.read_noise else np.zeros_like(g)


def compensation(
    before: Siemens, noise_before: Siemens, now: Siemens, noise: Siemens, seed: int, tile: int
) -> float:
    """Global drift compensation: the current of all cells after programming over that of today.

    One calibration read each, with every row driven, summed over the columns; a read has the
    noise of its cells. Le Gallo, Sebastian, Cherubini, Giefers and Eleftheriou, IEEE TED 65(10),
    2018; Joshi et al., Nature Communications 11:2473, 2020. Wires are left out. 1 for an array
    without current.
    """
    draws = generator(seed, "calibration", tile).standard_normal(2)
    sums = [
        float(g.sum() + np.sqrt(np.sum(spread**2)) * z)
        for g, spread, z in ((before, noise_before, draws[0]), (now, noise, draws[1]))
    ]
    return sums[0] / sums[1] if min(sums) > 0 else 1.0


def through_wires(board: Board, g: Siemens, noise: Siemens) -> ArrayCells:
    """Cells of one array behind the wires of `board`.

    The noise of a cell reaches its column with the share of the voltage that the cell sees.
    """
    machine, wires = hardware(board), wires_of(board)
    if not g.size:
        return ArrayCells(g, g, None, noise)
    cells = Array(g, machine.topology, wires).effective
    if wires.ideal:
        return ArrayCells(cells, cells, None, noise)
    if machine.topology == "passive":
        found = Circuit(Array(g, "passive", wires)).transfer()
        return ArrayCells(g, found.matrix, found.admittance, noise * _share(found.matrix, g))
    seen = cells
    if machine.topology == "gated_wl" and wires.row + wires.driver > 0:
        alone = Array(cells, "passive", Wires(row=wires.row, driver=wires.driver))
        seen = Circuit(alone).transfer().matrix
    return ArrayCells(cells, seen, None, noise * _share(seen, g))


def _share(seen: Siemens, g: Siemens) -> Siemens:
    return np.divide(seen, g, out=np.zeros_like(g), where=g > 0)
