"""LIF whose membrane never falls below a bound.

v <- max(alpha v + x, v_min);  spike iff v >= threshold;  then v - threshold, or v_reset
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import most, where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = most(n.alpha * n.v + x, n.v_min)
    fired = v >= n.threshold
    after = v - n.threshold if n.reset == "subtract" else n.v_reset
    return Next({"v": where(fired, after, v)}, fired)


BOUNDED_LIF = Model(
    name="bounded_lif",
    states=("v",),
    parameters=(
        Field("alpha", "factor", 1.0),
        Field("threshold", "volt"),
        Field("v_min", "volt"),
        Field("v_reset", "volt", 0.0),
    ),
    step=step,
    options={"reset": "subtract"},
    source="Sinabs, IAF and LIF with min_v_mem",
    choices={"reset": ("subtract", "set")},
)
