"""Integer arithmetic of digital chips, written once: decay, shift, saturation, wrap.

All functions take and return int64 arrays; values stay far below 2**62, so int64 never
overflows and every limit is applied explicitly.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]


def decay(value: Int, factor: Int, bits: int, rounding: Literal["floor", "toward_zero"]) -> Int:
    """`value * factor / 2**bits`, rounded down ("floor") or toward zero.

    >>> decay(np.array([-3, 3]), np.array([2, 2]), 2, "floor").tolist()
    [-2, 1]
    >>> decay(np.array([-3, 3]), np.array([2, 2]), 2, "toward_zero").tolist()
    [-1, 1]
    """
    if rounding == "floor":
        return (value * factor) >> bits
    return np.asarray(np.sign(value) * ((np.abs(value) * factor) >> bits))


def saturate(value: Int, limit: int) -> Int:
    """`value` clipped to `-limit`..`limit`."""
    return np.clip(value, -limit, limit)


def wrap(value: Int, bits: int) -> Int:
    """`value` as a two's complement number of `bits` bits.

    >>> wrap(np.array([127, 128, -129]), 8).tolist()
    [127, -128, 127]
    """
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def round_half_up(value: Any) -> Int:
    """Nearest integer of a real array, halves toward plus infinity."""
    return np.floor(np.asarray(value, dtype=np.float64) + 0.5).astype(np.int64)
