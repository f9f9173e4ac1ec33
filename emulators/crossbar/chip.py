"""The cells of a chip: ideal ones, or those of one chip of many, with wires and converters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.coding import channels, combined
from snnstack.backends.crossbar.hardware import hardware
from snnstack.backends.crossbar.instance import ArrayCells, cells_of, wires_of
from snnstack.backends.crossbar.program import Program, Tile
from snnstack.emulators.crossbar.flat import Flat, flatten, ordered_tiles
from snnstack.emulators.crossbar.reads import LADDER, LADDERS, LINEAR, Physics

KEPT = 32
"""Chips that are kept in memory."""
NONE: NDArray[np.float64] = np.zeros(0)


def ideal_chip(program: Program, flat: Flat) -> Physics:
    """Cells that are exactly at their levels, wires without resistance, converters without loss."""
    tiles = ordered_tiles(program)
    parts = [_channel(program, tile, tile.block.levels.astype(np.float64)) for tile in tiles]
    power = [_row_power(program, tile) * _least_volt(program, tile) ** 2 for tile in tiles]
    return _physics(program, flat, LINEAR, parts, (), power, exact=True)


@lru_cache(maxsize=KEPT)
def drawn_chip(program: Program, seed: int) -> Physics:
    """Chip `seed` of a board: what programming, time, wires and converters made of the cells.

    The last chips are kept: a data set that comes in batches meets the same ones again.
    """
    flat = flatten(program)
    arrays = cells_of(program, seed)
    return chip_of(program, flat, seed, arrays)


def chip_of(program: Program, flat: Flat, seed: int, arrays: Sequence[ArrayCells]) -> Physics:
    """A chip with these cells."""
    machine, tiles = hardware(program.board), ordered_tiles(program)
    step = program.cell.step_us * 1e-6
    noise = [_noise(program, t, arrays[t.block.array], step) for t in tiles]
    variance = noise if any(part.any() for part in noise) else ()
    scale = np.array([arrays[t.block.array].scale for t in tiles], dtype=np.float64)
    if machine.topology != "passive" and not wires_of(program.board).ideal:
        wires = wires_of(program.board)
        two = machine.topology == "gated_bl" and wires.source_line + wires.driver > 0
        parts = [_rows(tile, arrays[tile.block.array].seen) for tile in tiles]
        kind = LADDERS if two else LADDER
        return _physics(program, flat, kind, parts, variance, (), seed=seed, scale=scale)
    seen = [_rows(tile, arrays[tile.block.array].seen) for tile in tiles]
    parts = [_channel(program, tile, rows / step) for tile, rows in zip(tiles, seen, strict=True)]
    power, pairs = [], False
    for tile, rows in zip(tiles, seen, strict=True):
        own = arrays[tile.block.array].admittance
        pairs = own is not None
        drawn = rows.sum(axis=1) if own is None else _pairs(tile, own)
        power.append(_least_volt(program, tile) ** 2 * drawn)
    return _physics(
        program,
        flat,
        LINEAR,
        parts,
        variance,
        power,
        pairs=pairs,
        exact=False,
        seed=seed,
        scale=scale,
    )


def _rows(tile: Tile, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of an array that is the tile's block."""
    block = tile.block
    return values[block.row : block.row + block.rows, : block.columns]


def _pairs(tile: Tile, admittance: NDArray[np.float64]) -> NDArray[np.float64]:
    mine = slice(tile.block.row, tile.block.row + tile.block.rows)
    return admittance[mine, mine]


def _channel(program: Program, tile: Tile, columns: NDArray[np.float64]) -> Any:
    return combined(columns, channels(program.coding, tile.block.scatter.shape[1]))


def _noise(program: Program, tile: Tile, cells: ArrayCells, step: float) -> Any:
    """Variance of the channels of each row at the least voltage, in squared levels."""
    found = channels(program.coding, tile.block.scatter.shape[1])
    square = (_rows(tile, cells.noise) / step) ** 2
    return square[:, found.plus] + square[:, found.minus]


def _row_power(program: Program, tile: Tile) -> NDArray[np.float64]:
    cell = program.cell
    siemens = (cell.g_min_us + tile.block.levels * cell.step_us) * 1e-6
    return np.asarray(siemens.sum(axis=1))


def _least_volt(program: Program, tile: Tile) -> float:
    """Volts of a row that carries the digit 1."""
    return float(program.board.coefficients["read_v"].typical / tile.route.top)


def _physics(
    program: Program,
    flat: Flat,
    kind: int,
    parts: Sequence[Any],
    variance: Sequence[Any],
    power: Sequence[Any],
    *,
    exact: bool = False,
    pairs: bool = False,
    seed: int = 0,
    scale: NDArray[np.float64] | None = None,
) -> Physics:
    machine, wires, tiles = hardware(program.board), wires_of(program.board), ordered_tiles(program)
    heights = _heights(program)
    volt = float(program.board.coefficients["read_v"].typical)
    level = program.cell.step_us * 1e-6
    lines = [t.block.row + np.arange(t.block.rows) for t in tiles]
    below = [heights[t.block.array] * wires.col + wires.sense for t in tiles]
    return Physics(
        kind,
        exact,
        pairs,
        float(2**machine.adc_bits - 1 if machine.adc_bits else 2**31),
        wires.col,
        wires.source_line if machine.topology == "gated_bl" else 0.0,
        wires.driver,
        level,
        volt * volt * level,
        np.uint64(seed),
        *_laid(parts),
        *_laid(variance),
        *_laid(power),
        np.concatenate([np.zeros(0, dtype=np.int64), *lines]),
        np.array(below, dtype=np.float64),
        *_converters(program, seed, exact),
        np.ones(len(tiles)) if scale is None else scale,
    )


def _laid(parts: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Arrays end to end, and where each begins."""
    ends = np.cumsum([0, *(part.size for part in parts)])
    joined = np.concatenate([NONE, *(np.ravel(part) for part in parts)])
    return joined, ends[:-1].astype(np.int64)


def _heights(program: Program) -> NDArray[np.int64]:
    """Rows in use of every array."""
    found = np.zeros(program.arrays, dtype=np.int64)
    for tile in program.tiles:
        block = tile.block
        found[block.array] = max(found[block.array], block.row + block.rows)
    return found


def _converters(program: Program, seed: int, exact: bool) -> tuple[Any, Any]:
    """(offset in codes, relative gain error) of the converter behind every channel."""
    from snnstack.backends.crossbar.device import generator

    machine = hardware(program.board)
    offsets, gains = [NONE], [NONE]
    for tile in ordered_tiles(program):
        plus = channels(program.coding, tile.block.scatter.shape[1]).plus
        which = plus // machine.columns_per_adc
        drawn = np.zeros((2, int(which.max(initial=0)) + 1))
        if not exact:
            drawn = generator(seed, "converters", tile.block.array).standard_normal(
                (int(program.board.capacity["columns"].value), 2)
            ).T  # fmt: skip
        offsets.append(machine.adc_offset_lsb * drawn[0, which])
        gains.append(machine.adc_gain_error * drawn[1, which])
    return np.concatenate(offsets), np.concatenate(gains)
