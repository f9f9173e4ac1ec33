"""The two files of a QEMU run: input events written, spikes, states and counts read back.

The format is described at the top of `test/harness.c` (`templates/harness.c.j2`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.program import ConvTable, Layer, Order, Program, Route, SparseTable
from snnstack.errors import ToolError, fail
from snnstack.ir.inputs import split
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Pool, size
from snnstack.trace import Counts, Spikes, Trace

Probes = Sequence[tuple[str, str]]


def memory_order(shape: Shape, order: Order) -> NDArray[np.int64]:
    """For each place in memory, the neuron's number in C order.

    >>> memory_order((2, 1, 3), "hwc").tolist()
    [0, 3, 1, 4, 2, 5]
    """
    numbers = np.arange(size(shape), dtype=np.int64).reshape(shape)
    return (np.moveaxis(numbers, 0, -1) if order == "hwc" else numbers).ravel()


def places(shape: Shape, order: Order) -> NDArray[np.int64]:
    """For each neuron in C order, its place in memory: the inverse of `memory_order`."""
    return np.argsort(memory_order(shape, order))


def entries(program: Program) -> NDArray[np.int64]:
    """For each element of the input in C order, its number for the firmware."""
    found, first = [], 0
    for port in program.inputs:
        found.append(first + places(port.shape, port.order))
        first += port.n
    return np.concatenate(found)


def in_memory(program: Program, spikes: Spikes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Element numbers in memory order, ascending in each step, and how many per step."""
    rows = spikes.rows()
    elements = entries(program)[spikes.indices]
    if spikes.counts is not None:
        rows, elements = np.repeat(rows, spikes.counts), np.repeat(elements, spikes.counts)
    order = np.lexsort((elements, rows))
    return elements[order], np.bincount(rows, minlength=spikes.batch * spikes.steps)


