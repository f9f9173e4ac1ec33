"""LIF whose threshold learns to keep a rate: it rises with a spike and sinks all the time.

    v <- alpha v + x;  spike iff v > threshold + b, with b of the step before
    b <- held(b + rise (spike) - sink, low, high)
    v loses threshold + b with a spike ("subtract"), or becomes v_reset ("set")

While b stays within its bounds, the mean of the spikes goes to sink / rise spikes a step.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import held, where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = n.alpha * n.v + x
    high = n.threshold + n.b
    fired = v > high
    b = held(n.b + where(fired, n.rise, 0) - n.sink, n.low, n.high)
    after = v - high if n.reset == "subtract" else n.v_reset
    return Next({"v": where(fired, after, v), "b": b}, fired)


HOMEOSTATIC_LIF = Model(
    name="homeostatic_lif",
    states=("v", "b"),
    parameters=(
        Field("alpha", "factor"),
        Field("threshold", "volt"),
        Field("rise", "volt"),
        Field("sink", "volt"),
        Field("low", "volt", 0.0),
        Field("high", "volt"),
        Field("v_reset", "volt", 0.0),
    ),
    step=step,
    options={"reset": "subtract"},
    source="Querlioz et al. 2013, doi:10.1109/TNANO.2013.2250995 (own discrete form)",
    choices={"reset": ("subtract", "set")},
)
