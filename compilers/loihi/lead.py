"""What a constant on the membrane does in the steps before a population's first input.

A population that runs L steps behind the input would add up L steps of its bias register before
step 0 of the network. An initial membrane takes that back exactly where there is one that ends
in a membrane of 0 without a spike on the way. Elsewhere the constant comes through synapses,
which can begin in step L: see `snnstack.compilers.loihi.constants`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.loihi.registers import (
    DECAY_ONE,
    STATE_MAX,
    WEIGHT_SHIFT,
    nearest_bias,
)
from snnstack.fixedpoint import round_half_up
from snnstack.ir.nodes import Array

UNIT = 1 << WEIGHT_SHIFT
NOWHERE = 1 << 40
"""Beyond every register: the end of an interval that holds nothing."""


def initial_membrane(
    bias: Array, alpha: Array, threshold: Array | None, steps: int
) -> tuple[Array, Array]:
    """(v_init, whether it does it) per neuron, int64 and bool [n].

    From v_init, `steps` times v <- dec(v, alpha) + bias never pass the threshold and end in a
    membrane that the next decay makes 0, so that step 0 begins as if at rest. Going back step
    by step, the membranes that lead there are an interval: the decay never changes their order.
    """
    still = np.where(alpha > 0, (DECAY_ONE - 1) // np.maximum(alpha, 1), STATE_MAX)
    most = np.full(len(bias), STATE_MAX) if threshold is None else threshold
    low, high = -still, still.copy()
    for _ in range(steps):
        high = np.minimum(np.minimum(high, most), STATE_MAX)
        low = np.maximum(low, -STATE_MAX)
        empty = low > high
        low, high = -_highest(bias - low, alpha), _highest(high - bias, alpha)
        low, high = np.where(empty, NOWHERE, low), np.where(empty, -NOWHERE, high)
    low, high = np.maximum(low, -STATE_MAX), np.minimum(high, STATE_MAX)
    fits = low <= high
    return np.where(fits, np.clip(0, low, np.maximum(low, high)), 0), fits


def _highest(value: Array, alpha: Array) -> Array:
    """The highest v with dec(v, alpha) <= value; with alpha = 0, all or none."""
    factor = np.maximum(alpha, 1)
    above = ((value + 1) * DECAY_ONE - 1) // factor
    below = -((-value * DECAY_ONE + factor - 1) // factor)
    found = np.where(value >= 0, above, below)
    return np.where(alpha > 0, found, np.where(value >= 0, NOWHERE, -NOWHERE))


@dataclass(frozen=True, eq=False)
class Constant:
    """A membrane constant of a population in what the chip has: int64 [n] each.

    `bias` and `v_init` are registers. `every` and `first` are weight units that reach the
    current in every step and once more in the first, from step 0 on. `exact`: whether the
    membrane is that of the bias alone, bit for bit.
    """

    bias: Array
    v_init: Array
    every: Array
    first: Array
    exact: Array


def begin_late(
    bias: Array, alpha: Array, beta: Array, threshold: Array | None, steps: int
) -> Constant:
    """`bias` on the membrane from step `steps` on; `alpha`, `beta` in 1/4096 (beta 0: no current).

    Through synapses a current that decays is filled in the first step and kept up in every
    other; what whole weights leave over (less than one of them without a decay) stays in the
    register. With a decay the current is rounded toward zero in every step, so that it may be
    a unit of 2**-6 weights off: `exact` is False.
    """
    _, fits = initial_membrane(bias, alpha, threshold, steps)
    moved = np.where(fits, 0, bias)
    every = round_half_up(moved * (DECAY_ONE - beta) / (DECAY_ONE * UNIT))
    kept = np.where(beta < DECAY_ONE, every * DECAY_ONE / np.maximum(DECAY_ONE - beta, 1), 0.0)
    level = np.where(beta < DECAY_ONE, round_half_up(kept), round_half_up(moved / UNIT))
    current = np.where(beta < DECAY_ONE, kept, level) * UNIT
    rest = np.where(fits, bias, nearest_bias(bias - current).value)
    begins, still = initial_membrane(rest, alpha, threshold, steps)
    exact = fits | (still & (beta == 0))
    return Constant(rest, begins, every, np.where(fits, 0, level - every), exact)
