"""Sigma-delta units: they send the change of a sum, once it reaches a threshold.

sigma += input << shift;  act = max(sigma + bias, 0), or without max
delta = act - previous act + residue;  sent = delta if |delta| >= threshold else 0
residue = delta - sent;  an event carries sent >> payload_shift, unless that is 0
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import magnitude, most, same, scaled, where, wrap

PAYLOAD_BITS = 32


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of weight times value that arrives."""
    sigma = n.sigma + scaled(x, n.shift)
    act = sigma + n.bias
    if n.rectify:
        act = most(act, 0)
    delta = act - n.v + n.residue
    sends = where(magnitude(delta) >= n.threshold, delta, 0)
    sent = sends >> n.payload_shift
    return Next(
        {"sigma": sigma, "v": act, "residue": delta - sends, "s": sent},
        sent,
        active=~(same(x, 0) & same(delta, 0)),
        fits=same(sent, wrap(sent, PAYLOAD_BITS)) & same(act, wrap(act, PAYLOAD_BITS)),
    )


SIGMA_DELTA = Model(
    name="sigma_delta",
    states=("s", "v", "sigma", "residue"),
    parameters=(
        Field("shift", "shift", 0),
        Field("payload_shift", "shift", 0),
        Field("bias", "volt", 0),
        Field("threshold", "volt", 0),
    ),
    step=step,
    options={"rectify": True},
    sends="value",
    source="Lava, process SigmaDelta in fixed_pt; O'Connor and Welling 2016, arXiv:1611.02024",
)
