"""Loihi's compartment: 12-bit decays toward zero, a current that wraps, a membrane that clips.

    i <- wrap(toward_zero(beta i / 4096) + (input << shift))       `current_bits` wide
    v <- clip(toward_zero(alpha v / 4096) + i + bias, +-state_max), or v while refractory
    spike iff v > threshold, unless refractory;  then v = 0, or v - threshold

`wait` becomes `pause`, the refractory period of 1 or more steps, on a spike and counts down; v
is held in the steps that begin with it above 1. Where `reads` is not 0, a probe of v reads that
on the step of a spike, and one more in every refractory step after it. With `clears` all states
are 0 before every step in which `age`, which counts to `interval`, is 0.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import most, same, sat, scaled, shrunk, where, wrap


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    states, before = {}, Names(i=n.i, v=n.v, wait=n.wait)
    if n.clears:
        clear = same(n.age, 0)
        before = Names(**{k: where(clear, 0, s) for k, s in vars(before).items()})
        states["age"] = where(n.age + 1 >= n.interval, 0, n.age + 1)
    i = wrap(shrunk(before.i, n.beta) + scaled(x, n.shift), n.current_bits)
    v = sat(shrunk(before.v, n.alpha) + i + n.bias, n.state_max)
    waiting = before.wait > 1
    if n.refractory:
        v = where(waiting, before.v, v)
    active = ~(same(i, 0) & same(v, 0))
    states["i"] = i
    if not n.fires:
        return Next({**states, "v": v}, active=active)
    fired = v > n.threshold
    shown = n.reads
    if n.refractory:
        fired = fired & ~waiting
        states["wait"] = where(fired, n.pause, most(before.wait - 1, 0))
        shown = n.reads + n.pause - states["wait"]
    states["v"] = where(fired, v - n.threshold if n.subtract else 0, v)
    counting = states["wait"] > 0 if n.refractory else fired
    reads = {"v": where(counting, shown, states["v"])} if n.reads else {}
    return Next(states, fired, reads, active)


LOIHI_CUBA = Model(
    name="loihi_cuba",
    states=("v", "i", "wait", "age"),
    parameters=(
        Field("alpha", "factor", one=2**12),
        Field("beta", "factor", one=2**12),
        Field("shift", "shift", 0),
        Field("bias", "volt", 0),
        Field("threshold", "volt", 0),
        Field("pause", "steps", 1),
        Field("interval", "steps", 1),
        Field("state_max", "limit", 2**23 - 1),
    ),
    step=step,
    options={
        "fires": True,
        "refractory": False,
        "subtract": False,
        "clears": False,
        "current_bits": 24,
        "reads": 0,
    },
    choices={"current_bits": tuple(range(2, 33))},
    source="Davies et al. 2018, IEEE Micro 38(1); Lava, processes LIF and LIFReset in fixed_pt",
)
