"""What the engine runs: layers in update order, each with the event sources that enter it.

Nothing here knows a target. Sources are numbered: first the inputs, then the layers; neurons of
a source are numbered in whatever memory order the caller chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.ir.nodes import ResetTime
from snnstack.quant.numerics import INT32, Numerics

Array = NDArray[Any]
Plane = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class DenseRows:
    """`weight` [source, target]: one event adds one contiguous row."""

    weight: Array


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Event s adds `weight[indptr[s]:indptr[s+1]]` to the neurons `target[...]`."""

    indptr: Array
    target: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class ConvTaps:
    """`weight` [C_in, K_y, K_x, C_out / groups]; source and target are numbered channel last.

    An event at (c, y, x) reaches output (oy, ox) wherever
    oy * stride_y == y + padding_y - k_y * dilation_y (likewise x) and 0 <= oy < H'; it adds
    weight[c, k_y, k_x] to the channels of group c // (C_in / groups).
    """

    weight: Array
    in_shape: Plane
    out_shape: Plane
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


Table = DenseRows | SparseRows | ConvTaps


@dataclass(frozen=True, eq=False)
class EventMap:
    """Event s of the source becomes the events `target[indptr[s]:indptr[s+1]]` of `n`."""

    indptr: Array
    target: Array
    n: int


@dataclass(frozen=True, eq=False)
class Edge:
    """Synapses that read the events of source number `source` of `delay` steps ago.

    With a `remap` (a pool, a permutation) the table's source axis is what the map leads to.
    """

    source: int
    delay: int
    table: Table
    remap: EventMap | None = None


@dataclass(frozen=True, eq=False)
class IntegerNeurons:
    """Integer parameters [n]; equations in `snnstack.quant.network`, floor.

    `alpha`, `beta` 0..65536 with 16 bits; with 32 (`alpha_bits`, `beta_bits`) 2**31..2**32.
    `beta` None: no current state. `threshold` None: does not fire.
    `subtract` False: a spike sets v to `v_reset`; not `resets`: it leaves v as it is. A
    `reset_time` other than "now" is for `subtract` only. `ge`: fires at v >= threshold.
    The caller guarantees that no sum before a saturation leaves int32.
    """

    alpha: Array
    beta: Array | None
    shift: int
    bias: Array
    leak: Array
    threshold: Array | None
    v_reset: Array
    subtract: bool
    ge: bool
    refractory: int
    current_max: int = INT32.current_max
    state_max: int = INT32.state_max
    resets: bool = True
    reset_time: ResetTime = "now"
    alpha_bits: int = 16
    beta_bits: int = 16


def integer_neurons(layer: Any, numerics: Numerics) -> IntegerNeurons:
    """Of a `QuantizedPopulation`, or of a program's layer with the same fields."""
    same = ("alpha", "beta", "shift", "bias", "leak", "threshold", "v_reset")
    return IntegerNeurons(
        **{name: getattr(layer, name) for name in (*same, "refractory", "reset_time")},
        subtract=layer.reset == "subtract",
        resets=layer.reset != "none",
        ge=layer.compare == "ge",
        current_max=numerics.current_max,
        state_max=numerics.state_max,
        alpha_bits=layer.alpha_bits or numerics.decay_bits,
        beta_bits=layer.beta_bits or numerics.decay_bits,
    )


@dataclass(frozen=True, eq=False)
class FloatNeurons:
    """float64 parameters [n]; equations and names in `snnstack.ir.step`."""

    alpha: Array
    beta: Array | None
    gain_in: Array
    gain: Array
    bias: Array
    leak: Array
    threshold: Array | None
    v_reset: Array
    subtract: bool
    ge: bool
    refractory: int
    resets: bool = True
    reset_time: ResetTime = "now"


@dataclass(frozen=True, eq=False)
class CubaNeurons:
    """Current-based neurons in int32 registers that wrap; parameters int [n].

        i <- wrap(toward_zero(beta i / 4096) + (input << shift))       `current_bits` wide
        v <- clip(toward_zero(alpha v / 4096) + i + bias, +-state_max), or v while refractory
        spike iff v > threshold, unless refractory;  then v = 0, or v - threshold

    `alpha`, `beta` 0..4096. `threshold` None: never fires. `refractory`: steps until v moves
    again, 1 is none. `reads`: what a probe of v shows on the step of a spike, one more in every
    refractory step after it (None: v). A sum of input may leave int32: only its low bits count.
    `v_init` None: v starts at 0. With a `reset_interval` above 0 all states become 0 before
    every step t with t % reset_interval == reset_offset % reset_interval.
    """

    alpha: Array
    beta: Array
    shift: int
    bias: Array
    threshold: Array | None
    subtract: bool
    refractory: int
    reads: int | None = None
    v_init: Array | None = None
    reset_interval: int = 0
    reset_offset: int = 0
    current_bits: int = 24
    state_max: int = 2**23 - 1


