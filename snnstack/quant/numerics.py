"""`Numerics`: what numbers a target can represent, and how it rounds and overflows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnstack.ir.nodes import Array

Rounding = Literal["floor", "toward_zero"]
Overflow = Literal["saturate", "wrap"]


@dataclass(frozen=True)
class Numerics:
    """An integer target's arithmetic.

    Weights are signed `weight_bits` integers in `weight_min`..`weight_max`. Decay factors
    are unsigned fixed point with `decay_bits` fraction bits (2**decay_bits is exactly 1).
    The synaptic current saturates (or wraps) at +-`current_max`, the membrane at
    +-`state_max`; one step's input never exceeds `input_max` in magnitude: the quantiser
    proves it. `current_overflow` None: that of the membrane, `overflow`. Without `weight_zero`
    a synapse weighs -1 or 1; a weight that is exactly 0 means that there is none, and stays.
    `fine_decay_bits`: fraction bits that slow populations can have instead, None: there is no
    other width. `wide_weight`: magnitude up to which single weights of a row can be stored apart
    from the others; None: nowhere. `threshold_shift`: bits that a threshold register stands above
    the state's.
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
    weight_zero: bool = True
    fine_decay_bits: int | None = None
    wide_weight: int | None = None
    threshold_shift: int = 0

    @property
    def weight_step(self) -> int:
        """The difference of two neighbouring weights."""
        return 1 if self.weight_zero else 2

    def nearest(self, weight: Array) -> Array:
        """The representable weight nearest to each of `weight`, in units of the integers."""
        return nearest(weight, self.weight_min, self.weight_max, self.weight_step)


INT32 = Numerics(
    weight_bits=8,
    weight_min=-127,
    weight_max=127,
    decay_bits=16,
    decay_rounding="floor",
    input_max=2**29,
    current_max=2**29 - 1,
    state_max=2**30 - 1,
    fine_decay_bits=32,
)
"""Our own arithmetic, docs/numerics.md: of microcontrollers, and of a crossbar's digital part."""


def nearest(weight: Array, low: int, high: int, step: int = 1) -> Array:
    """The nearest of `low`..`high`; with `step` 2 only `low` and `high`, and 0 where 0 is exact.

    >>> nearest(np.array([-0.2, 0.1, 0.0, 9.0]), -1, 1, 2).tolist()
    [-1.0, 1.0, 0.0, 1.0]
    """
    if step == 1:
        return np.clip(np.rint(weight), low, high)
    return np.where(weight > 0, float(high), np.where(weight < 0, float(low), 0.0))
