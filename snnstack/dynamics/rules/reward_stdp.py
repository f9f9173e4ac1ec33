"""Reward-modulated STDP: pairs write an eligibility, a reward turns it into weight.

    pre spike:  e <- e - a_minus y;   post spike:  e <- e + a_plus x
    every step, after these:  w <- w + rate modulator e;  e <- decay_e e

Source: Izhikevich, Cereb. Cortex 17, 2443 (2007); Frémaux, Gerstner 2016.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule
from snnstack.dynamics.terms import held


def on_pre(n: Names) -> dict[str, E]:
    """A target that fired before its source."""
    return {"e": n.e - n.a_minus * n.y}


def on_post(n: Names) -> dict[str, E]:
    """A source that fired before its target."""
    return {"e": n.e + n.a_plus * n.x}


def each_step(n: Names) -> dict[str, E]:
    """The third factor."""
    w = held(n.w + n.rate * n.modulator * n.e, n.w_min, n.w_max)
    return {"w": w, "e": n.decay_e * n.e}


REWARD_STDP = Rule(
    name="reward_stdp",
    parameters=(
        *(Field(name, "factor") for name in ("decay_pre", "decay_post", "decay_e")),
        *(Field(name, "raw") for name in ("a_plus", "a_minus", "rate")),
        Field("w_min", "raw", 0.0),
        Field("w_max", "raw"),
    ),
    pre=(Memory("x", "decay_pre"),),
    post=(Memory("y", "decay_post"),),
    synapse=("e",),
    on_pre=on_pre,
    on_post=on_post,
    each_step=each_step,
    modulated=True,
    source="Izhikevich 2007, doi:10.1093/cercor/bhl152",
)
