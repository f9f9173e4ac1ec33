"""The neuron applications of py-spinnaker2, in IEEE float32 in the order written.

    lif            v <- alpha v + (up + down) + i_offset
    lif_curr_exp   ie <- ie exc_decay + up;  ii <- ii inh_decay + down
                   v <- alpha v + ie + ii + i_offset
    spike iff v >= threshold;  then v = v_reset, or v - threshold

`up`, `down`: sums of the positive and of the negative weights that arrive.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, up: E, down: E) -> Next:
    """One step of either application."""
    states = {}
    if n.current:
        states = {"ie": n.ie * n.exc_decay + up, "ii": n.ii * n.inh_decay + down}
        v = n.alpha * n.v + states["ie"] + states["ii"] + n.i_offset
    else:
        v = n.alpha * n.v + (up + down) + n.i_offset
    if not n.fires:
        return Next({**states, "v": v})
    fired = v >= n.threshold
    after = where(fired, v - n.threshold if n.subtract else n.v_reset, v)
    return Next({**states, "v": after}, fired)


SPINNAKER2_LIF = Model(
    name="spinnaker2_lif",
    states=("v", "ie", "ii"),
    parameters=(
        Field("alpha", "factor"),
        Field("exc_decay", "factor", 0.0),
        Field("inh_decay", "factor", 0.0),
        Field("i_offset", "volt", 0.0),
        Field("threshold", "volt", 0.0),
        Field("v_reset", "volt", 0.0),
    ),
    step=step,
    options={"current": False, "fires": True, "subtract": False},
    inputs=("up", "down"),
    source="py-spinnaker2, applications lif, lif_curr_exp and their no_delay forms",
)
