"""`Numerics`: what numbers a target can represent, and how it rounds and overflows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rounding = Literal["floor", "toward_zero"]
Overflow = Literal["saturate", "wrap"]


@dataclass(frozen=True)
class Numerics:
    """An integer target's arithmetic.

    Weights are signed `weight_bits` integers in `weight_min`..`weight_max`. Decay factors
    are unsigned fixed point with `decay_bits` fraction bits (2**decay_bits is exactly 1).
    The synaptic current saturates (or wraps) at +-`current_max`, the membrane at
    +-`state_max`; one step's input never exceeds `input_max` in magnitude: the quantiser
    proves it. `current_overflow` None: that of the membrane, `overflow`.
    """

    weight_bits: int
    weight_min: int
    weight_max: int
    decay_bits: int
    decay_rounding: Rounding
    input_max: int
    current_max: int
    state_max: int
    overflow: Overflow = "saturate"
    current_overflow: Overflow | None = None
