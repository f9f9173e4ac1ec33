"""Quadratic integrate-and-fire, with or without adaptation; one Euler step.

    v <- v + (x + a0 (v - rest) (v - critical) - w) / tau
    w <- w + (a (v - rest) - w) / tau_w, with the new v
    spike iff v >= threshold;  then v = v_reset and w rises by b

Times are in steps. Without `adapts` there is no w.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    drive = x + n.a0 * (n.v - n.rest) * (n.v - n.critical)
    v = n.v + (drive - n.w if n.adapts else drive) / n.tau
    fired = v >= n.threshold
    states = {"v": where(fired, n.v_reset, v)}
    if n.adapts:
        w = n.w + (n.a * (v - n.rest) - n.w) / n.tau_w
        states["w"] = where(fired, w + n.b, w)
    return Next(states, fired)


QUADRATIC = Model(
    name="quadratic",
    states=("v", "w"),
    parameters=(
        Field("tau", "steps"),
        Field("a0", "raw", 1.0),
        Field("rest", "volt", 0.0),
        Field("critical", "volt"),
        Field("threshold", "volt"),
        Field("v_reset", "volt", 0.0),
        Field("tau_w", "steps", 1.0),
        Field("a", "raw", 0.0),
        Field("b", "volt", 0.0),
    ),
    step=step,
    options={"adapts": False},
    source="Gerstner et al. 2014, Neuronal Dynamics, 5.3 and 6.1",
)
