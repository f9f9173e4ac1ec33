"""One-shot Hebbian write of binary weights: both fire, the synapse is there from now on.

    w <- max(w, value)   where source and target fire in the same step and the modulator is not 0

Source: Willshaw, Buneman, Longuet-Higgins, Nature 222, 960 (1969); Rinkus 2010 (Sparsey).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Rule
from snnstack.dynamics.terms import most, same, where


def on_pre(n: Names) -> dict[str, E]:
    """A write, where the target fires too."""
    together = ~same(n.post, 0) & ~same(n.modulator, 0)
    return {"w": where(together, most(n.w, n.value), n.w)}


ONE_SHOT = Rule(
    name="one_shot",
    parameters=(Field("value", "raw", 1.0),),
    on_pre=on_pre,
    modulated=True,
    source="Willshaw, Buneman, Longuet-Higgins 1969, doi:10.1038/222960a0",
)
