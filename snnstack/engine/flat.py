"""A `NetworkPlan` as a handful of flat arrays, which is all that compiled code reads.

Offsets into the arrays stand in two tables of int64, one row per layer and one per edge; the
columns are named by the constants below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.plan import ConvTaps, DenseRows, Edge, LayerPlan, NetworkPlan, SparseRows
from snnstack.engine.taps import pixel_taps

# Columns of `layers`. OFFSET: first neuron, counted over all layers. CODE: address of the update;
# CODE_NARROW: of the one for narrow sums, or 0. NARROW: all input is one table of dense rows, for
# events without values. DEEP: sums are int64 where those of others are int32. PARAMETERS, STATES:
# where the layer's blocks begin, in bytes; SIZE: bytes of all its states. VALUES: events carry
# values. ACTIVE: the model says when a neuron is active. SUMS: how many sums a neuron has.
N, OFFSET, FIRST_EDGE, LAST_EDGE, SOURCE, CODE, CODE_NARROW = range(7)
NARROW, DEEP, PARAMETERS, STATES, SIZE, VALUES, ACTIVE, SUMS = range(7, 15)
LAYER_COLUMNS = 15
# Columns of `edges`. INDPTR: first row pointer of a sparse table, first row of `pixels` of a
# convolution. MAP: first row pointer of the event map, or -1. GRADED: events carry values.
# ROWS: how many rows of a dense table `narrow` can hold the sum of. PORT: into which sum.
READS, DELAY, KIND, WEIGHT, INDPTR, MAP = range(6)
CHANNELS_IN, PER_GROUP_IN, PER_GROUP_OUT, CHANNELS_OUT = range(6, 10)
TAPS_Y, TAPS_X, ROW_STEP, PIXEL_STEP, GRADED, ROWS, PORT = range(10, 17)
EDGE_COLUMNS = 17
DENSE, SPARSE, CONV = range(3)
BLOCK = 256
"""Most rows added before a narrow accumulator is emptied: 256 * -128 still fits int16."""
FEWEST_ROWS = 16
"""With fewer rows between two emptyings a narrow accumulator does not pay."""


class Flat(NamedTuple):
    """The whole network. `pointers` are absolute offsets into `targets`.

    `pixels` int32 [.., 4]: per input pixel of a convolution the first output pixel, the first
    tap, and the number of taps in y and x. `parameters`, `initial`: bytes, a block a layer, as
    `snnstack.dynamics.print_llvm` lays them out. `parts`: for each neuron the number of its part,
    counted over the layers that have parts.
    """

    layers: NDArray[np.int64]
    edges: NDArray[np.int64]
    weights: NDArray[Any]
    pointers: NDArray[np.int64]
    targets: NDArray[np.int32]
    pixels: NDArray[np.int32]
    parameters: NDArray[np.uint8]
    initial: NDArray[np.uint8]
    parts: NDArray[np.int32]


class Update(NamedTuple):
    """What a layer computes in a step: addresses of machine code, and its blocks of memory.

    `code_narrow` 0: sums are never narrow. `initial` [row, n], the rows named by `rows`.
    """

    code: int
    code_narrow: int
    parameters: NDArray[Any]
    initial: NDArray[Any]
    rows: tuple[str, ...]
    counts_active: bool


class _Pile:
    """Arrays laid end to end; `add` answers where one begins."""

    def __init__(self, dtype: Any, width: int = 0) -> None:
        self._parts = [np.zeros((0, width) if width else 0, dtype=dtype)]
        self.size = 0

    def add(self, values: Any) -> int:
        part = np.asarray(values).astype(self._parts[0].dtype, copy=False)
        start = self.size
        self._parts.append(part)
        self.size += len(part)
        return start

    def joined(self) -> NDArray[Any]:
        return np.concatenate(self._parts)


def flatten(plan: NetworkPlan, updates: Sequence[Update]) -> Flat:
    """All of `plan` as arrays; rows of `layers` in the order of `plan.layers`."""
    weights, pointers, targets = _Pile(_weight_type(plan)), _Pile(np.int64), _Pile(np.int32)
    pixels, parameters, states, offset = _Pile(np.int32, 4), _Pile(np.uint8), _Pile(np.uint8), 0
    narrow = narrow_type(plan) == np.int16
    edges: list[list[int]] = []
    layers: list[list[int]] = []
    for k, (layer, update) in enumerate(zip(plan.layers, updates, strict=True)):
        first = len(edges)
        for edge in layer.edges:
            row = _edge(edge, weights, pointers, targets, pixels)
            most = _rows(edge) if narrow else BLOCK
            edges.append([*row, int(plan.carries_values(edge.source)), most, edge.port])
        where = [layer.n, offset, first, len(edges), len(plan.inputs) + k]
        where += [update.code, update.code_narrow, int(update.code_narrow != 0)]
        where += [int(sum_type(plan, layer) != widest_sum(plan))]
        where += [parameters.add(_aligned(update.parameters))]
        where += [states.add(_aligned(update.initial)), update.initial.nbytes]
        layers.append([*where, int(layer.sends_values), int(update.counts_active), layer.sums])
        offset += layer.n
    return Flat(
        np.array(layers, dtype=np.int64).reshape(-1, LAYER_COLUMNS),
        np.array(edges, dtype=np.int64).reshape(-1, EDGE_COLUMNS),
        weights.joined(),
        pointers.joined(),
        targets.joined(),
        pixels.joined(),
        parameters.joined(),
        states.joined(),
        _parts(plan),
    )


def _aligned(block: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of a block, and as many more as make the next one begin at a multiple of 64."""
    data = np.ascontiguousarray(block).reshape(-1).view(np.uint8)
    return np.concatenate([data, np.zeros(-len(data) % 64, dtype=np.uint8)])


