"""What a microcontroller program can represent; the arithmetic is in `docs/numerics.md`."""

from __future__ import annotations

from snnstack.quant.numerics import Numerics

NUMERICS = Numerics(
    weight_bits=8,
    weight_min=-127,
    weight_max=127,
    decay_bits=16,
    decay_rounding="floor",
    input_max=2**29,
    current_max=2**29 - 1,
    state_max=2**30 - 1,
)
"""Weights are symmetric, so that 258 of them always fit a 16-bit accumulator."""
