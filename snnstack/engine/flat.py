"""A `NetworkPlan` as a handful of flat arrays, which is all that compiled code reads.

Offsets into the arrays stand in two tables of int64, one row per layer and one per edge; the
columns are named by the constants below.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.engine.plan import (
    ConvTaps,
    CubaNeurons,
    DeltaNeurons,
    DenseRows,
    Edge,
    Float32Neurons,
    FloatNeurons,
    IntegerNeurons,
    LayerPlan,
    NetworkPlan,
    SparseRows,
)
from snnstack.engine.taps import pixel_taps

# Columns of `layers`. FAST: no current state, not refractory, one alpha, threshold and reset.
# NARROW: all input is one table of dense rows, for events without values. SHOWN: what a probe
# of v shows on a spike, or -1. LATE: the time of a reset, see `snnstack.ir.nodes.ResetTime`.
# CLEARED: of how many steps one begins with all states at 0, or 0; PHASE: which of them.
# FINE_ALPHA, FINE_BETA: the decay has 32 bits and is kept as what is missing to 1.
N, OFFSET, FIRST_EDGE, LAST_EDGE, SOURCE, SHIFT, REFRACTORY = range(7)
SUBTRACT, HAS_CURRENT, FAST, NARROW, CURRENT_MAX, STATE_MAX = range(7, 13)
MODEL, CURRENT_BITS, SHOWN, PAYLOAD_SHIFT, RECTIFY, LATE = range(13, 19)
CLEARED, PHASE, FINE_ALPHA, FINE_BETA = range(19, 23)
LAYER_COLUMNS = 23
FINE_BITS = 32
PLAIN, CUBA, DELTA = range(3)
NOW, NEXT, NEXT_ALL, RECHECK = range(4)
# Columns of `edges`. INDPTR: first row pointer of a sparse table, first row of `pixels` of a
# convolution. MAP: first row pointer of the event map, or -1. GRADED: events carry values.
# ROWS: how many rows of a dense table `narrow` can hold the sum of.
READS, DELAY, KIND, WEIGHT, INDPTR, MAP = range(6)
CHANNELS_IN, PER_GROUP_IN, PER_GROUP_OUT, CHANNELS_OUT = range(6, 10)
TAPS_Y, TAPS_X, ROW_STEP, PIXEL_STEP, GRADED, ROWS = range(10, 16)
EDGE_COLUMNS = 16
DENSE, SPARSE, CONV = range(3)
# Rows of `parameters`. DRIVE: bias + leak. ABOVE: v > it means a spike. AFTER: what v becomes,
# or what is added to it.
ALPHA, BETA, BIAS, LEAK, DRIVE, GAIN_IN, GAIN, ABOVE, AFTER = range(9)

TIMES = {"now": NOW, "next": NEXT, "next_all": NEXT_ALL, "recheck": RECHECK}

BLOCK = 256
"""Most rows added before a narrow accumulator is emptied: 256 * -128 still fits int16."""
FEWEST_ROWS = 16
"""With fewer rows between two emptyings a narrow accumulator does not pay."""


class Flat(NamedTuple):
    """The whole network. `pointers` are absolute offsets into `targets`.

    `pixels` int32 [.., 4]: per input pixel of a convolution the first output pixel, the first
    tap, and the number of taps in y and x. `parameters` [.., neuron], rows as named above.
    `parts`: for each neuron the number of its part, counted over the layers that have parts.
    """

    layers: NDArray[np.int64]
    edges: NDArray[np.int64]
    weights: NDArray[Any]
    pointers: NDArray[np.int64]
    targets: NDArray[np.int32]
    pixels: NDArray[np.int32]
    parameters: NDArray[Any]
    parts: NDArray[np.int32]


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


def flatten(plan: NetworkPlan) -> Flat:
    """All of `plan` as arrays; rows of `layers` in the order of `plan.layers`."""
    number = state_type(plan)
    weights, pointers, targets = _Pile(_weight_type(plan)), _Pile(np.int64), _Pile(np.int32)
    pixels, offset = _Pile(np.int32, 4), 0
    narrow = narrow_type(plan) == np.int16
    edges: list[list[int]] = []
    layers: list[list[int]] = []
    parameters = [np.zeros((9, 0), dtype=number)]
    for k, layer in enumerate(plan.layers):
        first = len(edges)
        for edge in layer.edges:
            row = _edge(edge, weights, pointers, targets, pixels)
            most = _rows(edge) if narrow else BLOCK
            edges.append([*row, int(plan.carries_values(edge.source)), most])
        where = [layer.n, offset, first, len(edges), len(plan.inputs) + k]
        columns = _settings(layer, plan) + _clearing(layer) + list(map(int, _fine(layer)))
        layers.append(where + columns)
        parameters.append(_parameters(layer).astype(number))
        offset += layer.n
    return Flat(
        np.array(layers, dtype=np.int64).reshape(-1, LAYER_COLUMNS),
        np.array(edges, dtype=np.int64).reshape(-1, EDGE_COLUMNS),
        weights.joined(),
        pointers.joined(),
        targets.joined(),
        pixels.joined(),
        np.concatenate(parameters, axis=1),
        _parts(plan),
    )


def state_type(plan: NetworkPlan) -> Any:
    """In what states and parameters are kept."""
    if plan.single:
        return np.float32
    return np.int32 if plan.integer else np.float64


def sum_type(plan: NetworkPlan) -> Any:
    """In what the synaptic input of a step is summed."""
    if plan.single:
        return np.int64 if _weight_type(plan).itemsize > 4 else np.int32
    return state_type(plan)


def _weight_type(plan: NetworkPlan) -> Any:
    types = [edge.table.weight.dtype for layer in plan.layers for edge in layer.edges]
    if not plan.integer and not plan.single:
        return np.dtype(np.float64)
    return np.result_type(np.int8, *types)


def narrow_type(plan: NetworkPlan) -> Any:
    """In what the sum of a few dense rows is taken: int16 where that is safe for enough rows."""
    if sum_type(plan) in (np.float64, np.int64):
        return sum_type(plan)
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
    for layer in plan.layers if plan.wraps else ():
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


def _settings(layer: LayerPlan, plan: NetworkPlan) -> list[int]:
    """The columns of a row of `layers` from SHIFT on."""
    neurons = layer.neurons
    if isinstance(neurons, DeltaNeurons):
        kind = [DELTA, 0, -1, neurons.payload_shift, int(neurons.rectify), NOW]
        return [neurons.shift, *[0] * 7, *kind]
    if isinstance(neurons, Float32Neurons):
        common = [0, int(neurons.subtract), int(neurons.exc_decay is not None)]
        return [neurons.sum_bits, *common, *[0] * 4, *[PLAIN, 0, -1, 0, 0], NOW]
    narrow = len(layer.edges) == 1 and _is_plain_dense(layer.edges[0], plan)
    pause = 0 if neurons.threshold is None else neurons.refractory
    if isinstance(neurons, CubaNeurons):
        shown = -1 if neurons.threshold is None or neurons.reads is None else neurons.reads
        common = [max(pause, 1), int(neurons.subtract), 1, 0, int(narrow), 0, neurons.state_max]
        return [neurons.shift, *common, CUBA, neurons.current_bits, shown, 0, 0, NOW]
    moves = int(neurons.subtract or not neurons.resets)
    late = TIMES[neurons.reset_time] if neurons.threshold is not None else NOW
    common = [pause, moves, int(neurons.beta is not None)]
    if isinstance(neurons, FloatNeurons):
        return [0, *common, *[0] * 4, *[PLAIN, 0, -1, 0, 0, late]]
    uniform = all(
        values is None or np.all(values == values[:1])
        for values in (neurons.alpha, neurons.threshold, neurons.v_reset)
    )
    fast = uniform and neurons.beta is None and pause == 0 and layer.n > 0 and late == NOW
    fast = fast and not any(_fine(layer))
    limits = [neurons.current_max, neurons.state_max]
    return [
        neurons.shift,
        *common,
        int(fast),
        int(fast and narrow),
        *limits,
        PLAIN,
        0,
        -1,
        0,
        0,
        late,
    ]


def _clearing(layer: LayerPlan) -> list[int]:
    """The columns CLEARED and PHASE."""
    neurons = layer.neurons
    if not isinstance(neurons, CubaNeurons) or neurons.reset_interval < 1:
        return [0, 0]
    return [neurons.reset_interval, neurons.reset_offset % neurons.reset_interval]


def _fine(layer: LayerPlan) -> tuple[bool, bool]:
    """Whether alpha and beta have 32 bits."""
    neurons = layer.neurons
    if not isinstance(neurons, IntegerNeurons):
        return False, False
    return neurons.alpha_bits == FINE_BITS, neurons.beta_bits == FINE_BITS


def _is_plain_dense(edge: Edge, plan: NetworkPlan) -> bool:
    values = plan.carries_values(edge.source)
    return isinstance(edge.table, DenseRows) and edge.remap is None and not values


def _parameters(layer: LayerPlan) -> NDArray[Any]:
    """[9, n]; "does not fire" is a threshold that no v can pass; `LEAK` of Cuba is v_init."""
    neurons = layer.neurons
    if isinstance(neurons, Float32Neurons):
        return _single_parameters(neurons, layer.n)
    kind: Any = np.float64 if isinstance(neurons, FloatNeurons) else np.int64
    rows = np.zeros((9, layer.n), dtype=kind)
    rows[BIAS] = neurons.bias
    if isinstance(neurons, DeltaNeurons):
        rows[ABOVE] = neurons.threshold
        return rows
    fine = [(1 << FINE_BITS) * wide for wide in _fine(layer)]
    rows[ALPHA] = neurons.alpha - fine[0]
    rows[BETA] = 0 if neurons.beta is None else neurons.beta - fine[1]
    ge = False
    if isinstance(neurons, CubaNeurons):
        rows[LEAK] = 0 if neurons.v_init is None else neurons.v_init
    else:
        rows[LEAK], rows[AFTER], ge = neurons.leak, neurons.v_reset, neurons.ge
        rows[DRIVE] = rows[BIAS] + rows[LEAK]
    if isinstance(neurons, FloatNeurons):
        rows[GAIN_IN], rows[GAIN] = neurons.gain_in, neurons.gain
    if neurons.threshold is None:
        rows[ABOVE] = np.iinfo(np.int32).max if kind is np.int64 else np.inf
        return rows
    rows[ABOVE] = neurons.threshold
    if neurons.subtract:
        rows[AFTER] = -rows[ABOVE]
    elif not getattr(neurons, "resets", True):
        rows[AFTER] = 0
    if ge:
        rows[ABOVE] = rows[ABOVE] - 1 if kind is np.int64 else np.nextafter(rows[ABOVE], -np.inf)
    return rows


def _single_parameters(neurons: Float32Neurons, n: int) -> NDArray[np.float32]:
    """[9, n]: `BETA` and `GAIN_IN` are the two decays, `LEAK` is what v starts with."""
    rows = np.zeros((9, n), dtype=np.float32)
    rows[ALPHA], rows[BIAS], rows[AFTER] = neurons.alpha, neurons.bias, neurons.v_reset
    rows[ABOVE] = np.inf if neurons.threshold is None else neurons.threshold
    if neurons.exc_decay is not None and neurons.inh_decay is not None:
        rows[BETA], rows[GAIN_IN] = neurons.exc_decay, neurons.inh_decay
    if neurons.v_init is not None:
        rows[LEAK] = neurons.v_init
    return rows
