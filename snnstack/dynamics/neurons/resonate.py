"""Resonate-and-fire: a damped oscillation of two states, balanced or not.

    u <- u + dt (damping u - omega v + x);  v <- v + dt (omega u + damping v), both of before
    spike iff u > threshold + q
    q <- 0.9 q + (spike)                                         balanced
    damping = (sqrt(1 - (dt omega)**2) - 1) / dt - offset - q    balanced: what converges

Not balanced, there is no q and the damping is -offset; with `resets` a spike puts the pair at
(0, 1), as in Izhikevich 2001.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import sqrt, where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    damping = 0 - n.offset
    if n.balanced:
        turn = n.dt * n.omega
        damping = (sqrt(1 - turn * turn) - 1) / n.dt - n.offset - n.q
    u = n.u + n.dt * (damping * n.u - n.omega * n.v + x)
    v = n.v + n.dt * (n.omega * n.u + damping * n.v)
    fired = u > (n.threshold + n.q if n.balanced else n.threshold)
    states = {"u": u, "v": v}
    if n.resets:
        states = {"u": where(fired, 0, u), "v": where(fired, 1, v)}
    if n.balanced:
        states["q"] = n.gamma * n.q + where(fired, 1, 0)
    return Next(states, fired)


RESONATE = Model(
    name="resonate",
    states=("u", "v", "q"),
    parameters=(
        Field("omega", "raw"),
        Field("offset", "raw"),
        Field("dt", "raw", 0.01),
        Field("threshold", "volt", 1.0),
        Field("gamma", "factor", 0.9),
    ),
    step=step,
    options={"balanced": True, "resets": False},
    source="Higuchi et al. 2024, arXiv:2402.14603; Izhikevich 2001, Neural Networks 14",
)
