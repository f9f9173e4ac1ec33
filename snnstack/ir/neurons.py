"""The neurons of a float population: the model it follows, with its numbers."""

from __future__ import annotations

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF, numbers_of
from snnstack.ir.step import Population

FIELDS = ("alpha", "gain_in", "gain", "bias", "leak", "v_reset")


def float_neurons(p: Population) -> Neurons:
    """`p` in float64, in the order of its own parameters; equations in `snnstack.ir.step`."""
    values, options = numbers_of(p, FIELDS)
    return Neurons(CUBA_LIF, p.n, "float64", values, options)
