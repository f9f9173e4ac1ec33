"""`QuantizedNetwork`: integer parameters. The definition of the right answer for a target.

One step of a population, all integers, in this order (Q = `numerics.decay_bits`, or more where
a population says so in `alpha_bits` and `beta_bits`):

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

import numpy as np

from snnstack.dynamics.model import Model, Neurons, Number
from snnstack.ir.lif import LifNumbers, changed, family
from snnstack.ir.nodes import Array, Compare, Metadata, ResetTime, Shape, node
from snnstack.ir.step import Projection, StepInput, StepReset, door, size
from snnstack.quant.numerics import Numerics


@node
class QuantizedPopulation(LifNumbers):
    """Twin of `snnstack.ir.step.Population` in a target's numbers; parameters [n], C order.

    `scale` float64 [n]: state units per volt of the float population, so that
    `v / scale` is the membrane in the model's units. `input_gain` float64 [n]: what all input was
    multiplied with so that rounded decays settle where the exact ones do (`quant.steady`); None: 1.
    `number`: what states are kept in. `ports`: of another model than the LIF family's, by input,
    weight integers a real unit, float64 [n]. `payload`: the largest magnitude of what an event
    carries, 0: events are spikes; `payload_scale`: its integers a real unit. Of the LIF family:
    `shift`, and `alpha_bits`, `beta_bits`, the fraction bits of the decays, None: as many as
    `numerics` says.
    """

    name: str
    shape: Shape
    model: Model
    values: Mapping[str, Any]
    options: Mapping[str, Any]
    scale: Array
    input_gain: Array | None = None
    initial: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    number: Number = "int32"
    ports: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    payload: int = 0
    payload_scale: float = 1.0

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)

    @property
    def neurons(self) -> Neurons:
        """The model with these numbers; the LIF family wants `numerics` too (`quant.neurons`)."""
        return Neurons(self.model, self.n, self.number, self.values, self.options, self.initial)

    @property
    def fires(self) -> bool:
        """Whether events are ever sent."""
        return self.neurons.fires

    @property
    def shift(self) -> int:
        """Bits by which the sum of weights is shifted up."""
        return int(self.values.get("shift", 0))

    @property
    def alpha_bits(self) -> int | None:
        """Fraction bits of alpha where they are not those of the numerics."""
        return self.options.get("alpha_bits")

    @property
    def beta_bits(self) -> int | None:
        """Fraction bits of beta where they are not those of the numerics."""
        return self.options.get("beta_bits")

    @property
    def weight_volts(self) -> Array:
        """What one weight integer is in volts of the float population: float64 [n]."""
        if self.ports:
            return self.port_volts(self.model.inputs[0])
        gain = 1.0 if self.input_gain is None else self.input_gain
        return np.asarray(2.0**self.shift / self.scale / gain)

    def port_volts(self, port: str) -> Array:
        """What one weight integer is in the float population, of synapses into `port`."""
        return np.asarray(1.0 / self.ports[port]) if self.ports else self.weight_volts

    def decays(self, numerics: Numerics) -> tuple[Array, Array | None]:
        """Alpha and beta as real numbers; parameters that are floats are that already."""
        alpha = _real(self.alpha, self.alpha_bits or numerics.decay_bits)
        if self.beta is None:
            return alpha, None
        return alpha, _real(self.beta, self.beta_bits or numerics.decay_bits)

    def with_lif(self, **changes: Any) -> QuantizedPopulation:
        """A copy of a population of the LIF family with other numbers or choices."""
        return replace(self, **changed(self, changes))


def quantized_lif(
    name: str,
    shape: Shape,
    alpha: Array,
    beta: Array | None,
    shift: int,
    bias: Array,
    leak: Array,
    threshold: Array | None,
    v_reset: Array,
    scale: Array,
    reset: StepReset = "set",
    compare: Compare = "gt",
    refractory: int = 0,
    reset_time: ResetTime = "now",
    alpha_bits: int | None = None,
    beta_bits: int | None = None,
    input_gain: Array | None = None,
) -> QuantizedPopulation:
    """A population of the LIF family in integers; arrays [n]."""
    numbers = {"alpha": alpha, "beta": beta, "shift": shift, "bias": bias, "leak": leak}
    choices: dict[str, Any] = {"reset": reset, "compare": compare, "reset_time": reset_time}
    choices |= {"alpha_bits": alpha_bits, "beta_bits": beta_bits}
    found = family(
        {**numbers, "threshold": threshold, "v_reset": v_reset},
        {**choices, "refractory": refractory},
    )
    return QuantizedPopulation(name, shape, scale=scale, input_gain=input_gain, **found)


def _real(factor: Array, bits: int) -> Array:
    if factor.dtype.kind == "f":  # a machine that keeps them as IEEE float32
        return factor.astype(np.float32).astype(np.float64)
    return np.asarray(factor / float(1 << bits))


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

    @property
    def port(self) -> StepInput:
        """Where a run's events enter: the input, or the door of several."""
        return door(self.inputs)

    def population(self, name: str) -> QuantizedPopulation:
        """The population called `name`."""
        return next(p for p in self.populations if p.name == name)

    def into(self, name: str) -> tuple[Projection, ...]:
        """The projections whose target is `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def with_(self, **changes: Any) -> QuantizedNetwork:
        """A copy with some fields replaced."""
        return replace(self, **changes)
