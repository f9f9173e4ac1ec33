"""Loihi's compartment: 12-bit decays toward zero, a current that wraps, a membrane that clips.

    i <- wrap(toward_zero(beta i / 4096) + (input << shift))       `current_bits` wide
    v <- clip(toward_zero(alpha v / 4096) + i + bias, +-state_max), or v while refractory
    spike iff v > threshold, unless refractory;  then v = 0, or v - threshold

Where `reads` is not 0, a probe of v reads that on the step of a spike.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import most, same, sat, scaled, shrunk, where, wrap


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    i = wrap(shrunk(n.i, n.beta) + scaled(x, n.shift), n.current_bits)
    v = sat(shrunk(n.v, n.alpha) + i + n.bias, n.state_max)
    waiting = n.wait > 0
    if n.refractory:
        v = where(waiting, n.v, v)
    active = ~(same(i, 0) & same(v, 0))
    if not n.fires:
        return Next({"i": i, "v": v}, active=active)
    fired = v > n.threshold
    states = {"i": i}
    if n.refractory:
        fired = fired & ~waiting
        states["wait"] = where(fired, n.pause, most(n.wait - 1, 0))
    states["v"] = where(fired, v - n.threshold if n.subtract else 0, v)
    reads = {"v": where(fired, n.reads, states["v"])} if n.reads else {}
    return Next(states, fired, reads, active)


LOIHI_CUBA = Model(
    name="loihi_cuba",
    states=("v", "i", "wait"),
    parameters=(
        Field("alpha", "factor"),
        Field("beta", "factor"),
        Field("shift", "shift", 0),
        Field("bias", "volt", 0),
        Field("threshold", "volt", 0),
        Field("pause", "steps", 0),
        Field("state_max", "limit", 2**23 - 1),
    ),
    step=step,
    options={
        "fires": True,
        "refractory": False,
        "subtract": False,
        "current_bits": 24,
        "reads": 0,
    },
    source="Davies et al. 2018, IEEE Micro 38(1); Lava, processes LIF and LIFReset in fixed_pt",
)
