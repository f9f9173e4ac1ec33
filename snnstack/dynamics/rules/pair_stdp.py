"""Pair STDP, all pairs or the nearest, with additive or multiplicative steps and hard bounds.

    x <- x decay_pre + s_pre;  y <- y decay_post + s_post        (nearest: the newest spike alone)
    pre spike:  w <- w - a_minus f_minus(w) y;   post spike:  w <- w + a_plus f_plus(w) x
    f_plus = (w_max - w)^mu, f_minus = (w - w_min)^mu: mu 0 additive (hard bounds), mu 1
    multiplicative (soft bounds); w is held within w_min..w_max after every step

Source: Morrison, Diesmann, Gerstner, Biol. Cybern. 98, 459 (2008); Song, Miller,
Abbott, Nat. Neurosci. 3, 919 (2000) for the additive form, Gütig et al. 2003 for mu.
"""

from __future__ import annotations

from dataclasses import replace

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule
from snnstack.dynamics.terms import held

SOURCE = "Morrison, Diesmann, Gerstner 2008, doi:10.1007/s00422-008-0233-1"


def _additive_pre(n: Names) -> dict[str, E]:
    return {"w": held(n.w - n.a_minus * n.y, n.w_min, n.w_max)}


def _additive_post(n: Names) -> dict[str, E]:
    return {"w": held(n.w + n.a_plus * n.x, n.w_min, n.w_max)}


def _soft_pre(n: Names) -> dict[str, E]:
    return {"w": held(n.w - n.a_minus * (n.w - n.w_min) * n.y, n.w_min, n.w_max)}


def _soft_post(n: Names) -> dict[str, E]:
    return {"w": held(n.w + n.a_plus * (n.w_max - n.w) * n.x, n.w_min, n.w_max)}


PAIR_STDP = Rule(
    name="pair_stdp",
    parameters=(
        Field("decay_pre", "factor"),
        Field("decay_post", "factor"),
        Field("a_plus", "raw"),
        Field("a_minus", "raw"),
        Field("w_min", "raw", 0.0),
        Field("w_max", "raw"),
    ),
    pre=(Memory("x", "decay_pre"),),
    post=(Memory("y", "decay_post"),),
    on_pre=_additive_pre,
    on_post=_additive_post,
    source=SOURCE,
)
NEAREST = {"pre": (Memory("x", "decay_pre", "set"),), "post": (Memory("y", "decay_post", "set"),)}
SOFT = {"on_pre": _soft_pre, "on_post": _soft_post}

NEAREST_STDP = replace(PAIR_STDP, name="nearest_stdp", **NEAREST)  # type: ignore[arg-type]
SOFT_STDP = replace(PAIR_STDP, name="soft_stdp", **SOFT)  # type: ignore[arg-type]
NEAREST_SOFT_STDP = replace(
    PAIR_STDP,
    name="nearest_soft_stdp",
    **NEAREST,  # type: ignore[arg-type]
    **SOFT,  # type: ignore[arg-type]
)
