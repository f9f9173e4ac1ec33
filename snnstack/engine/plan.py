"""What the engine runs: layers in update order, each with the event sources that enter it.

Nothing here knows a target. Sources are numbered: first the inputs, then the layers; neurons of
a source are numbered in whatever memory order the caller chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.model import Neurons

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

    `port`: number of the input of the target's model in which they end. With a `remap` (a pool,
    a permutation) the table's source axis is what the map leads to.
    """

    source: int
    delay: int
    table: Table
    remap: EventMap | None = None
    port: int = 0


def packed(weight: Array, bits: int) -> Array:
    """Integer weights so that one sum holds two: positive in the low bits, negative above.

    >>> packed(np.array([3, -2]), 16).tolist() == [3, 2 << 16]
    True
    """
    wide = np.asarray(weight, dtype=np.int64)
    return np.asarray(np.maximum(wide, 0) + (np.maximum(-wide, 0) << bits))


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """`n` neurons of one model. An edge with delay 0 reads an input or an earlier layer.

    `part` int [n]: which part of the layer a neuron belongs to, 0 upwards, for counts; None:
    all to part 0. Only models that say when a neuron is active count by part. `sum_bits` 16 or
    31: the weights of all edges are `packed` with as many bits, and the model's two inputs are
    the sums of the positive and of the negative ones; 0: every input has a sum of its own.
    """

    name: str
    n: int
    edges: tuple[Edge, ...]
    neurons: Neurons
    part: Array | None = None
    sum_bits: int = 0

    @property
    def parts(self) -> int:
        """Number of parts."""
        return 1 if self.part is None else int(self.part.max(initial=0)) + 1

    @property
    def sums(self) -> int:
        """How many sums a neuron has."""
        return 1 if self.sum_bits else 1 + max((edge.port for edge in self.edges), default=0)

    @property
    def real(self) -> bool:
        """Are the weights of this layer float64? Packed ones are integers in any case."""
        return self.neurons.number == "float64" and not self.sum_bits

    @property
    def sends_values(self) -> bool:
        """Do events of this layer carry a value?"""
        return self.neurons.model.sends == "value"


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """`inputs`: number of elements of each input.

    The weights of all layers are float64, or those of none: the others take sums of integers.
    `graded`: numbers of the inputs whose events carry values; int32, or float64 where all is.
    """

    inputs: tuple[int, ...]
    layers: tuple[LayerPlan, ...]
    graded: frozenset[int] = frozenset()

    @property
    def real(self) -> bool:
        """True where weights and sums are float64."""
        return any(layer.real for layer in self.layers)

    def carries_values(self, source: int) -> bool:
        """Do the events of this source carry values?"""
        if source < len(self.inputs):
            return source in self.graded
        return self.layers[source - len(self.inputs)].sends_values

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
