"""The neurons of a quantised population, or of a program's layer with the same fields."""

from __future__ import annotations

from typing import Any

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF, numbers_of
from snnstack.quant.numerics import Numerics

FIELDS = ("alpha", "shift", "bias", "leak", "v_reset")


def integer_neurons(p: Any, numerics: Numerics) -> Neurons:
    """`p` in the target's integers; equations in `snnstack.quant.network`.

    Read are the fields of a `QuantizedPopulation`: n, alpha, beta, shift, bias, leak,
    threshold, v_reset, reset, compare, refractory, reset_time, alpha_bits, beta_bits.
    """
    values, options = numbers_of(p, FIELDS)
    values |= {"current_max": numerics.current_max, "state_max": numerics.state_max}
    options |= {
        "alpha_bits": p.alpha_bits or numerics.decay_bits,
        "beta_bits": p.beta_bits or numerics.decay_bits,
        "rounding": numerics.decay_rounding,
        "overflow": numerics.overflow,
        "current_overflow": numerics.current_overflow or numerics.overflow,
    }
    return Neurons(CUBA_LIF, p.n, "int32", values, options)
