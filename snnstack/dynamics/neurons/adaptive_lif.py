"""LIF whose threshold rises with every spike and falls back slowly.

    v <- alpha v + x;  spike iff v > threshold + b, with b of the step before
    b <- rho b + jump (spike)
    reset: v loses the threshold ("subtract") or all of threshold + b ("subtract_all"), or becomes
    v_reset ("set"); "late": it loses threshold + b in the next step, after the decay (Bellec)

In Bellec's letters jump is beta (1 - rho).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = n.alpha * n.v + x
    if n.reset == "late":
        v = v - n.pull
    high = n.threshold + n.b
    fired = v > high
    states = {"b": n.rho * n.b + where(fired, n.jump, 0)}
    if n.reset == "late":
        return Next({**states, "v": v, "pull": where(fired, high, 0)}, fired)
    after = {"subtract": v - n.threshold, "subtract_all": v - high, "set": n.v_reset}[n.reset]
    return Next({**states, "v": where(fired, after, v)}, fired)


ADAPTIVE_LIF = Model(
    name="adaptive_lif",
    states=("v", "b", "pull"),
    parameters=(
        Field("alpha", "factor"),
        Field("threshold", "volt"),
        Field("rho", "factor"),
        Field("jump", "volt"),
        Field("v_reset", "volt", 0.0),
    ),
    step=step,
    options={"reset": "subtract"},
    source="Bellec et al. 2018, arXiv:1803.09574",
    choices={"reset": ("subtract", "subtract_all", "set", "late")},
)
