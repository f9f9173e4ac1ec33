"""Minimal gated unit: one gate both forgets and resets; it sends its state in every step.

    f = sigmoid(forget);  h <- (1 - f) h + f tanh(candidate + f recurrent)

The ports are sums of weights, biases added: `forget` of inputs and of h a step ago, `candidate`
of inputs, `recurrent` of h a step ago. The gate is applied after the recurrent weights, as in
the GRU of cuDNN and torch, not before them as in the paper: one unit then needs no other's gate.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Model, Names, Next
from snnstack.dynamics.terms import sigmoid, tanh


def step(n: Names, forget: E, candidate: E, recurrent: E) -> Next:
    """One step on the sums of the gate and of the candidate."""
    f = sigmoid(forget)
    h = (1 - f) * n.h + f * tanh(candidate + f * recurrent)
    return Next({"h": h}, h)


MINIMAL_GATED = Model(
    name="minimal_gated",
    states=("h",),
    parameters=(),
    step=step,
    inputs=("forget", "candidate", "recurrent"),
    sends="value",
    source="Zhou et al. 2016, arXiv:1603.09420",
)