@dataclass(frozen=True, eq=False)
class DeltaNeurons:
    """Neurons that send the change of a sum as a signed value; parameters int [n], int64 states.

        sigma += input << shift;  act = max(sigma + bias, 0), or without max unless `rectify`
        delta = act - previous act + residue;  sent = delta if |delta| >= threshold else 0
        residue = delta - sent;  an event carries sent >> payload_shift, unless that is 0

    act or a sent value that leaves int32 is an error of the run.
    """

    shift: int
    payload_shift: int
    bias: Array
    threshold: Array
    rectify: bool


@dataclass(frozen=True, eq=False)
class Float32Neurons:
    """float32 parameters [n]; every product and sum rounds to float32, in the order written.

        ie <- ie exc_decay + up;  ii <- ii inh_decay + down;  v <- alpha v + ie + ii + bias
        v <- alpha v + (up + down) + bias                          where `exc_decay` is None
        spike iff v >= threshold;  then v = v_reset, or v - threshold

    `up`, `down`: sums of the positive and of the negative weights that arrive. `sum_bits` 16 or
    31: the weights of all edges are `packed` with as many bits; 0: they are as they are, which
    gives only their sum. `threshold` None: does not fire. `v_init` None: v starts at 0.
    """

    alpha: Array
    exc_decay: Array | None
    inh_decay: Array | None
    bias: Array
    threshold: Array | None
    v_reset: Array
    subtract: bool
    sum_bits: int
    v_init: Array | None = None


def packed(weight: Array, bits: int) -> Array:
    """Integer weights so that one sum holds two: positive in the low bits, negative above.

    >>> packed(np.array([3, -2]), 16).tolist() == [3, 2 << 16]
    True
    """
    wide = np.asarray(weight, dtype=np.int64)
    return np.asarray(np.maximum(wide, 0) + (np.maximum(-wide, 0) << bits))


Neurons = IntegerNeurons | FloatNeurons | CubaNeurons | DeltaNeurons | Float32Neurons


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """`n` neurons of one kind. An edge with delay 0 reads an input or an earlier layer.

    `part` int [n]: which part of the layer a neuron belongs to, 0 upwards, for counts; None:
    all to part 0. Only layers of Cuba and delta neurons count by part.
    """

    name: str
    n: int
    edges: tuple[Edge, ...]
    neurons: Neurons
    part: Array | None = None

    @property
    def parts(self) -> int:
        """Number of parts."""
        return 1 if self.part is None else int(self.part.max(initial=0)) + 1


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """`inputs`: number of elements of each input.

    All layers are integer, all float, all float32, or all of Cuba and delta neurons. `graded`:
    numbers of the inputs that carry values (`GradedEvents`); they may feed only Cuba and delta
    neurons.
    """

    inputs: tuple[int, ...]
    layers: tuple[LayerPlan, ...]
    graded: frozenset[int] = frozenset()

    @property
    def integer(self) -> bool:
        """True where the layers compute in integers."""
        kinds = (FloatNeurons, Float32Neurons)
        return not any(isinstance(layer.neurons, kinds) for layer in self.layers)

    @property
    def single(self) -> bool:
        """True where the layers compute in float32 over sums of integers."""
        return any(isinstance(layer.neurons, Float32Neurons) for layer in self.layers)

    @property
    def wraps(self) -> bool:
        """True where the layers are of Cuba and delta neurons."""
        kinds = (CubaNeurons, DeltaNeurons)
        return any(isinstance(layer.neurons, kinds) for layer in self.layers)

    def carries_values(self, source: int) -> bool:
        """Do the events of this source carry values?"""
        if source < len(self.inputs):
            return source in self.graded
        return isinstance(self.layers[source - len(self.inputs)].neurons, DeltaNeurons)

    def source_sizes(self) -> tuple[int, ...]:
        """Number of neurons of every source: inputs first, then layers."""
        return self.inputs + tuple(layer.n for layer in self.layers)


def table_shape(table: Table) -> tuple[int, int]:
    """(sources, targets) a table joins; targets of a sparse table: the least that would do."""
    match table:
        case DenseRows():
            return int(table.weight.shape[0]), int(table.weight.shape[1])
        case SparseRows():
            return len(table.indptr) - 1, int(table.target.max(initial=-1)) + 1
        case ConvTaps():
            return int(np.prod(table.in_shape)), int(np.prod(table.out_shape))
