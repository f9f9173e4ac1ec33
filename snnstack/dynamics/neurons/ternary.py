"""LIF that sends +1 above a threshold and -1 below its negative.

v <- alpha v + x;  s = 1 if v >= threshold, -1 if v <= -threshold, else 0
v loses s threshold, or becomes 0 where s is not 0
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = n.alpha * n.v + x
    up, down = v >= n.threshold, v <= 0 - n.threshold
    sent = where(up, 1, where(down, -1, 0))
    after = v - sent * n.threshold if n.reset == "subtract" else where(up | down, 0, v)
    return Next({"v": after}, sent)


TERNARY = Model(
    name="ternary",
    states=("v",),
    parameters=(Field("alpha", "factor"), Field("threshold", "volt")),
    step=step,
    options={"reset": "subtract"},
    sends="value",
    source="Guo et al. 2024, Ternary Spike, arXiv:2312.06372",
    choices={"reset": ("subtract", "set")},
)