def words_in_memory(
    program: Program, spikes: Spikes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `in_memory`; of an input with values, with 2**16 times what an element carries."""
    if spikes.values is None:
        return in_memory(program, spikes)
    rows, elements = spikes.rows(), entries(program)[spikes.indices]
    order = np.lexsort((elements, rows))
    carried = spikes.values[order].astype(np.int64) & 0xFFFF
    per_step = np.bincount(rows, minlength=spikes.batch * spikes.steps)
    return elements[order] | carried << 16, per_step


def input_bytes(program: Program) -> int:
    """Of one event of the input."""
    return 4 if program.input.values else plan(program).event_bits // 8


def largest_step(spikes: Spikes) -> int:
    """The largest number of events in one step, counts repeated."""
    per_event = np.ones(len(spikes.indices)) if spikes.counts is None else spikes.counts
    per_step = np.bincount(spikes.rows(), weights=per_event, minlength=1)
    return int(per_step.max(initial=0))


def encode(program: Program, spikes: Spikes, probes: Probes) -> bytes:
    """The content of events.bin."""
    masks = np.zeros(len(program.layers), dtype="<u4")
    for k, layer in enumerate(program.layers):
        masks[k] = probe_mask(layer, probes)
    elements, per_step = words_in_memory(program, spikes)
    width = input_bytes(program) // 2
    size_ = np.array([spikes.batch, spikes.steps], dtype="<u4")
    # As 16-bit words: two for the number of events, then one or two for each event.
    words = elements.astype("<u4" if width == 2 else "<u2").view("<u2")
    starts = np.cumsum(per_step * width) - per_step * width
    heads = per_step.astype("<u4").view("<u2")
    body = np.insert(words, np.repeat(starts, 2), heads)
    return size_.tobytes() + masks.tobytes() + body.tobytes()


def probe_mask(layer: Layer, probes: Probes) -> int:
    """Bit k: state k of the layer is recorded."""
    wanted = {variable for name, variable in probes if name == layer.name}
    return sum(1 << k for k, variable in enumerate(layer.variables) if variable in wanted)


def trace_bytes(program: Program, spikes: Spikes, probes: Probes) -> int:
    """The most that trace.bin of a run can hold: every neuron fires in every step."""
    event = plan(program).event_bits // 8
    probed = [sum(name == layer.name for name, _ in set(probes)) for layer in program.layers]
    step = sum(
        4 + layer.n * (event + 2 * bool(layer.payload) + 4 * states)
        for layer, states in zip(program.layers, probed, strict=True)
    )
    return spikes.batch * (spikes.steps * step + 8 * (1 + len(program.layers)))


@dataclass
class _Reader:
    """Walks through trace.bin."""

    data: NDArray[np.uint8]
    at: int = 0

    def take(self, count: int, dtype: str) -> Array:
        """The next `count` numbers."""
        end = self.at + count * np.dtype(dtype).itemsize
        if end > len(self.data):
            raise fail(ToolError, "trace.bin", f"ends after {len(self.data)} bytes")
        part = self.data[self.at : end].view(dtype)
        self.at = end
        return part


@dataclass
class _Record:
    """What is collected of one layer."""

    layer: Layer
    probes: tuple[str, ...]
    events: list[Array] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    states: dict[str, list[Array]] = field(default_factory=dict)
    instructions: list[int] = field(default_factory=list)


def decode(program: Program, spikes: Spikes, probes: Probes, data: NDArray[np.uint8]) -> Trace:
    """The trace in trace.bin of a run with these spikes and probes."""
    records = [
        _Record(layer, tuple(v for v in layer.variables if (layer.name, v) in set(probes)))
        for layer in program.layers
    ]
    reader = _Reader(data)
    entry: list[int] = []
    event = f"<u{plan(program).event_bits // 8}"
    for _ in range(spikes.batch):
        for _ in range(spikes.steps):
            for record in records:
                _read_step(reader, record, event)
        counted = reader.take(1 + len(records), "<i8")
        entry.append(int(counted[0]))
        for record, instructions in zip(records, counted[1:], strict=True):
            record.instructions.append(int(instructions))
    return _trace(program, spikes, records, entry)


def _read_step(reader: _Reader, record: _Record, event: str) -> None:
    count = int(reader.take(1, "<u4")[0])
    record.events.append(reader.take(count, event))
    if record.layer.payload:
        record.values.append(reader.take(count, "<i2"))
    for variable in record.probes:
        record.states.setdefault(variable, []).append(reader.take(record.layer.n, "<i4"))


def _trace(
    program: Program, spikes: Spikes, records: Sequence[_Record], entry: Sequence[int]
) -> Trace:
    batch, steps = spikes.batch, spikes.steps
    fired = {r.layer.name: _spikes(r, batch, steps) for r in records if r.layer.fires}
    states = {
        (r.layer.name, variable): _states(r, variable, batch, steps)
        for r in records
        for variable in r.probes
    }
    synops = _all_synops(program, {**split(spikes, program.port.sources), **fired})
    zero = np.zeros(batch, dtype=np.int64)
    counts = {
        program.input.name: Counts(
            zero, zero, spikes.per_neuron().sum(axis=1), {"instructions": np.array(entry)}
        )
    }
    for r in records:
        sent = fired[r.layer.name].per_neuron().sum(axis=1) if r.layer.name in fired else zero
        updates = np.full(batch, steps * r.layer.n, dtype=np.int64)
        other = {"instructions": np.array(r.instructions, dtype=np.int64)}
        counts[r.layer.name] = Counts(synops[r.layer.name], updates, sent, other)
    return Trace(fired, states, counts)


def _spikes(record: _Record, batch: int, steps: int) -> Spikes:
    """Events of all steps in C order, ascending in each step."""
    lengths = np.array([len(events) for events in record.events], dtype=np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.concatenate([*record.events, np.zeros(0, np.uint16)]).astype(np.int64)
    numbers = memory_order(record.layer.shape, record.layer.order)[flat]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((numbers, rows))
    ordered, values = numbers[order].astype(np.int32), None
    if record.layer.payload:
        carried = np.concatenate([*record.values, np.zeros(0, np.int16)])
        values = carried[order].astype(np.int32)
    return Spikes(record.layer.shape, batch, steps, indptr, ordered, values=values)


def _states(record: _Record, variable: str, batch: int, steps: int) -> Array:
    """int32 [batch, steps, n] in C order."""
    n = record.layer.n
    stored = np.array(record.states.get(variable, []), dtype=np.int32).reshape(batch, steps, n)
    return stored[:, :, places(record.layer.shape, record.layer.order)]


def _all_synops(program: Program, sent: dict[str, Spikes]) -> dict[str, NDArray[np.int64]]:
    orders = {layer.name: layer.order for layer in program.layers}
    orders |= {port.name: port.order for port in program.inputs}
    return {
        layer.name: sum(
            (_synops(route, sent[route.source], orders[route.source]) for route in layer.routes),
            start=np.zeros(sent[program.inputs[0].name].batch, dtype=np.int64),
        )
        for layer in program.layers
    }


def _synops(route: Route, spikes: Spikes, order: Order) -> NDArray[np.int64]:
    """Synapses reached within the run, per sample."""
    fan_out = fan_outs(route)[places(spikes.shape, order)]
    rows = spikes.rows()
    arrived = rows % max(spikes.steps, 1) < spikes.steps - route.delay
    counts = 1 if spikes.counts is None else spikes.counts.astype(np.int64)
    reached = fan_out[spikes.indices] * counts * arrived
    sums = np.bincount(
        rows // max(spikes.steps, 1), weights=reached.astype(np.float64), minlength=spikes.batch
    )
    return sums.astype(np.int64)


def fan_outs(route: Route) -> NDArray[np.int64]:
    """Number of synapses of each source element, in the source's memory order."""
    table = route.table
    if isinstance(table, SparseTable):
        fan = np.diff(table.indptr.astype(np.int64))
    elif isinstance(table, ConvTable):
        fan = _conv_fan(table)
    else:
        fan = np.full(table.weight.shape[0], table.weight.shape[1], dtype=np.int64)
    return fan if route.pool is None else _pool_fan(route.pool, fan)


def _conv_fan(table: ConvTable) -> NDArray[np.int64]:
    reach = []
    for axis in (0, 1):
        position = np.arange(table.in_shape[1 + axis])[:, None] + table.padding[axis]
        t = position - np.arange(table.weight.shape[1 + axis]) * table.dilation[axis]
        stride, out = table.stride[axis], table.out_shape[1 + axis]
        reach.append(((t % stride == 0) & (t >= 0) & (t // stride < out)).sum(axis=1))
    taps = np.multiply.outer(reach[0], reach[1]) * table.weight.shape[3]
    return np.repeat(taps.ravel(), table.in_shape[0]).astype(np.int64)


def _pool_fan(pool: Pool, fan: NDArray[np.int64]) -> NDArray[np.int64]:
    channels, height, width = pool.in_shape
    held = []
    for axis, length in enumerate((height, width)):
        t = np.arange(length)[:, None] + pool.padding[axis]
        start = np.arange(pool.out_shape[1 + axis]) * pool.stride[axis]
        held.append(((t >= start) & (t < start + pool.kernel[axis])).astype(np.int64))
    pooled = fan.reshape(*pool.out_shape[1:], channels)
    spread: NDArray[np.int64] = np.einsum("yi,xj,ijc->yxc", held[0], held[1], pooled)
    return spread.ravel()
