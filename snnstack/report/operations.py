"""What a network computes per inference, under NeuroBench's names, counted from its spikes.

Definitions follow NeuroBench 2.3: an effective operation is a synapse whose weight is not zero
and whose input is not zero; it is an accumulate (AC) where all inputs of that connection in
that step are 0, 1 or -1, else a multiply-accumulate (MAC); dense counts every synapse in every
step. Biases do not count. Synapses outside the border of a convolution do not exist.

They are properties of a network, not of a board: where the float network is known it is counted
on that and on its own spikes, once for all boards (`Wiring.of_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.ir.matrix import pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import (
    Conv,
    Dense,
    Population,
    Projection,
    Sparse,
    StepGraph,
    Synapses,
    source_size,
)
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.trace import Spikes, Trace

PARAMETER_BYTES = 4
"""Of a decay, threshold, bias, leak or reset value of one neuron; of a weight in floats."""
FLOAT, INTEGERS = "the float network", "the program's integers"
"""What is counted: weights and spikes of which."""
SENT = "s"
"""The state of a population that sends values instead of spikes."""


@dataclass(frozen=True)
class Operations:
    """Means per inference. Sparsities are shares of zeros, 0 to 1.

    `footprint_bytes`: 4 bytes for every weight and every other parameter of a neuron, of a
    program its weights at the target's bits; what a board really stores is its `memory`.
    `activation_sparsity` is over all neurons that fire, steps and samples; None where no neuron
    fires. `counted_on`: `FLOAT`, the same for every board, or `INTEGERS` where that is unknown.
    """

    footprint_bytes: int
    connection_sparsity: float
    activation_sparsity: float | None
    effective_macs: float
    effective_acs: float
    dense: float
    membrane_updates: float
    counted_on: str = INTEGERS

    def to_dict(self) -> dict[str, Any]:
        """For JSON, synaptic operations grouped as NeuroBench groups them."""
        plain = asdict(self)
        ops = {k: plain.pop(k) for k in ("effective_macs", "effective_acs", "dense")}
        return {**plain, "synaptic_operations": ops}


@dataclass(frozen=True)
class Wiring:
    """What is counted of a network: {population: neurons}, synapses, bytes of parameters.

    `delay` of a projection is on the input's clock: 0 acts in the step of the event.
    """

    sizes: Mapping[str, int]
    projections: Sequence[Projection]
    footprint_bytes: int
    of_what: str = INTEGERS

    @classmethod
    def of_steps(cls, steps: StepGraph) -> Wiring:
        """Of a float network."""
        sizes = {p.name: p.n for p in steps.populations}
        weights = PARAMETER_BYTES * sum(p.synapses.weight.size for p in steps.projections)
        rest = sum(parameter_bytes(*_parameters(p)) for p in steps.populations)
        return cls(sizes, steps.projections, weights + rest, FLOAT)

    @classmethod
    def of(cls, network: QuantizedNetwork) -> Wiring:
        """Of a quantised network."""
        sizes = {p.name: p.n for p in network.populations}
        return cls(sizes, network.projections, footprint_bytes(network))


class OperationCounter:
    """Adds up operations over batches: `add` for each, then `total`."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._fans = [_Fan.of(p, wiring.sizes[p.target]) for p in wiring.projections]
        self._samples = self._slots = self._active = 0
        self._acs = self._macs = self._dense = self._updates = 0

    def add(self, trace: Trace, given: Mapping[str, Spikes]) -> None:
        """One batch: `trace` on the input's clock, `given` the input spikes by name.

        A population that sends values has them in the trace as its state `SENT`.
        """
        spikes = {**given, **trace.spikes, **_sent(trace)}
        batch = next(iter(given.values()))
        self._samples += batch.batch
        for fan in self._fans:
            acs, macs = fan.effective(spikes[fan.projection.source])
            self._acs += acs
            self._macs += macs
            self._dense += fan.dense * batch.steps * batch.batch
        for name, n in self._wiring.sizes.items():
            slots = n * batch.steps * batch.batch
            self._updates += slots
            if name in spikes:
                self._slots += slots
                self._active += len(spikes[name].indices)

    def total(self) -> Operations:
        """Means over all samples added."""
        found = list(map(_zeros, self._fans))
        zeros, weights = (sum(pair[k] for pair in found) for k in (0, 1))
        n = max(self._samples, 1)
        return Operations(
            footprint_bytes=self._wiring.footprint_bytes,
            connection_sparsity=zeros / weights if weights else 0.0,
            activation_sparsity=1 - self._active / self._slots if self._slots else None,
            effective_macs=self._macs / n,
            effective_acs=self._acs / n,
            dense=self._dense / n,
            membrane_updates=self._updates / n,
            counted_on=self._wiring.of_what,
        )


def _sent(trace: Trace) -> dict[str, Spikes]:
    """Events of populations that send values: 1 where the value is 1 or -1, else 2."""
    return {
        name: Spikes.from_dense(np.minimum(np.abs(values), 2).astype(np.uint8))
        for (name, variable), values in trace.states.items()
        if variable == SENT and name not in trace.spikes
    }


