"""Triplet STDP: pairs, and what a spike of the same side before it adds.

    pre spike:   w <- w - o1 (a2_minus + a3_minus r2)
    post spike:  w <- w + r1 (a2_plus + a3_plus o2)
    r1, r2 are traces of the source, o1, o2 of the target, read before their own spike adds 1

Source: Pfister, Gerstner, J. Neurosci. 26, 9673 (2006) (all to all).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule
from snnstack.dynamics.terms import held


def on_pre(n: Names) -> dict[str, E]:
    """Depression."""
    return {"w": held(n.w - n.o1 * (n.a2_minus + n.a3_minus * n.r2), n.w_min, n.w_max)}


def on_post(n: Names) -> dict[str, E]:
    """Potentiation."""
    return {"w": held(n.w + n.r1 * (n.a2_plus + n.a3_plus * n.o2), n.w_min, n.w_max)}


TRIPLET_STDP = Rule(
    name="triplet_stdp",
    parameters=(
        *(Field(f"decay_{name}", "factor") for name in ("r1", "r2", "o1", "o2")),
        *(Field(name, "raw") for name in ("a2_plus", "a2_minus", "a3_plus", "a3_minus")),
        Field("w_min", "raw", 0.0),
        Field("w_max", "raw"),
    ),
    pre=(Memory("r1", "decay_r1"), Memory("r2", "decay_r2")),
    post=(Memory("o1", "decay_o1"), Memory("o2", "decay_o2")),
    on_pre=on_pre,
    on_post=on_post,
    source="Pfister, Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006",
)