def sum_type(plan: NetworkPlan, layer: LayerPlan) -> Any:
    """In what the synaptic input of a layer is summed in a step."""
    number = np.dtype(layer.neurons.number)
    if layer.sum_bits or number == np.float32:
        return np.dtype(np.int64 if _weight_type(plan).itemsize > 4 else np.int32)
    return number


def widest_sum(plan: NetworkPlan) -> Any:
    """In what most layers sum: that of all, or int32 where some need int64."""
    kinds = {sum_type(plan, layer) for layer in plan.layers}
    return np.dtype(np.int32) if len(kinds) != 1 else kinds.pop()


def _weight_type(plan: NetworkPlan) -> Any:
    types = [edge.table.weight.dtype for layer in plan.layers for edge in layer.edges]
    if plan.real:
        return np.dtype(np.float64)
    return np.result_type(np.int8, *types)


def narrow_type(plan: NetworkPlan) -> Any:
    """In what the sum of a few dense rows is taken: int16 where that is safe for enough rows."""
    if widest_sum(plan) in (np.float64, np.int64):
        return widest_sum(plan)
    dense = [
        edge
        for layer in plan.layers
        for edge in layer.edges
        if isinstance(edge.table, DenseRows) and not plan.carries_values(edge.source)
    ]
    small = _weight_type(plan).itemsize <= 2
    return np.int16 if small and all(_rows(e) >= FEWEST_ROWS for e in dense) else np.int32


def _rows(edge: Edge) -> int:
    """How many rows of a dense table always sum to an int16."""
    weight = edge.table.weight
    if weight.dtype == np.int8 or not isinstance(edge.table, DenseRows) or not weight.size:
        return BLOCK
    highest, lowest = max(int(weight.max()), 1), min(int(weight.min()), -1)
    return min(BLOCK, (2**15 - 1) // highest, 2**15 // -lowest)


def _parts(plan: NetworkPlan) -> NDArray[np.int32]:
    found, first = [np.zeros(0, dtype=np.int32)], 0
    for layer in plan.layers:
        part = np.zeros(layer.n, dtype=np.int32) if layer.part is None else layer.part
        found.append((part + first).astype(np.int32))
        first += layer.parts
    return np.concatenate(found)


def _edge(edge: Edge, weights: _Pile, pointers: _Pile, targets: _Pile, pixels: _Pile) -> list[int]:
    table, remap = edge.table, -1
    if edge.remap is not None:
        base = targets.add(edge.remap.target)
        remap = pointers.add(edge.remap.indptr + base)
    match table:
        case DenseRows():
            where = weights.add(table.weight.ravel())
            return [edge.source, edge.delay, DENSE, where, 0, remap] + [0] * 8
        case SparseRows():
            where, base = weights.add(table.weight), targets.add(table.target)
            rows = pointers.add(table.indptr + base)
            # weight k of the table belongs to target base + k
            return [edge.source, edge.delay, SPARSE, where - base, rows, remap] + [0] * 8
        case ConvTaps():
            return _conv_edge(edge, table, remap, weights, pixels)


def _conv_edge(edge: Edge, table: ConvTaps, remap: int, weights: _Pile, pixels: _Pile) -> list[int]:
    taps = pixel_taps(table)
    where = weights.add(taps.weight.ravel())
    row = [edge.source, edge.delay, CONV, where, pixels.add(taps.pixels), remap]
    channels_in, taps_y, taps_x, per_group_out = taps.weight.shape
    row += [channels_in, channels_in // table.groups, per_group_out, table.out_shape[0]]
    return [*row, taps_y, taps_x, taps.step[0] * table.out_shape[2], taps.step[1]]
