"""Reads of blocks: events drive rows one after the other, then the columns are converted.

A read is opened by the first event that reaches it: work is proportional to events times
columns. The reads of all blocks of a route, at all positions, are its slots.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.compiled import compiled
from snnstack.emulators.crossbar.flat import (
    CHANNEL,
    CHANNELS,
    COEFFICIENT,
    COLUMNS,
    FIRST_ROW,
    GAIN,
    LOWEST,
    MINUS,
    OUTPUT,
    OUTPUTS,
    PLUS,
    ROWS,
    SCATTER,
    SLOT,
)
from snnstack.emulators.crossbar.noise import mixed, normal_pair

LINEAR, LADDER, LADDERS = range(3)
"""Currents add up; cells hang on one wire each column; cells hang between two wires."""
NUMBERS = (1, 2, 5)
"""What a column keeps during a read, for each of these."""


class Physics(NamedTuple):
    """The cells of a chip, block after block.

    LINEAR: `matrix` [rows, channels] of each block, from `matrix_at` on, is the current of a row
    at the least voltage in levels of a cell. Else [rows, columns] are conductances in siemens:
    `line` is where each row stands on its columns, `below` (by block) the resistance from the
    last row to the ground; `bit_ohm`, `source_ohm`: of a segment; `driver_ohm`: of the driver;
    `level`: the conductance of one level.
    `variance` (like channels of `matrix`, or empty): of what one read adds, in squared levels.
    `supply` [rows, rows] of each block (or [rows], unless `pairs`): watts that rows draw at the
    least voltage. `offset`, `gain` of every channel's converter: in codes, and relative. `scale`
    (by block): of what they give, see `drift_compensation` of a board.
    """

    kind: int
    exact: bool
    pairs: bool
    top: float
    bit_ohm: float
    source_ohm: float
    driver_ohm: float
    level: float
    watts: float
    seed: np.uint64
    matrix: NDArray[np.float64]
    matrix_at: NDArray[np.int64]
    variance: NDArray[np.float64]
    variance_at: NDArray[np.int64]
    supply: NDArray[np.float64]
    supply_at: NDArray[np.int64]
    line: NDArray[np.int64]
    below: NDArray[np.float64]
    offset: NDArray[np.float64]
    gain: NDArray[np.float64]
    scale: NDArray[np.float64]


class Reads(NamedTuple):
    """Working memory of the reads of a route; all zero between steps.

    By slot: `hits` rows driven, `rows`/`digits` [.., most rows] which and how strongly, `numbers`
    [.., widest] what its columns keep, `spread` [.., widest] the variance. `opened` lists
    (block, slot); `currents`, `values`: one read's channels and outputs.
    """

    hits: NDArray[np.int64]
    rows: NDArray[np.int32]
    digits: NDArray[np.int32]
    numbers: NDArray[np.float64]
    spread: NDArray[np.float64]
    opened: NDArray[np.int64]
    currents: NDArray[np.float64]
    values: NDArray[np.int64]


class Counted(NamedTuple):
    """By block: `reads`, `rows` driven, `watts`, `conversions`, those that `clipped`.

    By population: `synops`.
    """

    reads: NDArray[np.int64]
    rows: NDArray[np.int64]
    watts: NDArray[np.float64]
    conversions: NDArray[np.int64]
    clipped: NDArray[np.int64]
    synops: NDArray[np.int64]


@compiled
def drive(
    flat: Any, cells: Physics, reads: Reads, block: Any, slot: Any, row: Any, digit: Any
) -> None:
    """One more row of a read, with `digit` times the least voltage."""
    count = reads.hits[slot]
    columns, channels = flat.blocks[block, COLUMNS], flat.blocks[block, CHANNELS]
    if cells.kind == LINEAR:
        start = cells.matrix_at[block] + row * channels
        current = reads.numbers[slot]
        for c in range(channels):
            current[c] += digit * cells.matrix[start + c]
    else:
        first = flat.blocks[block, FIRST_ROW]
        line = cells.line[first + row]
        jump = line + 1 if count == 0 else line - cells.line[first + reads.rows[slot, count - 1]]
        start = cells.matrix_at[block] + row * columns
        g = cells.matrix[start : start + columns]
        if cells.kind == LADDER:
            hang(g, jump * cells.bit_ohm, reads.numbers[slot])
        else:
            bridge(cells, g, jump, count == 0, reads.numbers[slot])
    if len(cells.variance):
        start = cells.variance_at[block] + row * channels
        spread, square = reads.spread[slot], float(digit * digit)
        for c in range(channels):
            spread[c] += square * cells.variance[start + c]
    reads.rows[slot, count], reads.digits[slot, count] = row, digit
    reads.hits[slot] = count + 1


@compiled
def hang(g: Any, ohm: float, state: Any) -> None:
    """Cells to one volt on wires that end in (admittance, current), `ohm` below the last cells."""
    for c in range(len(g)):
        y, j = state[2 * c], state[2 * c + 1]
        k = 1.0 / (1.0 + ohm * y)
        state[2 * c] = y * k + g[c]
        state[2 * c + 1] = j * k + g[c]


@compiled
def bridge(cells: Physics, g: Any, jump: Any, first: bool, state: Any) -> None:
    """Cells between source wires and bit wires; what is above is admittance a b d, currents e f.

    Down a segment, (a b; b d) becomes K (a b; b d) and (e, f) becomes K (e, f), where
    K = (1 + (a b; b d) R)^-1 and R has the resistances of both wires. The source wire begins at
    one volt behind the driver.
    """
    s, r = jump * cells.source_ohm, jump * cells.bit_ohm
    for c in range(len(g)):
        own = state[5 * c : 5 * c + 5]
        if first:
            own[0] = own[3] = 1.0 / (s + cells.driver_ohm)
        else:
            a, b, d, e, f = own[0], own[1], own[2], own[3], own[4]
            p, q, t, u = 1.0 + a * s, b * r, b * s, 1.0 + d * r
            scale = 1.0 / (p * u - q * t)
            own[0], own[1], own[2] = (u * a - q * b) * scale, b * scale, (p * d - t * b) * scale
            own[3], own[4] = (u * e - q * f) * scale, (p * f - t * e) * scale
        own[0] += g[c]
        own[1] -= g[c]
        own[2] += g[c]


@compiled
def ended(cells: Physics, state: Any, c: Any, ohm: float) -> Any:
    """Current of column c, whose last cell in the read is `ohm` above the ground, in levels."""
    if cells.kind == LADDER:
        return state[2 * c + 1] / (1.0 + ohm * state[2 * c]) / cells.level
    a, b, d, e, f = (
        state[5 * c],
        state[5 * c + 1],
        state[5 * c + 2],
        state[5 * c + 3],
        state[5 * c + 4],
    )
    return (f - b * e / a) / (1.0 + ohm * (d - b * b / a)) / cells.level


@compiled
def finish(flat: Any, cells: Physics, reads: Reads, block: Any, slot: Any) -> float:
    """`reads.currents`: what every channel of an open read carries, in levels. Returns watts."""
    base, channels = flat.blocks[block, CHANNEL], flat.blocks[block, CHANNELS]
    state, count = reads.numbers[slot], reads.hits[slot]
    if cells.kind == LINEAR:
        for c in range(channels):
            reads.currents[c] = state[c]
        return drawn(flat, cells, reads, block, slot)
    last = cells.line[flat.blocks[block, FIRST_ROW] + reads.rows[slot, count - 1]]
    ohm = cells.below[block] - last * cells.bit_ohm
    total = 0.0
    for c in range(flat.blocks[block, COLUMNS]):
        total += ended(cells, state, c, ohm)
    for c in range(channels):
        plus, minus = flat.channels[base + c, PLUS], flat.channels[base + c, MINUS]
        reads.currents[c] = ended(cells, state, plus, ohm) - ended(cells, state, minus, ohm)
    return total * cells.watts


@compiled
def drawn(flat: Any, cells: Physics, reads: Reads, block: Any, slot: Any) -> float:
    """Watts that the drivers of a linear read deliver: sum of V_i I_i over its rows."""
    rows, at, total = flat.blocks[block, ROWS], cells.supply_at[block], 0.0
    for k in range(reads.hits[slot]):
        i, x = reads.rows[slot, k], reads.digits[slot, k]
        if not cells.pairs:
            total += x * x * cells.supply[at + i]
            continue
        for m in range(k):
            total += (
                2.0 * x * reads.digits[slot, m] * cells.supply[at + i * rows + reads.rows[slot, m]]
            )
        total += x * x * cells.supply[at + i * rows + i]
    return total


@compiled
def noisy(cells: Physics, reads: Reads, channels: Any, slot: Any, key: Any) -> None:
    """Add one read's noise to `reads.currents`: normal, of the variance of the driven cells."""
    if len(cells.variance) == 0:
        return
    for c in range(0, channels, 2):
        one, other = normal_pair(key, c)
        reads.currents[c] += math.sqrt(reads.spread[slot, c]) * one
        if c + 1 < channels:
            reads.currents[c + 1] += math.sqrt(reads.spread[slot, c + 1]) * other


