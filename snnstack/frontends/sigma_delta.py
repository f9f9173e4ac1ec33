"""An ANN of ReLUs as layers that send only changes: each ReLU has levels, its sums are kept.

What arrives is the change of a level times its weight; the sum of all changes is the ReLU's
input as it is now, which is brought to a level of 0..`levels` (the calibrated activation) and
sent if it has moved by more than `threshold` levels (O'Connor and Welling 2016,
arXiv:1611.02024; Yousefzadeh and Sifalakis 2021, arXiv:2107.07305).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.door import shown, whole
from snnstack.dynamics.neurons.accumulator import ACCUMULATOR
from snnstack.dynamics.neurons.delta_source import DELTA_SOURCE
from snnstack.dynamics.neurons.delta_unit import DELTA_UNIT
from snnstack.errors import ModelError, fail
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Cells, Leaf, Shape

MOST_LEVELS = 2**15 - 1


@dataclass(frozen=True)
class SigmaDelta:
    """`levels` of every activation; `threshold`: levels by which it must move to be sent.

    With a threshold below 1 every change is sent and nothing is lost.
    """

    levels: int = 127
    threshold: float = 0.0

    def checked(self) -> SigmaDelta:
        """With plain numbers; an error for those that no layer can have."""
        levels = whole(self.levels, "levels", 1, MOST_LEVELS)
        known = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
        if levels is None or not known or not 0 <= self.threshold < levels:
            what = f"is {shown(self.threshold)} of {levels} levels"
            raise fail(ModelError, "threshold", what, "a number from 0 to below the levels")
        return SigmaDelta(levels, float(self.threshold))

    def source(self, shape: Shape) -> Cells:
        """What sends the changes of the input."""
        return Cells(shape, DELTA_SOURCE, {"threshold": self.threshold})

    def unit(self, shape: Shape, activation: float) -> Cells:
        """A ReLU whose `activation` is the highest level."""
        gain = self.levels / activation
        numbers = {"gain": gain, "high": float(self.levels), "threshold": self.threshold}
        return Cells(shape, DELTA_UNIT, numbers)

    def total(self, shape: Shape) -> Cells:
        """A result: the sum of all changes."""
        return Cells(shape, ACCUMULATOR, {})


STATES = {DELTA_UNIT.name: "z", ACCUMULATOR.name: "v"}
"""The sum of each kind of layer."""


def with_sums_begun(graph: Graph) -> Graph:
    """The same with every constant input as what its sum begins with, instead of in every step."""
    from snnstack.passes.discretise import discretise
    from snnstack.passes.split_avgpool import split_avgpool

    constant = {
        p.name: np.reshape(p.values["bias_x"], p.shape)
        for p in discretise(split_avgpool(graph)).populations
        if "bias_x" in p.values
    }
    nodes = {name: _begun(name, node, constant.get(name)) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def _begun(name: str, node: Leaf | Graph, constant: Any) -> Any:
    if isinstance(node, Cells):
        if constant is None:
            return node
        if node.model.name not in STATES:
            what = "values that are not 0 at rest: padded borders of a shifted input"
            raise fail(ModelError, name, what, "let the input's range begin at 0")
        return replace(node, initial={STATES[node.model.name]: constant})
    bias = getattr(node, "bias", None)
    if bias is None:
        return node
    return replace(node, bias=np.zeros_like(bias))
