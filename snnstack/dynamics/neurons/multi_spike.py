"""LIF that sends how often its threshold fits into the membrane, at most `most` times.

    v <- alpha v + x;  s = floor(v / threshold), held within 0..most;  v <- v - s threshold

Written as `most` comparisons with multiples of the threshold: nothing is divided.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import where


def step(n: Names, x: E) -> Next:
    """One step on the sum `x` of the weights that arrive."""
    v = n.alpha * n.v + x
    sent = where(v >= n.threshold, 1, 0)
    for k in range(2, n.most + 1):
        sent = sent + where(v >= k * n.threshold, 1, 0)
    return Next({"v": v - sent * n.threshold}, sent)


MULTI_SPIKE = Model(
    name="multi_spike",
    states=("v",),
    parameters=(Field("alpha", "factor"), Field("threshold", "volt")),
    step=step,
    options={"most": 4},
    sends="value",
    choices={"most": tuple(range(1, 33))},
    source="Luo et al. 2024, Integer LIF, arXiv:2407.20708",
)
