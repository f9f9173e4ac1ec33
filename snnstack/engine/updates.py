"""The update of every layer of a plan: machine code made from its model, and its memory."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from snnstack.dynamics.machine_code import address
from snnstack.dynamics.print_llvm import Port, assembly, parameter_block, rows
from snnstack.dynamics.trace import traced
from snnstack.engine.flat import Update, narrow_type, sum_type, widest_sum
from snnstack.engine.plan import DenseRows, LayerPlan, NetworkPlan

WHOLE = Port("whole")


def updates_of(plan: NetworkPlan, probed: Collection[str]) -> list[Update]:
    """In the order of the plan's layers; `probed`: names of layers whose probes are read."""
    return [_update(plan, layer, layer.name in probed) for layer in plan.layers]


def _update(plan: NetworkPlan, layer: LayerPlan, probed: bool) -> Update:
    step = traced(layer.neurons)
    probed = probed and bool(step.of("reads"))
    ports, sums = _ports(layer), sum_type(plan, layer)
    held = rows(step, probed)
    start = [layer.neurons.start(row.removeprefix("reads_")) for row in held]
    code = address(assembly(step, sums.name, ports, probed))
    narrow = 0
    if _adds_rows_only(plan, layer) and sums == widest_sum(plan) == np.int32:
        kind = np.dtype(narrow_type(plan)).name
        narrow = address(assembly(step, kind, ports, probed))
    initial = np.array(start, dtype=layer.neurons.number).reshape(len(held), layer.n)
    block = parameter_block(step)
    return Update(code, narrow, block, initial, held, "active" in step.roots)


def _ports(layer: LayerPlan) -> tuple[Port, ...]:
    """How the model's inputs are read from the sums."""
    if len(layer.neurons.model.inputs) == 1:
        return (WHOLE,)
    if not layer.sum_bits:
        inputs = range(len(layer.neurons.model.inputs))
        return tuple(Port("whole", row=k) if k < layer.sums else Port("nothing") for k in inputs)
    return Port("low", layer.sum_bits), Port("high", layer.sum_bits)


def _adds_rows_only(plan: NetworkPlan, layer: LayerPlan) -> bool:
    """Whether one dense table, read by events without values, is all the input there is."""
    if len(layer.edges) != 1 or layer.neurons.number != "int32":
        return False
    edge = layer.edges[0]
    plain = isinstance(edge.table, DenseRows) and edge.remap is None and edge.port == 0
    return plain and not plan.carries_values(edge.source)
