"""LIF of a dendrite and a soma that drive each other.

    d <- d + b_soma s + x - gamma z;  s <- s + b_dendrite d - threshold z, with the new d
    spike iff s > threshold;  z is 1 in the step after a spike

In the paper's letters b_soma is -sigmoid(c1), b_dendrite is sigmoid(c2).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    d = n.d + n.b_soma * n.s + x - n.gamma * n.z
    s = n.s + n.b_dendrite * d - n.threshold * n.z
    fired = s > n.threshold
    return Next({"d": d, "s": s, "z": where(fired, 1, 0)}, fired)


TWO_COMPARTMENT = Model(
    name="two_compartment",
    states=("d", "s", "z"),
    parameters=(
        Field("b_soma", "raw"),
        Field("b_dendrite", "raw"),
        Field("gamma", "volt"),
        Field("threshold", "volt"),
    ),
    step=step,
    source="Zhang et al. 2024, TC-LIF, arXiv:2308.13250",
)
