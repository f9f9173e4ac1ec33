"""What Loihi's neurons can represent; the arithmetic is in `docs/numerics.md`."""

from __future__ import annotations

from snnstack.quant.numerics import Numerics

LARGEST_WEIGHT = 255 << 7
"""Stored 8 bits with the largest exponent, in weight units (64 state units each)."""

NUMERICS = Numerics(
    weight_bits=8,
    weight_min=-LARGEST_WEIGHT,
    weight_max=LARGEST_WEIGHT,
    decay_bits=12,
    decay_rounding="toward_zero",
    input_max=2**23 - 1,
    current_max=2**23 - 1,
    state_max=2**23 - 1,
    overflow="saturate",
    current_overflow="wrap",
    threshold_shift=6,
)
"""Weights in the integer network are what the chip applies, after the exponent."""
