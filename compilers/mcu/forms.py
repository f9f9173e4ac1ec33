"""How each route is computed: by events, or everything in every step where that is cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from snnstack.backends.mcu.events import fan_outs
from snnstack.backends.mcu.full import can_be_full, full
from snnstack.backends.mcu.hardware import data_region, hardware, memory_bytes
from snnstack.backends.mcu.kernels import Kernels, kernels
from snnstack.backends.mcu.memory import memory_plan
from snnstack.backends.mcu.program import ConvTable, DenseTable, Form, Layer, Program, Route

TOO_MUCH = 2**16
MARGIN = 1.15
"""The full form must promise to be that much cheaper: its counts are estimates."""


@dataclass(frozen=True)
class Costs:
    """Instructions per event and synapse, of convolutions and of dense rows, and per product."""

    event: float
    synapse: float
    dense_event: float
    dense_synapse: float
    product: float


_COSTS: Mapping[Kernels, Costs] = MappingProxyType(
    {
        "portable": Costs(130, 4.0, 20, 1.6, 3.0),
        "dsp": Costs(120, 2.2, 20, 1.2, 1.6),
        "mve": Costs(120, 0.8, 20, 0.4, 0.2),
    }
)
"""Fitted by hand to the layers of benchmarks/mcu_conv.py, counted in QEMU."""
_POOL_EVENT, _BLOCK, _TAP, _COPY, _MARK = 45.0, 40.0, 10.0, 1.3, 5.0


def chosen(program: Program, events: Mapping[str, float]) -> Program:
    """`program` with the cheaper form for every route, by mean `events` per step of each source.

    Everything stays by events where sources are unknown or the maps do not fit the RAM.
    """
    most = _most(program)
    family = kernels(hardware(program.board).core)

    def formed(route: Route) -> Route:
        able = can_be_full(route, most[route.source]) and route.source in events
        wins = able and _wins(route, events[route.source], family)
        return replace(route, form="full") if wins else route

    layers = tuple(replace(x, routes=tuple(map(formed, x.routes))) for x in program.layers)
    changed = replace(program, layers=layers)
    memory, (flash, _) = memory_plan(changed), memory_bytes(program.board)
    held = memory["ram"] <= data_region(program.board, memory["ram"]).bytes
    return changed if held and memory["flash"] <= flash else program


def _wins(route: Route, events: float, family: Kernels) -> bool:
    return MARGIN * full_cost(route, events, family) < events_cost(route, events, family)


def events_cost(route: Route, events: float, family: Kernels) -> float:
    """Instructions of one step in which `events` arrive, neurons left out."""
    costs = _COSTS[family]
    synapses = events * float(np.mean(fan_outs(route)))
    pooled = events * _POOL_EVENT if route.pool is not None else 0.0
    if isinstance(route.table, ConvTable):
        return events * costs.event + synapses * costs.synapse + pooled
    return events * costs.dense_event + synapses * costs.dense_synapse + pooled


def full_cost(route: Route, events: float, family: Kernels) -> float:
    """The same with every product computed."""
    table = route.table
    assert isinstance(table, DenseTable | ConvTable)
    sizes = full(table, family)
    places, outputs, copied = 1, table.weight.shape[-1], 0.0
    if isinstance(table, ConvTable):
        channels, ky, kx, _ = table.weight.shape
        places = table.out_shape[1] * table.out_shape[2] * table.groups
        copied = _TAP * ky * kx + _COPY * ky * kx * channels / table.groups
    blocks = -(-outputs // 4)
    products = 16 * sizes.fours * blocks
    marks = events * (_MARK + (_POOL_EVENT if route.pool is not None else 0.0)) + sizes.map
    each = copied + blocks * _BLOCK + products * _COSTS[family].product
    return float(places * each + marks)


def _most(program: Program) -> dict[str, int]:
    """The largest number that one element of each source sends in a step; of values, too much."""
    return {name: TOO_MUCH if low < 0 else most for name, (low, most) in program.sent.items()}


def with_form(program: Program, form: Form) -> Program:
    """The same program with every route that can be in `form` in it; spikes stay the same."""
    most = _most(program)
    layers = tuple(_with_form(layer, form, most) for layer in program.layers)
    program = replace(program, layers=layers, memory_basis="")
    return replace(program, memory=memory_plan(program))


def _with_form(layer: Layer, form: Form, most: dict[str, int]) -> Layer:
    def formed(route: Route) -> Route:
        able = form == "events" or can_be_full(route, most[route.source])
        return replace(route, form=form) if able else route

    return replace(layer, routes=tuple(map(formed, layer.routes)))
