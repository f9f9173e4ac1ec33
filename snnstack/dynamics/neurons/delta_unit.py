"""Rectified units of whole levels that send what has changed, once it exceeds a threshold.

    z <- z + x;  a = nearest(z gain) within low..high;  d = a - held
    sent = d where |d| > threshold, else nothing;  held <- held + sent

`z` begins at the bias. With a threshold below 1 nothing is lost: after every step the receivers
know the levels that the same layer would have sent in full.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import held, magnitude, nearest, where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of weight times change that arrives."""
    z = n.z + x
    level = held(nearest(z * n.gain), n.low, n.high)
    tells = magnitude(level - n.held) > n.threshold
    return Next({"z": z, "held": where(tells, level, n.held)}, where(tells, level - n.held, 0))


DELTA_UNIT = Model(
    name="delta_unit",
    states=("z", "held"),
    parameters=(
        Field("gain"),
        Field("low", default=0),
        Field("high", default=127),
        Field("threshold", default=0),
    ),
    step=step,
    sends="value",
    source="Yousefzadeh and Sifalakis 2021, arXiv:2107.07305",
)
