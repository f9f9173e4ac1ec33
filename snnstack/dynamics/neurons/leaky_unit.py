"""A leaky filter behind an activation, which sends its value in every step.

    v <- keep v + gain f(slope (x + bias));  sent = v

f: nothing, relu, silu or tanh. With keep = 0 it is an activation alone, with f nothing a filter
alone: branches, hidden units and memory of an ELM neuron, and its scaled tanh.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import most, silu, tanh


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of weight times value that arrives."""
    inner = n.slope * (x + n.bias)
    f = {"none": lambda e: e, "relu": lambda e: most(e, 0), "silu": silu, "tanh": tanh}
    v = n.keep * n.v + n.gain * f[n.activation](inner)
    return Next({"v": v}, v)


LEAKY_UNIT = Model(
    name="leaky_unit",
    states=("v",),
    parameters=(
        Field("keep", "factor", 0.0),
        Field("gain", "raw", 1.0),
        Field("slope", "raw", 1.0),
        Field("bias", "volt", 0.0),
    ),
    step=step,
    options={"activation": "none"},
    sends="value",
    source="Spieler et al. 2024, ELM neuron, arXiv:2306.16922",
    choices={"activation": ("none", "relu", "silu", "tanh")},
)
