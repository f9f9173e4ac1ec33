"""Oja's rule: Hebb, with a decay that keeps the weights of a target at norm 1.

    w <- w + rate y (x - y w)      (every step; x and y are traces of source and target)

Source: Oja, J. Math. Biol. 15, 267 (1982).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule


def each_step(n: Names) -> dict[str, E]:
    """One step."""
    return {"w": n.w + n.rate * n.y * (n.x - n.y * n.w)}


OJA = Rule(
    name="oja",
    parameters=(
        Field("decay_pre", "factor"),
        Field("decay_post", "factor"),
        Field("rate", "raw"),
    ),
    pre=(Memory("x", "decay_pre"),),
    post=(Memory("y", "decay_post"),),
    each_step=each_step,
    source="Oja 1982, doi:10.1007/BF00275687",
)
