"""Leaky integrate-and-fire with a synaptic current; IF, LIF, LI, CubaLI and late resets.

The equations stand in `snnstack.ir.step` (real numbers) and `snnstack.quant.network` (integers).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E, lift
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import decay, gained, most, same, sat, scaled, shrunk, where, wrap


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    i = scaled(x, n.shift) + n.bias
    states = {}
    if n.current:
        i = states["i"] = _held(
            _decayed(n, n.i, n.beta, n.beta_bits) + gained(i, n.gain_in),
            n.current_max,
            n.current_overflow,
        )
    late = _above(n, n.v) if n.fires and n.reset_time != "now" else lift(0)
    v = _integrated(n, i, late)
    if not n.fires:
        return Next({**states, "v": v})
    if n.reset_time == "recheck":
        # `v` has lost the threshold of the spike before; a spike that ended gets it back
        fired = _above(n, v)
        after = where(same(fired, late), v, where(fired, v - n.threshold, v + n.threshold))
        return Next({**states, "v": after}, fired)
    if n.refractory:
        waiting = n.wait > 0
        v = where(waiting, n.v, v)
        fired = _above(n, v) & ~waiting
        states["wait"] = where(fired, n.pause, most(n.wait - 1, 0))
    else:
        fired = _above(n, v)
    after = v - n.threshold if n.reset == "subtract" else n.v_reset
    keeps = n.reset == "none" or n.reset_time != "now"
    return Next({**states, "v": v if keeps else where(fired, after, v)}, fired)


def _decayed(n: Names, value: E, factor: E, bits: int) -> E:
    rounded = decay if n.rounding == "floor" else shrunk
    return rounded(value, factor, bits)


def _held(value: E, limit: E, overflow: str) -> E:
    """Within +-`limit`, which is 2**k - 1 where values wrap."""
    if overflow == "saturate":
        return sat(value, limit)
    return wrap(value, (int(limit.value) + 1).bit_length())


def _above(n: Names, v: E) -> E:
    fired: E = v >= n.threshold if n.compare == "ge" else v > n.threshold
    return fired


def _integrated(n: Names, i: E, late: E) -> E:
    """The membrane before the test; `late`: whether the one it starts from was above already."""
    times = {"next", "next_all"} if n.reset == "set" else {"next", "recheck"}
    time = n.reset_time if n.fires and n.reset != "none" and n.reset_time in times else "now"
    taken = where(late, n.threshold, 0)
    before = where(late, n.v_reset, n.v) if n.reset == "set" and time == "next" else n.v
    v = _decayed(n, before, n.alpha, n.alpha_bits) + gained(i, n.gain) + n.leak
    if time == "next_all":
        v = where(late, n.v_reset, v)
    if n.reset == "subtract" and time == "next":
        v = v - taken
    v = _held(v, n.state_max, n.overflow)
    return v - taken if time == "recheck" else v


CUBA_LIF = Model(
    name="cuba_lif",
    states=("v", "i", "wait"),
    parameters=(
        Field("alpha", "factor"),
        Field("beta", "factor", 0),
        Field("shift", "shift", 0),
        Field("bias", "volt", 0),
        Field("gain_in", "gain", 1),
        Field("gain", "gain", 1),
        Field("leak", "volt", 0),
        Field("threshold", "volt", 0),
        Field("v_reset", "volt", 0),
        Field("pause", "steps", 0),
        Field("current_max", "limit", 0),
        Field("state_max", "limit", 0),
    ),
    step=step,
    options={
        "current": False,
        "fires": True,
        "refractory": False,
        "reset": "set",
        "reset_time": "now",
        "compare": "gt",
        "alpha_bits": 16,
        "beta_bits": 16,
        "rounding": "floor",
        "overflow": "saturate",
        "current_overflow": "saturate",
    },
    source="Gerstner et al. 2014, Neuronal Dynamics, ch. 1; NIR primitives IF, LIF, LI, CubaLIF",
    choices={
        "reset": ("set", "subtract", "none"),
        "reset_time": ("now", "next", "next_all", "recheck"),
        "compare": ("gt", "ge"),
        "rounding": ("floor", "toward_zero"),
        "overflow": ("saturate", "wrap"),
        "current_overflow": ("saturate", "wrap"),
    },
)
