"""What a microcontroller program can represent; the arithmetic is in `docs/numerics.md`."""

from __future__ import annotations

from dataclasses import replace

from snnstack.errors import TargetError, fail
from snnstack.quant.numerics import INT32, Numerics

WIDE_WEIGHT = 2**22 - 1
"""Single weights up to this magnitude are kept in lists of 16 or 32 bits: half of what a step's
input may be stays free for the state's fraction bits."""
NUMERICS = replace(INT32, wide_weight=WIDE_WEIGHT)
"""Weights are symmetric, so that 258 of them always fit a 16-bit accumulator."""
WEIGHT_BITS = (8, 4, 2, 1)


def numerics(weight_bits: int) -> Numerics:
    """The same arithmetic with weights of 8, 4, 2 or 1 bit, always symmetric.

    >>> [(n.weight_min, n.weight_max, n.weight_zero) for n in map(numerics, WEIGHT_BITS)]
    [(-127, 127, True), (-7, 7, True), (-1, 1, True), (-1, 1, False)]
    """
    if weight_bits not in WEIGHT_BITS:
        known = ", ".join(map(str, WEIGHT_BITS))
        raise fail(TargetError, "mcu", f"weights of {weight_bits} bits", f"one of {known}")
    most = max(1, 2 ** (weight_bits - 1) - 1)
    return replace(
        NUMERICS,
        weight_bits=weight_bits,
        weight_min=-most,
        weight_max=most,
        weight_zero=weight_bits > 1,
    )
