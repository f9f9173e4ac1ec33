"""The C expressions of one route: what `route.c.j2` prints, and which kernels there must be."""

from __future__ import annotations

from typing import Any

from snnstack.backends.mcu.geometry import AxisTaps, Quotient
from snnstack.backends.mcu.layout import LayerPlan, Layout
from snnstack.backends.mcu.program import ConvTable, DenseTable
from snnstack.backends.mcu.route_plan import Constant, RoutePlan
from snnstack.foreign_text import comment

_NO_GROUPS = "{ 1, 1, 31 }"


def ring_slot(id_: str, slots: int, delay: int) -> str:
    """Where the events of `delay` steps ago stand, of a source that keeps `slots` steps, in C."""
    if slots == 1:
        return "0"
    name = f"s->slot_{id_}"
    return name if delay == 0 else f"snn_back({name}, {delay}, {slots})"


def route_view(layout: Layout, plan: LayerPlan, index: int) -> dict[str, Any]:
    """What `route.c.j2` prints: where the events are, and the kernel's call."""
    route = plan.routes[index]
    slot = ring_slot(route.source, route.slots, route.delay)
    alone = _alone(route)
    events = "s->events_input" if alone else f"s->events_{route.source}[{slot}]"
    counted = layout.counted and route.source == "input"
    source = comment(plan.layer.routes[index].source)
    late = f", {route.delay} steps ago" if route.delay else ""
    return {
        "title": f"from {source}{late}",
        "events": events,
        "count": route_count(route),
        "geometry": _geometry(route),
        "pool": _pool(route),
        "full": _full(route),
        "runs": alone,
        "counted": f"s->ring_input[{slot}]" if counted else None,
        "carried": f"s->values_{route.source}[{slot}]" if route.valued else None,
        "call": _call(route, plan, first=index == 0 and not counted, runs=alone),
    }


def _alone(route: RoutePlan) -> bool:
    """Whether the events are the caller's list."""
    return route.source == "input" and route.slots == 1 and not route.valued


def route_count(route: RoutePlan) -> str:
    """The number of events the route reads, in C."""
    slot = ring_slot(route.source, route.slots, route.delay)
    return "s->count_input" if _alone(route) else f"s->count_{route.source}[{slot}]"


def _full(route: RoutePlan) -> dict[str, Any] | None:
    """Of a route that multiplies everything: bytes of its map, and the shape of a convolution."""
    if route.full is None:
        return None
    shape = None
    if isinstance(t := route.table, ConvTable):
        sizes = (*t.in_shape, *t.out_shape, *t.weight.shape[1:3], *t.stride, *t.padding,
                 *t.dilation, t.groups)  # fmt: skip
        shape = ", ".join(map(str, sizes))
    return {"bytes": 4 * route.full.map, "shape": shape}


def _full_call(route: RoutePlan, bits: int, fours: int, acc: str) -> str:
    weight = route.weight.name
    if isinstance(route.table, ConvTable):
        buffers = "&shape, s->full_map, s->full_patch, s->full_column"
        return f"snn_full_map_{bits}({acc}, {buffers}, {weight}, {fours})"
    outputs = route.table.weight.shape[1] if isinstance(route.table, DenseTable) else 0
    return f"snn_full_{bits}({acc}, s->full_map, s->full_column, {weight}, {fours}, {outputs})"


