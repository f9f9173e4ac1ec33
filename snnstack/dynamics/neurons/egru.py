"""EGRU: a gated unit that sends its state where that is above a threshold.

    z = sigmoid(update);  r = sigmoid(reset);  g = tanh(candidate + r recurrent)
    c <- z c + (1 - z) g;  sent = c where c > threshold, else nothing;  then c - threshold

The ports are the sums of a gate's weights, its biases added: `update` and `reset` of inputs and
of what was sent a step ago, `candidate` of inputs, `recurrent` of what was sent a step ago.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next
from snnstack.dynamics.terms import sigmoid, tanh, where


def step(n: Names, update: E, reset: E, candidate: E, recurrent: E) -> Next:
    """One step on the sums of the three gates."""
    z = sigmoid(update)
    g = tanh(candidate + sigmoid(reset) * recurrent)
    c = z * n.c + (1 - z) * g
    fired = c - n.threshold > 0
    return Next({"c": where(fired, c - n.threshold, c)}, where(fired, c, 0))


EGRU = Model(
    name="egru",
    states=("c",),
    parameters=(Field("threshold", "volt"),),
    step=step,
    inputs=("update", "reset", "candidate", "recurrent"),
    sends="value",
    source="Subramoney et al. 2023, arXiv:2206.06178",
)
