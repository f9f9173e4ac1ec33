"""Constants and fields of a layer whose neurons are of any model."""

from __future__ import annotations

import numpy as np

from snnstack.backends.mcu.program import Layer
from snnstack.backends.mcu.route_plan import Constant, narrow
from snnstack.dynamics.c_words import fine_parameters, tables
from snnstack.dynamics.trace import traced
from snnstack.ir.nodes import Array

FIELD, START, TABLE = "s_", "0", "1"
"""Before the names of fields, first values and tables: no parameter begins with a digit."""


def cells(layer: Layer, net: str, id_: str) -> dict[str, int | Constant]:
    """Constants by the name of a parameter, table or initial state."""
    neurons, step = layer.neurons, traced(layer.neurons)
    fine = fine_parameters(step)
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
    return found


def fields(layer: Layer) -> list[tuple[str, str]]:
    """(state, the field that holds it, without the layer's identifier)."""
    prefix = "" if layer.is_lif else FIELD
    return [(name, prefix + name) for name in layer.variables]


def parameter(name: str, values: Array) -> int | Constant:
    """A number where all are the same, else an array."""
    if np.all(values == values.flat[0]):
        return int(values.flat[0])
    return Constant(name, *narrow(values, "int16_t", "int32_t"))


def starts(layer: Layer, parameters: dict[str, int | Constant]) -> list[tuple[str, str]]:
    """(field, first value of neuron `j`) of states that do not begin at 0."""
    prefix = "" if layer.is_lif else FIELD
    found = [(k, v) for k, v in parameters.items() if k.startswith(START)]
    return [
        (prefix + k.removeprefix(START), v.name + "[j]" if isinstance(v, Constant) else str(v))
        for k, v in found
    ]
