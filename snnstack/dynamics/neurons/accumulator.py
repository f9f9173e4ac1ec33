"""A unit that adds up all that arrives and sends nothing: v <- v + x."""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Model, Names, Next


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` that arrives."""
    return Next({"v": n.v + x})


ACCUMULATOR = Model(
    name="accumulator",
    states=("v",),
    parameters=(),
    step=step,
    sends="nothing",
    source="NIR, node I with r = 1 and a step of 1",
)
