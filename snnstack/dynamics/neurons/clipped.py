"""A graded unit without a state: its input, held within two bounds.

sent = min(max(x + bias, low), high)
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import held


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of weight times value that arrives."""
    y = held(x + n.bias, n.low, n.high)
    return Next({"y": y}, y)


CLIPPED = Model(
    name="clipped",
    states=("y",),
    parameters=(Field("bias", "volt", 0.0), Field("low", "volt", 0.0), Field("high", "volt", 1.0)),
    step=step,
    sends="value",
    source="Bhattasali et al. 2022, NCAP, arXiv:2201.05242",
)
