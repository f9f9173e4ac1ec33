"""Operations of a step that Numba has no word for: the compiled twins of rows of `ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.dynamics.compiled import compiled


@compiled
def decayed(value: Any, factor: Any, bits: Any) -> Any:
    """floor(value * factor / 2**bits) in 32 bits, for a factor 0..2**bits."""
    if bits == 16:  # in words of 32 bits, of which processors handle more at a time
        high = np.int32((value >> 16) * factor)
        low = np.uint32(np.uint32(value & 0xFFFF) * np.uint32(factor))
        return np.int32(high + np.int32(low >> 16))
    return np.int32((np.int64(value) * factor) >> bits)


@compiled
def shrunk(value: Any, factor: Any, bits: Any) -> Any:
    """`factor` / 2**bits of `value`, toward zero, in 32 bits; factor 0..2**bits."""
    if bits == 12:
        up = np.int32(np.int32(value >> 31) & np.int32(4095))  # rounds a negative value up
        high = np.int32(np.int32(value >> 12) * factor)
        low = np.int32(np.int32(np.int32(value & np.int32(4095)) * factor) + up)
        return np.int32(high + np.int32(low >> 12))
    product = np.int64(value) * factor
    return np.int32(-(-product >> bits) if product < 0 else product >> bits)
