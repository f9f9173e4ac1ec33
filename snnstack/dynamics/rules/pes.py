"""PES, the delta rule: an error for each target times the filtered activity of the source.

    a <- decay a + s_pre;   w <- w - rate error_post a      (every step)

Source: MacNeil, Eliasmith, PLoS ONE 6, e22885 (2011), on decoded errors; Widrow, Hoff 1960.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule
from snnstack.dynamics.terms import held


def each_step(n: Names) -> dict[str, E]:
    """Against the error."""
    return {"w": held(n.w - n.rate * n.modulator * n.a, n.w_min, n.w_max)}


PES = Rule(
    name="pes",
    parameters=(
        Field("decay", "factor"),
        Field("rate", "raw"),
        Field("w_min", "raw"),
        Field("w_max", "raw"),
    ),
    pre=(Memory("a", "decay"),),
    each_step=each_step,
    modulated=True,
    source="MacNeil, Eliasmith 2011, doi:10.1371/journal.pone.0022885",
)