@compiled
def convert(flat: Any, cells: Physics, reads: Reads, block: Any, shift: Any) -> int:
    """`reads.values`: outputs of what is in `reads.currents`, times 2**shift.

    Returns how many channels were outside of their converter's range and got its first or last
    code.
    """
    base, outputs, clipped = flat.blocks[block, CHANNEL], flat.blocks[block, OUTPUTS], 0
    reads.values[:outputs] = 0
    scale = cells.scale[block]
    for c in range(flat.blocks[block, CHANNELS]):
        row, x = flat.channels[base + c], reads.currents[c]
        if cells.exact:
            value = np.int64(math.floor(x + 0.5))
        else:
            x = (x * (1.0 + cells.gain[base + c]) - row[LOWEST]) * 256.0 / row[GAIN]
            wanted = math.floor(x + cells.offset[base + c] + 0.5)
            code = min(max(wanted, 0.0), cells.top)
            clipped += wanted != code
            value = row[LOWEST] + ((np.int64(code) * row[GAIN] + 128) >> 8)
            if scale != 1.0:
                value = np.int64(math.floor(value * scale + 0.5))
        value = (value * row[COEFFICIENT]) << shift
        if row[OUTPUT] >= 0:
            reads.values[row[OUTPUT]] += value
        else:
            reads.values[:outputs] += value
    return clipped


@compiled
def close(
    flat: Any,
    cells: Physics,
    reads: Reads,
    block: Any,
    slot: Any,
    key: Any,
    shift: Any,
    total: Any,
    counted: Counted,
) -> None:
    """Convert and count an open read, add it to `total` and leave its memory at zero."""
    channels, outputs = flat.blocks[block, CHANNELS], flat.blocks[block, OUTPUTS]
    counted.reads[block] += 1
    counted.rows[block] += reads.hits[slot]
    counted.watts[block] += finish(flat, cells, reads, block, slot)
    noisy(cells, reads, channels, slot, mixed(key, slot))
    counted.conversions[block] += channels
    counted.clipped[block] += convert(flat, cells, reads, block, shift)
    where = flat.blocks[block, SCATTER] + (slot - flat.blocks[block, SLOT]) * outputs
    for o in range(outputs):
        target = flat.scatter[where + o]
        if target >= 0:
            total[target] += reads.values[o]
    reads.hits[slot] = 0
    reads.numbers[slot] = 0.0
    reads.spread[slot] = 0.0
