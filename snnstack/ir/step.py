"""`StepGraph`: the network per time step, in the one normal form all targets start from.

Populations of neurons joined by projections. Neurons are numbered in C order of their shape.

    x  = sum of W s over the projections + bias
    i  = beta i + gain_in x             (only where beta is given)
    v  = alpha v + gain (i or x) + leak
    s  = v > threshold  (or >=)         then v = v_reset, or v = v - threshold, or nothing

That is a reset "now". Others look at the membrane they start from, r = v > threshold:

    next      subtract: v = alpha v + gain (i or x) + leak - r threshold
              set:      v = alpha (v_reset where r, else v) + gain (i or x) + leak
    next_all  set:      v = v_reset where r, else alpha v + gain (i or x) + leak
    recheck   subtract: u = alpha v + gain (i or x) + leak - r threshold;  s = u > threshold;
                        v = u - (s - r) threshold
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from snnstack.dynamics.model import Model, Neurons
from snnstack.dynamics.rule import Plastic
from snnstack.ir.lif import NUMBERS, LifNumbers, changed, family
from snnstack.ir.nodes import Array, Compare, EventKind, Metadata, ResetTime, Shape, node

StepReset = Literal["set", "subtract", "none"]
LARGEST_VALUE = 2**15 - 1
"""Of an input whose events carry values."""


def size(shape: Shape) -> int:
    """Number of neurons in a population of `shape`."""
    return int(np.prod(shape, dtype=np.int64))


@node
class Dense:
    """Every source neuron to every target neuron: `weight` [target, source]."""

    weight: Array


@node
class Sparse:
    """A list of synapses, grouped by source: those of source s are `indptr[s]:indptr[s+1]`.

    `indptr` int64 [source + 1]; `target` int32 [synapses], ascending within a row;
    `weight` [synapses].
    """

    indptr: Array
    target: Array
    weight: Array


@node
class Conv:
    """Cross-correlation of [C_in, H, W] to [C_out, H', W'] with shared weights.

    `weight` [C_out, C_in / groups, K_y, K_x]; output (y, x) reads input
    (y * stride_y - padding_y + k_y * dilation_y, ...); outside the input is zero.
    `padding` is that at the top and the left; `out_shape` fixes the rest.
    """

    weight: Array
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


Synapses = Dense | Sparse | Conv


@node
class Pool:
    """Sum over windows of [C, H, W], applied to the events before they meet the weights."""

    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


CONNECTION_KINDS = (Dense, Sparse, Conv, Pool)
"""What lies between two populations."""


@node
class Projection:
    """Synapses from `source` (population or input) to `target`, `delay` steps later.

    `delay` 0 acts in the step of the spike. With a `pool`, the synapses' source side is the
    pooled map. `port`: the input of the target's model in which they end. `rule`: how they
    learn (`snnstack.ir.learning`); None: they never change.
    """

    source: str
    target: str
    synapses: Synapses
    delay: int = 0
    pool: Pool | None = None
    port: str = "x"
    rule: Plastic | None = None

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


@node
class StepInput:
    """Where spikes enter: per step an array of `shape` with 0/1 or counts 0..255.

    `parts`: of the door of a network with several inputs, these, whose elements lie side by side.
    """

    name: str
    shape: Shape
    events: EventKind
    parts: tuple[StepInput, ...] = ()

    @property
    def sources(self) -> tuple[StepInput, ...]:
        """The inputs behind a door; an input itself."""
        return self.parts or (self,)

    @property
    def n(self) -> int:
        """Number of elements."""
        return size(self.shape)

    @property
    def max_count(self) -> int:
        """The most spikes of one element in one step."""
        return 255 if self.events in ("count", "real") else 1

    @property
    def span(self) -> tuple[int, int]:
        """The least and the largest number that one element can bring in one step."""
        if self.events == "value":
            return -LARGEST_VALUE, LARGEST_VALUE
        return 0, self.max_count


WIDEST: tuple[EventKind, ...] = ("real", "value", "count", "binary")
"""Kinds of events, those first that hold the others."""


def door(inputs: tuple[StepInput, ...]) -> StepInput:
    """The only input, or one of all elements that knows its `parts`."""
    if len(inputs) == 1:
        return inputs[0]
    events = next(kind for kind in WIDEST if any(port.events == kind for port in inputs))
    name = "+".join(port.name for port in inputs)
    return StepInput(name, (sum(port.n for port in inputs),), events, inputs)


@node
class Population(LifNumbers):
    """Neurons with the same equation: a `model`, and its numbers in volts and steps.

    `values`: by parameter, float64 [n] in C order of `shape`, or one number for all; `options`
    as the model has them; `initial`: states that do not begin at 0, as `values`. Populations of
    the LIF family, `lif(...)`, are read by its own names (`LifNumbers`).
    """

    name: str
    shape: Shape
    model: Model
    values: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    initial: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)

    @property
    def neurons(self) -> Neurons:
        """The model with these numbers, in float64."""
        return Neurons(self.model, self.n, "float64", self.values, self.options, self.initial)

    @property
    def fires(self) -> bool:
        """Whether events are ever sent."""
        return self.neurons.fires

    def with_lif(self, **changes: Any) -> Population:
        """A copy of a population of the LIF family with other numbers or choices."""
        return replace(self, **changed(self, changes))


def lif(
    name: str,
    shape: Shape,
    alpha: Array,
    beta: Array | None,
    gain_in: Array,
    gain: Array,
    bias: Array,
    leak: Array,
    threshold: Array | None,
    v_reset: Array,
    reset: StepReset = "set",
    compare: Compare = "gt",
    refractory: int = 0,
    reset_time: ResetTime = "now",
) -> Population:
    """A population of the LIF family; arrays float64 [n], see `LifNumbers`."""
    numbers = (alpha, beta, gain_in, gain, bias, leak, threshold, v_reset)
    choices = {"reset": reset, "compare": compare, "reset_time": reset_time}
    found = family(dict(zip(NUMBERS, numbers, strict=True)), {**choices, "refractory": refractory})
    return Population(name, shape, **found)


@node
class StepGraph:
    """`populations` stand in update order: a delay-0 projection always points forward."""

    inputs: tuple[StepInput, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[str, ...]
    dt: float
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Metadata = field(default_factory=lambda: MappingProxyType({}))

    @property
    def port(self) -> StepInput:
        """Where a run's events enter: the input, or the door of several."""
        return door(self.inputs)

    def population(self, name: str) -> Population:
        """The population called `name`."""
        return next(p for p in self.populations if p.name == name)

    def into(self, name: str) -> tuple[Projection, ...]:
        """The projections whose target is `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def with_(self, **changes: Any) -> StepGraph:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def source_size(projection: Projection) -> int:
    """Number of source elements the synapses see (after the pool)."""
    synapses = projection.synapses
    match synapses:
        case Dense():
            return int(synapses.weight.shape[1])
        case Sparse():
            return len(synapses.indptr) - 1
        case Conv():
            return size(synapses.in_shape)
