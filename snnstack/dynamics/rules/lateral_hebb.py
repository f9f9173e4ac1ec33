"""Hebb with anti-Hebbian feedback through the same weights (HLOP): learns a principal subspace.

    back_pre = sum over targets of w post          (the transposed read)
    g = held(post (pre - back), -limit, limit);   m <- momentum m + rate g;   w <- w + m

Source: Xiao et al., Hebbian Learning based Orthogonal Projection, ICLR 2024; with
momentum 0 and linear targets it is Oja's subspace rule.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Rule
from snnstack.dynamics.terms import held


def back(n: Names) -> E:
    """What a target sends back to a source."""
    return n.w * n.post  # type: ignore[no-any-return]


def each_step(n: Names) -> dict[str, E]:
    """The part of the source that its targets do not yet explain."""
    g = held(n.post * (n.pre - n.back), 0 - n.limit, n.limit)
    m = n.momentum * n.m + n.rate * g
    return {"m": m, "w": n.w + m}


LATERAL_HEBB = Rule(
    name="lateral_hebb",
    parameters=(
        Field("rate", "raw"),
        Field("momentum", "factor", 0.0),
        Field("limit", "raw", 10.0),
    ),
    synapse=("m",),
    each_step=each_step,
    back=back,
    source="Xiao et al. 2024 (ICLR)",
)
