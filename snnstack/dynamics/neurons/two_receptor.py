"""LIF with an excitatory and an inhibitory receptor: exponential currents, or conductances.

    ge <- ge decay_e + weight_e (excitatory spikes);  gi <- gi decay_i + weight_i (inhibitory)
    v  <- v + rate ((rest - v) + ge + gi)                                     currents
    v  <- v + rate ((rest - v) + ge (reversal_e - v) + gi (reversal_i - v))   conductances
    spike iff v > threshold;  then v = v_reset for `pause` steps

While it waits, v keeps its value; conductances go on. The inputs are the sums of positive and of
negative weights, 1 and -1 for a spike at either receptor.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, excitatory: E, inhibitory: E) -> Next:
    """One step on what arrives at either receptor."""
    ge = n.ge * n.decay_e + excitatory * n.weight_e
    gi = n.gi * n.decay_i - inhibitory * n.weight_i
    pull_e = ge * (n.reversal_e - n.v) if n.conductances else ge
    pull_i = gi * (n.reversal_i - n.v) if n.conductances else gi
    live = n.wait <= 0
    v = where(live, n.v + n.rate * (n.rest - n.v + pull_e + pull_i), n.v)
    fired = live & (v > n.threshold)
    waiting = where(live, n.wait, n.wait - 1)
    return Next(
        {
            "v": where(fired, n.v_reset, v),
            "ge": ge,
            "gi": gi,
            "wait": where(fired, n.pause, waiting),
        },
        fired,
    )


TWO_RECEPTOR = Model(
    name="two_receptor",
    states=("v", "ge", "gi", "wait"),
    parameters=(
        Field("decay_e", "factor"),
        Field("decay_i", "factor"),
        Field("weight_e", "volt"),
        Field("weight_i", "volt"),
        Field("rate", "factor"),
        Field("rest", "volt", 0.0),
        Field("reversal_e", "volt", 0.0),
        Field("reversal_i", "volt", 0.0),
        Field("threshold", "volt"),
        Field("v_reset", "volt", 0.0),
        Field("pause", "steps", 0),
    ),
    step=step,
    options={"conductances": False},
    inputs=("excitatory", "inhibitory"),
    source="Vogels and Abbott 2005, J. Neurosci. 25(46); Brette et al. 2007, benchmarks 1 and 2",
)