def _call(route: RoutePlan, plan: LayerPlan, *, first: bool, runs: bool) -> str:
    bits = plan.layer.accumulator_bits
    acc = f"acc + {route.port * plan.row}" if route.port else "acc"
    if route.full is not None:
        return _full_call(route, bits, route.full.fours, acc)
    events = "s->pooled, n" if route.pool is not None else "events, n_events"
    name = f"snn_{route.kind}"
    if route.valued:  # what a pool makes of one event carries what the event carries
        events += ", values + e, 0" if route.pool is not None else ", values, 1"
        name += "_valued"
    kernel = "_".join(map(str, (name, bits, *_kernel(route))))
    weight = route.weight.name
    if route.indptr is not None and route.target is not None:
        return f"{kernel}({acc}, {route.indptr.name}, {route.target.name}, {weight}, {events})"
    if isinstance(route.table, ConvTable):
        length = route.words or route.table.weight.shape[3]
        return f"{kernel}({acc}, {weight}, {length}, &geometry, {events})"
    if route.valued:
        return f"{kernel}({acc}, {weight}, {plan.n}, {events})"
    over = "done != 0" if runs else "0"
    add = over if first and route.pool is None and plan.ports == 1 else "1"
    return f"{kernel}({acc}, {weight}, {route.words}, {events}, {add})"


def _width(constant: Constant) -> int:
    return 8 * constant.values.itemsize


def _quotient(q: Quotient) -> str:
    return f"{{ {q.divisor}, {q.multiply}u, {q.shift} }}"


def _axis(axis: AxisTaps) -> str:
    first, back, count, end = (
        ", ".join(map(str, values)) for values in (axis.first, axis.back, axis.count, axis.end)
    )
    return (
        f"{{ {axis.kernel}, {axis.padding}, {axis.step}, {axis.hop}, {axis.out}, "
        f"{_quotient(axis.stride)},\n            "
        f"{{ {first} }}, {{ {back} }}, {{ {count} }}, {{ {end} }} }}"
    )


def _geometry(route: RoutePlan) -> str | None:
    table = route.table
    if not isinstance(table, ConvTable) or not (route.y and route.x and route.split):
        return None
    channels, _, width = table.out_shape
    group = _NO_GROUPS if route.group is None else _quotient(route.group)
    row, pixel = map(_quotient, route.split)
    return (
        f"{channels}, {channels // table.groups}, {width}, {row}, {pixel}, {group},\n"
        f"            {_axis(route.y)},\n            {_axis(route.x)}"
    )


def _pool(route: RoutePlan) -> str | None:
    pool = route.pool
    if pool is None or route.pool_split is None or route.pool_stride is None:
        return None
    sizes = (pool.in_shape[0], *pool.kernel, *pool.padding, *pool.out_shape[1:])
    numbers = ", ".join(map(str, sizes))
    row, pixel = map(_quotient, route.pool_split)
    stride_y, stride_x = map(_quotient, route.pool_stride)
    return f"{numbers}, {row}, {pixel},\n            {stride_y}, {stride_x}"


def kinds(layout: Layout, kind: str, valued: bool = False) -> list[list[Any]]:
    """What the kernels of this kind must handle: accumulator and weight bits, and the rest.

    `valued`: of those for events that carry values.
    """
    found = {
        (layer.layer.accumulator_bits, *_kernel(route))
        for layer in layout.layers
        for route in layer.routes
        if route.kind == kind and route.valued is valued
    }
    return [list(each) for each in sorted(found)]


def _kernel(route: RoutePlan) -> tuple[Any, ...]:
    """The part of a kernel's name that says what it reads."""
    if route.kind == "conv":
        return route.bits, "words" if route.words else "list"
    if route.indptr is not None and route.target is not None:
        return route.bits, _width(route.indptr), _width(route.target)
    return (route.bits,)


def listed_bits(layout: Layout) -> list[int]:
    """The widths below 8 of weights that are read one by one."""
    routes = [route for layer in layout.layers for route in layer.routes]
    one_by_one = (r for r in routes if r.valued or r.kind != "dense")
    return sorted({r.bits for r in one_by_one if not r.words and r.bits < 8})


def route_strides(layout: Layout) -> int:
    """The largest stride of any convolution, at least 1."""
    axes = [axis for x in layout.layers for r in x.routes for axis in (r.y, r.x) if axis]
    return max([1, *(axis.stride.divisor for axis in axes)])
