"""The neurons of a float population: the model it follows, with its numbers."""

from __future__ import annotations

from typing import Any

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.ir.step import Population


def float_neurons(p: Population) -> Neurons:
    """`p` in float64, in the order of its own parameters; equations in `snnstack.ir.step`."""
    names = ("alpha", "gain_in", "gain", "bias", "leak", "v_reset")
    values: dict[str, Any] = {name: getattr(p, name) for name in names} | {"pause": p.refractory}
    optional = {"beta": p.beta, "threshold": p.threshold}
    options = {
        "current": p.beta is not None,
        "fires": p.threshold is not None,
        "refractory": p.refractory > 0,
        "reset": p.reset,
        "reset_time": p.reset_time,
        "compare": p.compare,
    }
    values |= {name: v for name, v in optional.items() if v is not None}
    return Neurons(CUBA_LIF, p.n, "float64", values, options)
