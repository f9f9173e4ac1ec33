"""Converter ranges: what a channel can carry at most, and which part of that is worth codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.coding import Coding, channels, combined
from snnstack.backends.crossbar.program import Converter
from snnstack.ir.nodes import Array
from snnstack.quant.calibration import DEFAULT_RATE

SPREAD = 4.0
"""Standard deviations of the current that a range without data covers."""
SHARES = np.array([1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
"""Parts of the largest range seen that are tried."""
UNITY = 256
"""The gain at which one level of a cell is one code."""

Float = NDArray[np.float64]


def units(levels: Array, code: Coding, outputs: int) -> Float:
    """Current of every row in every channel, in levels, of ideal cells: [rows, channels]."""
    return combined(levels.astype(np.float64), channels(code, outputs))


def lossless(levels: Array, code: Coding, outputs: int, most: int) -> Converter:
    """A converter that rounds to whole levels and never clips."""
    low, _ = _bounds(levels, code, outputs, most)
    unity = np.full(code.slices, UNITY, dtype=np.int32)
    return Converter(0, np.floor(low).astype(np.int32), unity)


def assumed(levels: Array, code: Coding, outputs: int, most: int, bits: int) -> Converter:
    """Ranges for rows that carry `DEFAULT_RATE` independent events a step each."""
    worst = _bounds(levels, code, outputs, most)
    unit = units(levels, code, outputs)
    mean = DEFAULT_RATE * unit.sum(axis=0)
    spread = SPREAD * most * np.sqrt(DEFAULT_RATE * (1 - DEFAULT_RATE) * (unit**2).sum(axis=0))
    low = _least(mean - spread, code, outputs)
    high = -_least(-mean - spread, code, outputs)
    return _converter(np.maximum(low, worst[0]), np.minimum(high, worst[1]), bits)


def fitted(currents: Float, code: Coding, outputs: int, bits: int) -> Converter:
    """The range with the least squared error on `currents` [reads, channels], in levels."""
    which = channels(code, outputs).slice
    lows, highs = np.zeros(code.slices), np.zeros(code.slices)
    for k in range(code.slices):
        seen = currents[:, which == k]
        low, high = min(float(seen.min()), 0.0), max(float(seen.max()), 0.0)
        tried = [(share * low, share * high) for share in SHARES]
        errors = [_error(seen, pair, bits) for pair in tried]
        lows[k], highs[k] = tried[int(np.argmin(errors))]
    return _converter(lows, highs, bits)


def converted(converter: Converter, which: Array, currents: Float) -> NDArray[np.int64]:
    """Values of `currents` [reads, channels] in levels; `which`: the slice of every channel."""
    lowest, gain = converter.lowest[which].astype(np.int64), converter.gain[which].astype(np.int64)
    top = 2**31 if converter.bits == 0 else 2**converter.bits - 1
    codes = np.floor((currents - lowest) * UNITY / gain + 0.5)
    kept = np.clip(codes, 0, top).astype(np.int64)
    return np.asarray(lowest + ((kept * gain + UNITY // 2) >> 8))


def _error(seen: Float, pair: tuple[float, float], bits: int) -> float:
    one = _converter(np.array([pair[0]]), np.array([pair[1]]), bits)
    values = converted(one, np.zeros(seen.shape[1], dtype=np.int64), seen)
    return float(np.mean((values - seen) ** 2))


def _bounds(levels: Array, code: Coding, outputs: int, most: int) -> tuple[Float, Float]:
    """(lowest, highest) current of any channel of each slice, for any input."""
    unit = units(levels, code, outputs)
    low = most * np.minimum(unit, 0).sum(axis=0)
    high = most * np.maximum(unit, 0).sum(axis=0)
    return _least(low, code, outputs), -_least(-high, code, outputs)


def _least(values: Float, code: Coding, outputs: int) -> Float:
    """The least value of the channels of each slice."""
    found: Any = np.zeros(code.slices)
    np.minimum.at(found, channels(code, outputs).slice, values)
    return np.asarray(found)


def _converter(low: Float, high: Float, bits: int) -> Converter:
    """Codes over `low`..`high` (low <= 0 <= high); no current is exactly the value 0."""
    top = 2**bits - 1
    span = np.ceil(high) - np.floor(low)
    coarse = np.ceil(UNITY * (high - low) / top)
    gain = np.where(span <= top, UNITY, np.maximum(coarse, UNITY)).astype(np.int64)
    spare = np.maximum(top - span, 0) // 2
    wanted = np.where(gain == UNITY, np.floor(low) - spare, low)
    zero = np.floor(-wanted * UNITY / gain + 0.5).astype(np.int64)
    lowest = -((zero * gain + UNITY // 2) >> 8)
    return Converter(bits, lowest.astype(np.int32), gain.astype(np.int32))
