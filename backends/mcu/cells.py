"""Neurons of any model in C: what `cells.c.j2` prints of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.mcu.program import Layer
from snnstack.backends.mcu.route_plan import Constant, narrow
from snnstack.dynamics.expr import E
from snnstack.dynamics.print_c import Lines, c_lines, fine_parameters, tables
from snnstack.dynamics.trace import traced
from snnstack.ir.nodes import Array

FIELD, START, TABLE = "s_", "0", "1"
"""Before the names of fields, first values and tables: no parameter begins with a digit."""


def cells(layer: Layer, net: str, id_: str) -> tuple[dict[str, int | Constant], Lines]:
    """Constants by the name of a parameter, table or initial state; and a step of neuron `j`."""
    neurons, step = layer.neurons, traced(layer.neurons)
    fine, fed = fine_parameters(step), {route.port for route in layer.routes}
    found: dict[str, int | Constant] = {}
    for name in (*step.scalars, *step.arrays):
        value = np.asarray(neurons.value(name)).astype(np.int64)
        stored = value - (1 << 32 if name in fine else 0)
        found[name] = parameter(f"{net}_{id_}_{name}", stored.reshape(-1))
    for name, first in neurons.initial.items():
        if name in step.states and np.any(first):
            start = np.broadcast_to(np.asarray(first, dtype=np.int64), neurons.n)
            found[START + name] = parameter(f"{net}_{id_}_{START}{name}", start)
    for table in tables(step):
        entries = np.array(table.entries, dtype=np.int64)
        kept = narrow(entries, "int16_t", "int32_t")
        found[TABLE + table.name] = Constant(f"{net}_{id_}_{TABLE}{table.name}", *kept)

    def leaf(e: E) -> str:
        if e.op == "state":
            return f"s->{FIELD}{e.value}_{id_}[j]"
        if e.op == "input":
            port = neurons.model.inputs.index(e.value)
            return f"x{port}" if port in fed or port == 0 else "0"
        held = found[e.value]
        return f"{held.name}[j]" if isinstance(held, Constant) else f"({held})"

    return found, c_lines(step, leaf, lambda table: f"{net}_{id_}_{TABLE}{table.name}")


def fields(layer: Layer) -> list[tuple[str, str]]:
    """(state, the field that holds it, without the layer's identifier)."""
    prefix = "" if layer.is_lif else FIELD
    return [(name, prefix + name) for name in layer.variables]


def parameter(name: str, values: Array) -> int | Constant:
    """A number where all are the same, else an array."""
    if np.all(values == values.flat[0]):
        return int(values.flat[0])
    return Constant(name, *narrow(values, "int16_t", "int32_t"))


def cells_view(layer: Layer, lines: Lines, parameters: dict[str, int | Constant]) -> dict[str, Any]:
    """What the templates print: declarations, what is sent, states, their first values."""
    results = lines.results
    starts = {k.removeprefix(START): v for k, v in parameters.items() if k.startswith(START)}
    return {
        "lines": lines.lines,
        "sent": results.get("sent"),
        "stored": [(FIELD + name, results[f"state {name}"]) for name in layer.variables
                   if f"state {name}" in results],
        "starts": [(FIELD + k, v.name + "[j]" if isinstance(v, Constant) else str(v))
                   for k, v in starts.items()],
    }  # fmt: skip
