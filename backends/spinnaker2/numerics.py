"""What the chip's neuron programs can represent; the arithmetic is in `reference.py`.

Neurons compute in IEEE float32, so a `QuantizedNetwork` for this target has integer weights,
but real-valued decays, thresholds and constants (float64 arrays that hold float32 values) in
units of the weights; `decay_bits` 0 says that decays are plain factors.
"""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.quant.numerics import Numerics

NUMERICS = Numerics(
    weight_bits=8,
    weight_min=-127,
    weight_max=127,
    decay_bits=0,
    decay_rounding="toward_zero",
    input_max=2**24,
    current_max=2**24,
    state_max=2**24,
)
"""Integers up to 2**24 are exact in float32; larger states are rounded, they do not overflow."""

WEIGHT_WITHOUT_DELAY = 127
"""Largest magnitude in a synapse word of 7 weight, 1 type and 8 index bits, and in a kernel."""
WEIGHT_WITH_DELAY = 15
"""Largest magnitude in a synapse word of 4 weight, 3 delay, 1 type and 8 index bits."""


def single(values: Array) -> Array:
    """`values` rounded to float32, held as float64."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)
