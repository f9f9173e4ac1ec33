"""Izhikevich's simple model, in one or two Euler steps of v and one of u.

    v <- v + h (0.04 v v + 5 v + 140 - u + x), h = dt, or twice with h = dt / 2
    u <- u + dt a (b v - u), with the new v
    spike iff v >= peak;  then v = c and u rises by d

v in mV, dt in ms. The program of the paper asks for spikes at the start of a step; asking at its
end gives the same spikes, one step earlier.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = n.v
    for _ in range(2 if n.halves else 1):
        h = n.dt * 0.5 if n.halves else n.dt
        v = v + h * (0.04 * v * v + 5 * v + 140 - n.u + x)
    u = n.u + n.dt * n.a * (n.b * v - n.u)
    fired = v >= n.peak
    return Next({"v": where(fired, n.c, v), "u": where(fired, u + n.d, u)}, fired)


IZHIKEVICH = Model(
    name="izhikevich",
    states=("v", "u"),
    parameters=(
        Field("a", "raw", 0.02),
        Field("b", "raw", 0.2),
        Field("c", "volt", -65.0),
        Field("d", "volt", 8.0),
        Field("peak", "volt", 30.0),
        Field("dt", "raw", 1.0),
    ),
    step=step,
    options={"halves": True},
    source="Izhikevich 2003, IEEE Trans. Neural Networks 14(6)",
)
