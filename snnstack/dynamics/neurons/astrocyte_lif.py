"""LIF whose gain and threshold follow the activity of its group.

    a <- lambda_a a + (1 - lambda_a) group;  c <- lambda_b c + (1 - lambda_b) a, with the new a
    v <- beta v + (1 + k_gain a) x
    spike iff v > threshold + k_threshold c;  then v loses as much

`group` is the mean of the group's spikes a step ago: a projection with weights 1 / (group size).
Every neuron keeps its own copy of its group's a and c.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E, group: E) -> Next:
    """One step on the weights that arrive, and on the mean of the group's spikes."""
    a = n.lambda_a * n.a + (1 - n.lambda_a) * group
    c = n.lambda_b * n.c + (1 - n.lambda_b) * a
    v = n.beta * n.v + (1 + n.k_gain * a) * x
    high = n.threshold + n.k_threshold * c
    fired = v > high
    return Next({"v": where(fired, v - high, v), "a": a, "c": c}, fired, reads={"v": v})


ASTROCYTE_LIF = Model(
    name="astrocyte_lif",
    states=("v", "a", "c"),
    parameters=(
        Field("beta", "factor"),
        Field("threshold", "volt"),
        Field("lambda_a", "factor"),
        Field("lambda_b", "factor"),
        Field("k_gain", "raw"),
        Field("k_threshold", "volt"),
    ),
    step=step,
    inputs=("x", "group"),
    source="own formulation; the idea: Shen et al. 2023, arXiv:2312.07625",
)
