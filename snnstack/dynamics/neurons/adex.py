"""Exponential integrate-and-fire, with or without adaptation; one Euler step.

    v <- v + ((rest - v) + slope exp((v - rheobase) / slope) - w + x) / tau
    w <- w + (a (v - rest) - w) / tau_w, with v of the step before
    spike iff v >= threshold;  then v = v_reset and w rises by b

Times are in steps; w and x in the units of v. Without `adapts` there is no w.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import exp, where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    rise = n.slope * exp((n.v - n.rheobase) / n.slope)
    drive = x + n.rest - n.v + rise
    if n.adapts:
        drive = drive - n.w
    v = n.v + drive / n.tau
    fired = v >= n.threshold
    states = {"v": where(fired, n.v_reset, v)}
    if n.adapts:
        w = n.w + (n.a * (n.v - n.rest) - n.w) / n.tau_w
        states["w"] = where(fired, w + n.b, w)
    return Next(states, fired)


ADEX = Model(
    name="adex",
    states=("v", "w"),
    parameters=(
        Field("tau", "steps"),
        Field("rest", "volt", 0.0),
        Field("slope", "volt"),
        Field("rheobase", "volt"),
        Field("threshold", "volt"),
        Field("v_reset", "volt", 0.0),
        Field("tau_w", "steps", 1.0),
        Field("a", "raw", 0.0),
        Field("b", "volt", 0.0),
    ),
    step=step,
    options={"adapts": True},
    source="Brette and Gerstner 2005, J. Neurophysiol. 94(5); Fourcaud-Trocme et al. 2003",
)
