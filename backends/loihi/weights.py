"""Weight formats: what the chip makes of a stored mantissa, exponent and sign mode."""

from __future__ import annotations

from typing import Literal

import numpy as np

from snnstack.ir.nodes import Array

Signs = Literal["mixed", "excitatory", "inhibitory"]
WEIGHT_LIMIT = 2**21 - 2**6
"""Largest magnitude of an applied weight."""


def effective(weight: Array, bits: int = 8, exponent: int = 0, signs: Signs = "mixed") -> Array:
    """`w_act / 2**6` of stored 8-bit-scale `weight`: int64, what one spike adds to u >> 6.

    lsb = 8 - (bits - mixed); w is truncated toward zero to a multiple of 2**lsb, shifted by
    `exponent` (-8..7) with rounding down to whole steps, and clipped (`docs/numerics.md`).

    >>> effective(np.array([-3, 5, 254]), bits=8).tolist()
    [-2, 4, 254]
    >>> effective(np.array([-3, 100]), bits=8, exponent=-2).tolist()
    [-1, 25]
    """
    lsb = 8 - (bits - (signs == "mixed"))
    magnitude = (np.abs(weight) >> lsb) << lsb
    stored = np.sign(weight) * magnitude
    shifted = (stored << (6 + exponent)) if exponent >= -6 else stored >> (-exponent - 6)
    steps = np.clip((shifted >> 6) << 6, -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return np.asarray(steps >> 6, dtype=np.int64)


def weight_range(signs: Signs) -> tuple[int, int]:
    """(lowest, highest) stored weight of a sign mode, on the scale of 8 bits."""
    return {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}[signs]
