"""A source of levels that sends what has changed since it last sent.

d = x - held;  sent = d where |d| > threshold, else nothing;  held <- held + sent
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import magnitude, where


def step(n: Names, x: E) -> Next:
    """One step on the level `x` of now."""
    tells = magnitude(x - n.held) > n.threshold
    return Next({"held": where(tells, x, n.held)}, where(tells, x - n.held, 0))


DELTA_SOURCE = Model(
    name="delta_source",
    states=("held",),
    parameters=(Field("threshold", default=0),),
    step=step,
    sends="value",
    source="Yousefzadeh and Sifalakis 2021, arXiv:2107.07305",
)
