"""Run a float `StepGraph` on the event engine: the same equations, work only where spikes are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from snnstack.engine.batch import Progress, run
from snnstack.engine.check import spikes_problems
from snnstack.engine.order import Index, channel_last, in_c_order, pool_map, renumbered
from snnstack.engine.plan import (
    ConvTaps,
    DenseRows,
    Edge,
    FloatNeurons,
    LayerPlan,
    NetworkPlan,
    SparseRows,
    Table,
)
from snnstack.errors import DataError, ModelError, Problem, raise_if_any
from snnstack.ir.matrix import from_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Dense, Population, Projection, Sparse, StepGraph, size
from snnstack.trace import Spikes, Trace

Memory = dict[str, Index | None]


def run_step_graph(
    step_graph: StepGraph,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]] = (),
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The float64 network on `spikes`, everything in C order; states float64 [batch, steps, n].

    Sums are taken in another order than in `snnstack.reference.run_steps`, so a spike may
    differ where a membrane meets its threshold to the last bit. Takes networks with one input
    in which only populations that fire feed others; raises `ModelError` for the rest, and for
    a probe that names no state, and `DataError` for spikes of another shape.
    """
    raise_if_any(ModelError, _problems(step_graph))
    port = step_graph.inputs[0]
    raise_if_any(DataError, spikes_problems(port.name, spikes, port.shape))
    graph = _channels_first(step_graph)
    shapes, memory = _shapes(graph), _memory(graph)
    events = renumbered(spikes, memory[port.name], (spikes.n,))
    plan = _plan(graph, shapes, memory)
    trace = run(plan, [events], probes=probes, threads=threads, progress=progress)
    return in_c_order(trace, shapes, memory)


def _problems(graph: StepGraph) -> Iterator[Problem]:
    if len(graph.inputs) != 1:
        names = ", ".join(port.name for port in graph.inputs)
        yield Problem("network", f"has {len(graph.inputs)} inputs ({names}), can run 1")
    silent = {p.name for p in graph.populations if p.threshold is None}
    for projection in graph.projections:
        if projection.source in silent:
            hint = "only spikes can be sent; use the plain reference run"
            yield Problem(str(projection), f"{projection.source} does not fire", hint)


def _shapes(graph: StepGraph) -> dict[str, Shape]:
    shapes = {port.name: port.shape for port in graph.inputs}
    return shapes | {p.name: p.shape for p in graph.populations}


def _channels_first(graph: StepGraph) -> StepGraph:
    """Convolutions and pools whose channels are not the populations' first axis, unrolled."""
    shapes = _shapes(graph)
    return graph.with_(projections=tuple(_unrolled(p, shapes) for p in graph.projections))


def _unrolled(projection: Projection, shapes: dict[str, Shape]) -> Projection:
    source, target = shapes[projection.source], shapes[projection.target]
    pool, synapses = projection.pool, projection.synapses
    seen = source if pool is None else pool.out_shape
    plain = pool is None or pool.in_shape[0] == source[0]
    if isinstance(synapses, Conv):
        plain &= synapses.in_shape[0] == seen[0] and synapses.out_shape[0] == target[0]
    if plain:
        return projection
    weights = matrix(synapses, size(target))
    if pool is not None:
        weights = weights @ pool_matrix(pool)
    return Projection(projection.source, projection.target, from_matrix(weights), projection.delay)


def _memory(graph: StepGraph) -> Memory:
    """Channel last for every population or input that a convolution or a pool touches."""
    shapes = _shapes(graph)
    touched = {p.target for p in graph.projections if isinstance(p.synapses, Conv)}
    touched |= {p.source for p in graph.projections if isinstance(p.synapses, Conv) or p.pool}
    return {name: channel_last(shapes[name]) if name in touched else None for name in shapes}


def _plan(graph: StepGraph, shapes: dict[str, Shape], memory: Memory) -> NetworkPlan:
    numbers = {name: k for k, name in enumerate(shapes)}
    layers = []
    for p in graph.populations:
        edges = tuple(
            Edge(
                numbers[projection.source],
                projection.delay,
                _table(projection, memory),
                None if projection.pool is None else pool_map(projection.pool),
            )
            for projection in graph.into(p.name)
        )
        layers.append(LayerPlan(p.name, p.n, edges, _neurons(p, memory[p.name])))
    return NetworkPlan(tuple(size(port.shape) for port in graph.inputs), tuple(layers))


def _neurons(p: Population, index: Index | None) -> FloatNeurons:
    place = slice(None) if index is None else np.argsort(index)

    def at(values: Array) -> Array:
        return np.asarray(values, dtype=np.float64)[place]

    return FloatNeurons(
        alpha=at(p.alpha),
        beta=None if p.beta is None else at(p.beta),
        gain_in=at(p.gain_in),
        gain=at(p.gain),
        bias=at(p.bias),
        leak=at(p.leak),
        threshold=None if p.threshold is None else at(p.threshold),
        v_reset=at(p.v_reset),
        subtract=p.reset == "subtract",
        ge=p.compare == "ge",
        refractory=p.refractory,
    )


def _table(projection: Projection, memory: Memory) -> Table:
    """The synapses with both ends in memory order; that of a pooled map is channel last."""
    pool, target = projection.pool, memory[projection.target]
    source = memory[projection.source] if pool is None else channel_last(pool.out_shape)
    match projection.synapses:
        case Conv() as conv:
            return _taps(conv)
        case Dense(weight=weight):
            rows = np.asarray(weight, dtype=np.float64).T
            rows = rows if source is None else rows[np.argsort(source)]
            rows = rows if target is None else rows[:, np.argsort(target)]
            return DenseRows(np.ascontiguousarray(rows))
        case Sparse() as sparse:
            return _rows(sparse, source, target)


def _rows(sparse: Sparse, source: Index | None, target: Index | None) -> SparseRows:
    lengths = np.diff(sparse.indptr)
    rows = np.repeat(np.arange(len(lengths)) if source is None else source, lengths)
    columns = sparse.target if target is None else target[sparse.target]
    order = np.lexsort((columns, rows))
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(lengths)), out=indptr[1:])
    weight = np.asarray(sparse.weight, dtype=np.float64)[order]
    return SparseRows(indptr, columns[order].astype(np.int32), weight)


def _taps(conv: Conv) -> ConvTaps:
    """[C_out, C_in / groups, K_y, K_x] to [C_in, K_y, K_x, C_out / groups]."""
    c_out, group_in, taps_y, taps_x = conv.weight.shape
    group_out = c_out // conv.groups
    split = np.asarray(conv.weight, dtype=np.float64).reshape(
        conv.groups, group_out, group_in, taps_y, taps_x
    )
    weight = split.transpose(0, 2, 3, 4, 1).reshape(-1, taps_y, taps_x, group_out)
    return ConvTaps(
        weight,
        conv.in_shape,
        conv.out_shape,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    )
