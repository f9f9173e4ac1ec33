"""A microcontroller program on the event engine: the arithmetic of its firmware, much faster."""

from __future__ import annotations

from collections.abc import Sequence

from snnstack.backends.mcu.program import ConvTable, DenseTable, Program, Route, SparseTable
from snnstack.engine import plan as engine
from snnstack.engine.check import port_problems
from snnstack.engine.order import Index, channel_last, in_c_order, pool_map, renumbered
from snnstack.errors import DataError, raise_if_any
from snnstack.ir.inputs import split
from snnstack.trace import Spikes, Trace


def emulate(
    program: Program,
    spikes: Spikes,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
    threads: int | None = None,
) -> Trace:
    """What the firmware of `program` computes for `spikes`, every spike and every state.

    `spikes` come in C order of the input's shape; spikes and states of the trace are in C
    order of each layer's shape. `probes` are (layer, state of its model), recorded as int32
    [batch, steps, n]. Nothing is random: `seed` changes nothing. `threads` None: one per
    processor. Raises `DataError` for spikes that do not fit the input, and `ModelError` for a
    probe that names no state.
    """
    from snnstack.engine.batch import run

    port = program.input
    raise_if_any(
        DataError, port_problems(port.name, port.shape, port.max_count, spikes, port.values)
    )
    memory = {layer.name: _index(layer.shape, layer.order) for layer in program.layers}
    shapes = {layer.name: layer.shape for layer in program.layers}
    arrived = split(spikes, program.port.sources)
    events = [
        renumbered(arrived[one.name], _index(one.shape, one.order), (one.n,))
        for one in program.inputs
    ]
    trace = run(plan(program), events, probes=probes, threads=threads)
    return in_c_order(trace, shapes, memory)


def plan(program: Program) -> engine.NetworkPlan:
    """The program as the engine reads it; arrays are shared, not copied."""
    names = [*(one.name for one in program.inputs), *(layer.name for layer in program.layers)]
    numbers = {name: k for k, name in enumerate(names)}
    layers = tuple(
        engine.LayerPlan(
            layer.name,
            layer.n,
            tuple(_edge(r, numbers) for r in layer.routes),
            layer.neurons,
        )
        for layer in program.layers
    )
    graded = frozenset(range(len(program.inputs)) if program.input.values else ())
    return engine.NetworkPlan(tuple(one.n for one in program.inputs), layers, graded)


def _index(shape: tuple[int, ...], order: str) -> Index | None:
    return channel_last(shape) if order == "hwc" else None


def _edge(route: Route, numbers: dict[str, int]) -> engine.Edge:
    remap = None if route.pool is None else pool_map(route.pool)
    return engine.Edge(numbers[route.source], route.delay, _table(route), remap, route.port)


def _table(route: Route) -> engine.Table:
    match route.table:
        case DenseTable(weight=weight):
            return engine.DenseRows(weight)
        case SparseTable(indptr=indptr, target=target, weight=weight):
            return engine.SparseRows(indptr, target, weight)
        case ConvTable() as conv:
            return engine.ConvTaps(
                conv.weight,
                conv.in_shape,
                conv.out_shape,
                conv.stride,
                conv.padding,
                conv.dilation,
                conv.groups,
            )
