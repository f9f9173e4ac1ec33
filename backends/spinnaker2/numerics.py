"""The numbers of SpiNNaker 2: integer weights, float32 everything else.

State and parameters are IEEE float32, which `Numerics` cannot say: `decay_bits` is the length of
its significand. The definition is `snnstack.backends.spinnaker2.reference`.
"""

from __future__ import annotations

from dataclasses import replace

from snnstack.backends.spinnaker2.words import WIDE_WORDS
from snnstack.quant.numerics import Numerics

NUMERICS = Numerics(
    weight_bits=8,
    weight_min=-127,
    weight_max=127,
    decay_bits=24,
    decay_rounding="floor",
    input_max=2**31 - 1,
    current_max=2**31 - 1,
    state_max=2**31 - 1,
)
"""7-bit magnitudes, as applications without delays have them."""


def with_weights(most: int) -> Numerics:
    """`NUMERICS` with weights of at most `most` in magnitude, single ones as sums of words."""
    return replace(NUMERICS, weight_min=-most, weight_max=most, wide_weight=WIDE_WORDS * most)
