"""`QuantizedNetwork`: integer parameters. The definition of the right answer for a target.

One step of a population, all integers, in this order (Q = `numerics.decay_bits`):

    acc = sum of w s over the projections
    x   = (acc << shift) + bias
    i   = sat_i(dec(i, beta) + x)                     only where beta is given
    v   = sat_v(dec(v, alpha) + (i or x) + leak)
    s   = v > threshold (or >=);  then v = v_reset, or v = v - threshold, or nothing
    dec(a, d) = floor(a d / 2**Q)                     or toward zero, by `numerics`

While a neuron is refractory, v keeps its value, s = 0; i goes on. A subtraction can also come
late (`reset_time`), with r = v > threshold of the membrane that the step starts from:

    next     v = sat_v(dec(v, alpha) - r threshold + (i or x) + leak);  s = v > threshold
    recheck  v = sat_v(dec(v, alpha) + (i or x) + leak);  s = v - r threshold > threshold;
             then v = v - threshold

A membrane that is set late is quantised as one that is set now (`snnstack.quant.reset_now`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any

from snnstack.ir.nodes import Array, Compare, Metadata, ResetTime, Shape, node
from snnstack.ir.step import Projection, StepInput, StepReset, size
from snnstack.quant.numerics import Numerics


@node
class QuantizedPopulation:
    """Integer twin of `snnstack.ir.step.Population`; parameters int64 [n], C order.

    `scale` float64 [n]: state units per volt of the float population, so that
    `v / scale` is the membrane in the model's units.
    """

    name: str
    shape: Shape
    alpha: Array
    beta: Array | None
    shift: int
    bias: Array
    leak: Array
    threshold: Array | None
    v_reset: Array
    scale: Array
    reset: StepReset = "set"
    compare: Compare = "gt"
    refractory: int = 0
    reset_time: ResetTime = "now"

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)


@node
class QuantizedNetwork:
    """Populations in update order; projections carry integer weights (int64 arrays)."""

    inputs: tuple[StepInput, ...]
    populations: tuple[QuantizedPopulation, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[str, ...]
    dt: float
    numerics: Numerics
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Metadata = field(default_factory=lambda: MappingProxyType({}))

    def population(self, name: str) -> QuantizedPopulation:
        """The population called `name`."""
        return next(p for p in self.populations if p.name == name)

    def into(self, name: str) -> tuple[Projection, ...]:
        """The projections whose target is `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def with_(self, **changes: Any) -> QuantizedNetwork:
        """A copy with some fields replaced."""
        return replace(self, **changes)
