"""What goes into the chip's registers: constants of the arithmetic, biases, and their checks.

The ranges themselves stand in `snnstack.backends.loihi.ranges`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from snnstack.backends.loihi.network import Cuba
from snnstack.backends.loihi.ranges import REGISTERS, outside
from snnstack.errors import Problem
from snnstack.fixedpoint import round_half_up
from snnstack.ir.nodes import Array

WEIGHT_SHIFT = 6
THRESHOLD_SHIFT = 6
DECAY_ONE = 4096
STATE_MAX = 2**23 - 1
LARGEST_VOLTAGE_DECAY = REGISTERS["dv"].high
LARGEST_THRESHOLD_MANTISSA = REGISTERS["vth_mant"].high
LARGEST_BIAS = REGISTERS["bias_mant"].high << REGISTERS["bias_exp"].high
LARGEST_WEIGHT_EXPONENT = REGISTERS["weight exponent"].high
LONGEST_REFRACTORY = REGISTERS["refractory"].high - REGISTERS["refractory"].low
"""Steps after the one of the spike: the register counts that one as well."""


class Bias(NamedTuple):
    """`mantissa * 2**exponent`, per neuron."""

    mantissa: Array
    exponent: Array

    @property
    def value(self) -> Array:
        """What is added to the membrane in every step."""
        return self.mantissa << self.exponent


def nearest_bias(value: Array) -> Bias:
    """The registers that come closest to the real `value` (clipped to what they can hold).

    >>> nearest_bias(np.array([100.2, -4097.0, 1e9])).value.tolist()
    [100, -4096, 524160]
    """
    mantissas, exponents = REGISTERS["bias_mant"], REGISTERS["bias_exp"]
    exponent = np.zeros(len(value), dtype=np.int64)
    for e in range(exponents.high):
        mantissa = round_half_up(value / 2.0**e)
        exponent[(mantissa < mantissas.low) | (mantissa > mantissas.high)] = e + 1
    mantissa = round_half_up(value / 2.0**exponent)
    return Bias(np.clip(mantissa, mantissas.low, mantissas.high), exponent)


def register_problems(population: Cuba) -> Iterator[Problem]:
    """Everything in `population` that its registers cannot hold."""
    p = population
    yield from outside(p.name, "i_decay", p.i_decay)
    yield from outside(p.name, "v_decay", p.v_decay)
    yield from outside(p.name, "refractory", p.refractory)
    if p.v_init is not None:
        yield from outside(p.name, "v_init", p.v_init)
    if p.threshold is not None:
        yield from _threshold_problems(p.name, p.threshold)
    nearest = nearest_bias(p.bias.astype(np.float64)).value
    wrong = np.flatnonzero(nearest != p.bias)
    if len(wrong):
        what = f"bias {p.bias[wrong[0]]} is not a 13-bit mantissa times 2**0..2**7"
        yield Problem(p.name, what, f"the nearest is {nearest[wrong[0]]}")


def _threshold_problems(name: str, threshold: Array) -> Iterator[Problem]:
    yield from outside(name, "vth_mant", threshold >> THRESHOLD_SHIFT)
    step = 1 << THRESHOLD_SHIFT
    loose = threshold[threshold % step != 0]
    if len(loose):
        what = f"threshold {int(loose[0])} is not a multiple of {step}"
        yield Problem(name, what, "the register holds a mantissa that is shifted by 6")
