"""What a plan and its input must satisfy before compiled code, which checks nothing, may run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.model import Field, Neurons
from snnstack.engine.plan import (
    ConvTaps,
    DenseRows,
    Edge,
    EventMap,
    LayerPlan,
    NetworkPlan,
    SparseRows,
    Table,
    table_shape,
)
from snnstack.errors import Problem
from snnstack.ir.step import LARGEST_VALUE
from snnstack.trace import Spikes

LARGEST = 2**31 - 1


def plan_problems(plan: NetworkPlan) -> Iterator[Problem]:
    """Everything in `plan` that would make the kernels read or write outside an array."""
    kinds = {layer.neurons.number for layer in plan.layers}
    if len({layer.real for layer in plan.layers}) > 1:
        yield Problem("network", f"mixes {', '.join(sorted(kinds))} layers")
    if plan.graded and not plan.real and kinds - {"int32", "int64"}:
        yield Problem("network", "has inputs with values for layers that take none")
    sizes = plan.source_sizes()
    for k, layer in enumerate(plan.layers):
        yield from _neuron_problems(layer)
        for number, edge in enumerate(layer.edges):
            where = f"{layer.name}, edge {number}"
            if not 0 <= edge.source < len(sizes) or edge.delay < 0:
                yield Problem(where, f"reads source {edge.source} {edge.delay} steps ago")
            elif edge.delay == 0 and edge.source >= len(plan.inputs) + k:
                yield Problem(where, "reads a later layer in the same step", "give it a delay")
            elif not 0 <= edge.port < (1 if layer.sum_bits else len(layer.neurons.model.inputs)):
                yield Problem(where, f"ends in input {edge.port} of {layer.neurons.model.name}")
            else:
                yield from _edge_problems(where, edge, sizes[edge.source], layer.n)


def input_problems(plan: NetworkPlan, inputs: Sequence[Spikes]) -> Iterator[Problem]:
    """Inputs that do not fit `plan` or each other."""
    if len(inputs) != len(plan.inputs):
        yield Problem("input", f"{len(inputs)} sets of spikes for {len(plan.inputs)} inputs")
        return
    for k, (spikes, n) in enumerate(zip(inputs, plan.inputs, strict=True)):
        where, first = f"input {k}", inputs[0]
        yield from spikes_problems(where, spikes, (n,))
        if (spikes.values is not None) != (k in plan.graded):
            yield Problem(where, f"{'must' if k in plan.graded else 'must not'} carry values")
        if (spikes.batch, spikes.steps) != (first.batch, first.steps):
            yield Problem(where, "differs from input 0 in batch size or number of steps")


def spikes_problems(where: str, spikes: Spikes, shape: tuple[int, ...]) -> Iterator[Problem]:
    """Spikes that do not fit an input called `where` of this `shape`, or not themselves."""
    if spikes.shape != shape:
        yield Problem(where, f"spikes have shape {spikes.shape}, the network takes {shape}")
    if not _are_pointers(spikes.indptr, spikes.batch * spikes.steps, len(spikes.indices)):
        yield Problem(where, "indptr does not divide the events into steps")
    if not _within(spikes.indices, spikes.n):
        yield Problem(where, f"has an event outside 0..{spikes.n - 1}")
    for name, each in (("values", spikes.values), ("counts", spikes.counts)):
        if each is not None and len(each) != len(spikes.indices):
            yield Problem(where, f"has {len(each)} {name} for {len(spikes.indices)} events")


def port_problems(
    name: str, shape: tuple[int, ...], max_count: int, spikes: Spikes, values: bool = False
) -> Iterator[Problem]:
    """Spikes that do not fit a program's input: its shape, and `max_count` a step and element.

    `values`: whether its events carry values.
    """
    yield from spikes_problems(name, spikes, shape)
    if (spikes.values is not None) != values:
        yield Problem(name, f"{'must' if values else 'must not'} carry values")
    elif spikes.values is not None and np.abs(spikes.values).max(initial=0) > LARGEST_VALUE:
        what = f"carries {int(np.abs(spikes.values).max())}, at most {LARGEST_VALUE}"
        yield Problem(name, what)
    highest = 0 if spikes.counts is None else int(spikes.counts.max(initial=0))
    if highest > max_count:
        what = f"an element has {highest} spikes in one step, the program allows {max_count}"
        yield Problem(name, what)


def _neuron_problems(layer: LayerPlan) -> Iterator[Problem]:
    neurons = layer.neurons
    if neurons.n != layer.n:
        yield Problem(layer.name, f"has {neurons.n} neurons, not {layer.n}")
    for field in neurons.model.parameters:
        value = neurons.value(field.name)
        if value is not None:
            yield from _parameter_problems(layer, field, np.asarray(value))
    part = layer.part
    if part is not None and (part.shape != (layer.n,) or part.min(initial=0) < 0):
        yield Problem(layer.name, f"part needs a number from 0 for each of {layer.n} neurons")


def _parameter_problems(layer: LayerPlan, field: Field, value: NDArray[Any]) -> Iterator[Problem]:
    if value.ndim and value.shape != (layer.n,):
        yield Problem(layer.name, f"{field.name} has shape {value.shape}, not ({layer.n},)")
    elif value.size and layer.neurons.integer:
        low, high = _limits(layer.neurons, field)
        if not low <= value.min() <= value.max() <= high:
            yield Problem(layer.name, f"{field.name} is not within {low}..{high}")


def _limits(neurons: Neurons, field: Field) -> tuple[int, int]:
    """Lowest and highest value of an integer parameter."""
    if field.unit != "factor":
        return (0, 31) if field.unit == "shift" else (-LARGEST, LARGEST)
    bits = neurons.options.get(f"{field.name}_bits")
    one = field.one if bits is None else 1 << int(bits)
    return (0, one) if one <= LARGEST else (one // 2, one)  # a fine decay is at least a half


def _edge_problems(where: str, edge: Edge, source: int, n: int) -> Iterator[Problem]:
    if edge.remap is not None:
        yield from _map_problems(where, edge.remap, source)
        source = edge.remap.n
    table = edge.table
    sources, targets = table_shape(table)
    fits = targets <= n if isinstance(table, SparseRows) else targets == n
    if sources != source or not fits:
        yield Problem(where, f"table of {sources} x {targets} between {source} and {n} neurons")
    yield from _table_problems(where, table)


def _table_problems(where: str, table: Table) -> Iterator[Problem]:
    match table:
        case DenseRows():
            return
        case SparseRows():
            if not _are_pointers(table.indptr, len(table.indptr) - 1, len(table.target)):
                yield Problem(where, "indptr does not divide the synapses into rows")
            if len(table.weight) != len(table.target) or table.target.min(initial=0) < 0:
                yield Problem(where, "synapses without weight, or to a neuron below 0")
        case ConvTaps():
            channels = (table.weight.shape[0], table.weight.shape[3] * table.groups)
            expected = (table.in_shape[0], table.out_shape[0])
            if channels != expected or channels[0] % table.groups:
                yield Problem(where, f"weights join {channels} channels, the shapes {expected}")


def _map_problems(where: str, remap: EventMap, source: int) -> Iterator[Problem]:
    if not _are_pointers(remap.indptr, source, len(remap.target)):
        yield Problem(where, "the event map does not have one row per source neuron")
    if not _within(remap.target, remap.n):
        yield Problem(where, f"the event map leaves 0..{remap.n - 1}")


def _within(indices: NDArray[Any], n: int) -> bool:
    return not len(indices) or bool(indices.min() >= 0 and indices.max() < n)


def _are_pointers(indptr: NDArray[Any], rows: int, total: int) -> bool:
    whole = len(indptr) == rows + 1 and indptr[0] == 0 and indptr[-1] == total
    return bool(whole and np.all(np.diff(indptr) >= 0))