@dataclass(frozen=True, eq=False)
class _Fan:
    """A projection to `targets` neurons: per source element its synapses that are not zero."""

    projection: Projection
    targets: int
    synapses: NDArray[np.int64]
    dense: int
    pool: Any
    """Sparse [source, pooled]: 1 where a source element lies in a window."""

    @classmethod
    def of(cls, projection: Projection, targets: int) -> _Fan:
        pool = None if projection.pool is None else pool_matrix(projection.pool).T.astype(np.int64)
        every = int(fan_out(projection.synapses, targets, every=True).sum())
        some = fan_out(projection.synapses, targets, every=False)
        return cls(projection, targets, some, every, pool)

    def effective(self, spikes: Spikes) -> tuple[int, int]:
        """(ACs, MACs) of a batch. The last `delay` steps reach nobody.

        Steps in which a number other than 1 and -1 arrives are of MACs.
        """
        from scipy.sparse import csr_array

        values = spikes.event_counts() if spikes.values is None else spikes.values
        values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        rows = spikes.batch * spikes.steps
        content = (values, spikes.indices, spikes.indptr)
        events = csr_array(content, shape=(rows, spikes.n))
        if self.pool is not None:
            events = (events @ self.pool).tocsr()
        count = np.diff(events.indptr)
        per_row = np.zeros(rows, dtype=np.int64)
        np.add.at(per_row, np.repeat(np.arange(rows), count), self.synapses[events.indices])
        graded = np.zeros(rows, dtype=bool)
        graded[np.repeat(np.arange(rows), count)[~np.isin(events.data, (-1, 0, 1))]] = True
        step = np.arange(rows) % max(spikes.steps, 1)
        per_row[step >= spikes.steps - self.projection.delay] = 0
        return int(per_row[~graded].sum()), int(per_row[graded].sum())


def fan_out(synapses: Synapses, targets: int, *, every: bool) -> NDArray[np.int64]:
    """[source]: synapses of each source element, those with weight 0 only if `every`."""
    match synapses:
        case Dense(weight):
            exists = np.ones_like(weight, dtype=bool) if every else weight != 0
            return np.asarray(exists.sum(axis=0, dtype=np.int64))
        case Sparse(indptr, _, weight):
            if every:
                return np.full(len(indptr) - 1, targets, dtype=np.int64)
            ends = np.concatenate([[0], np.cumsum(weight != 0)])
            return np.asarray(np.diff(ends[indptr]), dtype=np.int64)
        case Conv():
            return _conv_fan(synapses, every)


def _conv_fan(conv: Conv, every: bool) -> NDArray[np.int64]:
    """Through a tap (k_y, k_x) a pixel reaches one output per channel, or none at the border."""
    weight = np.ones_like(conv.weight) if every else conv.weight
    out, per_group = weight.shape[0], weight.shape[1]
    groups = (weight != 0).reshape(conv.groups, out // conv.groups, per_group, *weight.shape[2:])
    taps = groups.sum(axis=1, dtype=np.int64).reshape(conv.in_shape[0], *weight.shape[2:])
    down, across = (_reach(conv, axis) for axis in (0, 1))
    return np.asarray(np.einsum("ky,ckl,lx->cyx", down, taps, across).ravel(), dtype=np.int64)


def _reach(conv: Conv, axis: int) -> NDArray[np.int64]:
    """[tap, position]: 1 where a pixel at `position` meets an output through `tap`."""
    taps = np.arange(conv.weight.shape[2 + axis])[:, None] * conv.dilation[axis]
    place = np.arange(conv.in_shape[1 + axis]) + conv.padding[axis] - taps
    stride = conv.stride[axis]
    inside = (place % stride == 0) & (place >= 0) & (place < conv.out_shape[1 + axis] * stride)
    return np.asarray(inside, dtype=np.int64)


def _zeros(fan: _Fan) -> tuple[int, int]:
    """(zero weights, weights). Of a list of synapses the pairs it leaves out are zeros."""
    synapses = fan.projection.synapses
    present = int(np.count_nonzero(synapses.weight))
    if isinstance(synapses, Sparse):
        pairs = source_size(fan.projection) * fan.targets
        return pairs - present, pairs
    return synapses.weight.size - present, int(synapses.weight.size)


def footprint_bytes(network: QuantizedNetwork) -> int:
    """Bytes of all parameters: see `Operations`."""
    weights = sum(p.synapses.weight.size for p in network.projections)
    packed = -(-weights * network.numerics.weight_bits // 8)
    return packed + sum(parameter_bytes(*_parameters(p)) for p in network.populations)


def _parameters(p: Population | QuantizedPopulation) -> tuple[Array | None, ...]:
    if not p.is_lif:
        return tuple(np.asarray(value) for value in p.values.values())
    return (p.alpha, p.beta, p.threshold, *(a for a in (p.bias, p.leak, p.v_reset) if np.any(a)))


def parameter_bytes(*arrays: Array | None) -> int:
    """Of the numbers that neurons need besides weights."""
    return sum(PARAMETER_BYTES * int(a.size) for a in arrays if a is not None)
