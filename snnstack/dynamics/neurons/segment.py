"""A unit without a state: a spike where enough arrives in one step.

    spike iff x >= threshold

A dendritic segment with binary synapses; with threshold 1 the OR of a cell's segments.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next


def step(n: Names, x: E) -> Next:
    """One step on the count `x` of what arrives."""
    return Next({"count": x}, x >= n.threshold)


SEGMENT = Model(
    name="segment",
    states=("count",),
    parameters=(Field("threshold", "volt", 1.0),),
    step=step,
    source="Ahmad and Hawkins 2016, arXiv:1601.00720",
)
