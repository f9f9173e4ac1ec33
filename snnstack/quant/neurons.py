"""The neurons of a quantised population, in the numbers of its target."""

from __future__ import annotations

from dataclasses import replace

from snnstack.dynamics.model import Neurons
from snnstack.ir.lif import of_family
from snnstack.quant.network import QuantizedPopulation
from snnstack.quant.numerics import Numerics


def integer_neurons(p: QuantizedPopulation, numerics: Numerics) -> Neurons:
    """`p` in the target's numbers; those of the LIF family hold its limits and roundings too.

    Equations of that family: `snnstack.quant.network`.
    """
    return held(p.neurons, numerics)


def held(neurons: Neurons, numerics: Numerics) -> Neurons:
    """`neurons` of the LIF family with a target's limits and roundings; others as they are."""
    if not of_family(neurons.model):
        return neurons
    limits = {"current_max": numerics.current_max, "state_max": numerics.state_max}
    options = {
        "alpha_bits": numerics.decay_bits,
        "beta_bits": numerics.decay_bits,
        "rounding": numerics.decay_rounding,
        "overflow": numerics.overflow,
        "current_overflow": numerics.current_overflow or numerics.overflow,
    }
    return replace(
        neurons, values={**neurons.values, **limits}, options={**options, **neurons.options}
    )
