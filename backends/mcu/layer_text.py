"""The C expressions of one layer: what `layer.c.j2` and `route.c.j2` print.

The arithmetic is that of `snnstack.quant.network`, with constants folded in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.mcu.geometry import AxisTaps, Quotient
from snnstack.backends.mcu.layer_vectors import vectors
from snnstack.backends.mcu.layout import ONE, Constant, LayerPlan, Layout, RoutePlan
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.program import ConvTable, DenseTable

_NO_GROUPS = "{ 1, 1, 31 }"
_COMPARE = {"gt": ">", "ge": ">="}


def layer_view(layout: Layout, plan: LayerPlan) -> dict[str, Any]:
    """Everything the templates print about one layer."""
    layer = plan.layer
    routes = [route_view(layout, plan, k) for k in range(len(plan.routes))]
    words = -(-plan.accumulators * layer.accumulator_bits // 32)
    return {
        "id": plan.id,
        "ID": plan.id.upper(),
        "n": plan.n,
        "title": f"{comment(layer.name)} {list(layer.shape)}"
        + (", channel last" if layer.order == "hwc" else ""),
        "equation": _equation(plan),
        "bits": layer.accumulator_bits,
        "words": words,
        "left": _left(plan, words) if layout.kept_clear else (0, 0),
        "current": layer.beta is not None,
        "fires": plan.fires,
        "slots": plan.slots,
        "slot": _slot(plan.id, plan.slots, 0),
        "refractory": layer.refractory if plan.fires else 0,
        "wait_type": plan.fired_type,
        "idle": plan.idle,
        "loud": plan.loud,
        "quiet": plan.quiet,
        "zeroed": _zeroed(plan) and not layout.kept_clear,
        "routes": routes,
        "x": _x(plan),
        "i": _i(plan),
        "v": _v(plan),
        "clip": _clip(plan),
        "safe": _safe(plan),
        "limit": NUMERICS.state_max,
        "back": _back(plan),
        "tested": "v - back" if layer.reset_time == "recheck" else "v",
        "compare": _COMPARE[layer.compare],
        "threshold": _value(plan, "threshold", "j") if plan.fires else "0",
        "after": _after(plan),
        "vectors": vectors(plan) if layout.family == "mve" else None,
    }


def _zeroed(plan: LayerPlan) -> bool:
    """Whether the first route adds to the accumulators instead of filling them."""
    return not plan.routes or plan.routes[0].kind != "dense" or plan.routes[0].pool is not None


def _left(plan: LayerPlan, words: int) -> tuple[int, int]:
    """(first, count) of the accumulator words to clear after the neurons were updated."""
    if not plan.routes:
        return 0, 0
    done = 0 if not plan.quiet else plan.n // plan.quiet * 8
    return done, words - done


def comment(name: str) -> str:
    """A user's name as it may stand inside a C comment.

    >>> comment("a */ b")
    'a * / b'
    """
    return name.replace("*/", "* /").replace("/*", "/ *").replace("\n", " ").replace("\\", "/")


def _equation(plan: LayerPlan) -> str:
    kind = "LIF" if plan.fires else "LI"
    return ("Cuba" if plan.layer.beta is not None else "") + kind


def _slot(id_: str, slots: int, delay: int) -> str:
    if slots == 1:
        return "0"
    name = f"s->slot_{id_}"
    return name if delay == 0 else f"snn_back({name}, {delay}, {slots})"


def _value(plan: LayerPlan, name: str, index: str) -> str:
    value = plan.parameters[name]
    return f"{value.name}[{index}]" if isinstance(value, Constant) else str(value)


def _decayed(plan: LayerPlan, name: str, variable: str) -> str:
    state = f"s->{variable}_{plan.id}[j]"
    how = plan.decays[name]
    if how == "all":
        return state
    if how == "none":
        return "0"
    kernel = {"less": "snn_less", "part": "snn_part", "any": "snn_decay"}[how]
    return f"{kernel}({state}, {_value(plan, name, 'j')})"


def _plus(plan: LayerPlan, name: str) -> str:
    return "" if plan.parameters[name] == 0 else f" + {_value(plan, name, 'j')}"


def _x(plan: LayerPlan) -> str:
    scaled = "acc[j]" if plan.layer.shift == 0 else f"acc[j] * {1 << plan.layer.shift}"
    return scaled + _plus(plan, "bias")


def _clipped(value: str, saturate: bool, limit: int) -> str:
    return f"snn_clip({value}, {limit})" if saturate else value


def _i(plan: LayerPlan) -> str:
    if plan.layer.beta is None:
        return "0"
    value = _decayed(plan, "beta", "i") + " + x"
    return f"snn_clip({value}, {NUMERICS.current_max})" if plan.layer.saturate_i else value


def _v(plan: LayerPlan) -> str:
    drive = " + x" if plan.layer.beta is None else " + i"
    late = " - back" if plan.fires and plan.layer.reset_time == "next" else ""
    return _decayed(plan, "alpha", "v") + late + drive + _plus(plan, "leak")


def _back(plan: LayerPlan) -> str | None:
    """What the reset takes because the membrane of the step before is above its threshold."""
    if plan.layer.reset_time == "now" or not plan.fires:
        return None
    threshold = _value(plan, "threshold", "j")
    return f"s->v_{plan.id}[j] {_COMPARE[plan.layer.compare]} {threshold} ? {threshold} : 0"


def _clip(plan: LayerPlan) -> str:
    """Where the membrane saturates: nowhere, below always and above in a spike, or in full.

    Above its threshold a neuron fires, so that the upper limit matters only there.
    """
    layer = plan.layer
    if not layer.saturate_v:
        return "no"
    inside = layer.threshold is not None and np.all(np.abs(layer.threshold) < NUMERICS.state_max)
    at_once = layer.reset != "none" and layer.reset_time == "now"
    return "split" if inside and at_once else "full"


def _safe(plan: LayerPlan) -> tuple[int, str]:
    """(how many arrivals cannot make |v| exceed its limit, the C expression that counts them).

    If |x + leak| <= (1 - alpha) S, then |v| <= S stays true, whatever came before. (0, "0"):
    nothing is known, so that the limit must be tested in every step.
    """
    layer = plan.layer
    decaying = layer.beta is None and int(layer.alpha.max()) < ONE
    sinking = layer.threshold is None or layer.reset == "set" or bool(np.all(layer.threshold >= 0))
    largest = max((int(np.abs(r.table.weight).max(initial=0)) for r in layer.routes), default=0)
    late = layer.reset_time == "next"
    if late or not (layer.saturate_v and decaying and sinking and largest):
        return 0, "0"
    room = NUMERICS.state_max * (ONE - int(layer.alpha.max())) // ONE - 2
    room -= int(np.abs(layer.bias).max()) + int(np.abs(layer.leak).max())
    counted = " + ".join(_arrivals(route) for route in plan.routes)
    return max(0, room // (largest << layer.shift)), counted


def _arrivals(route: RoutePlan) -> str:
    """How often the events of a route can reach one neuron, in C."""
    if route.pool is None:
        return route_count(route)
    windows = [-(-k // s) for k, s in zip(route.pool.kernel, route.pool.stride, strict=True)]
    return f"{windows[0] * windows[1]} * {route_count(route)}"


def _after(plan: LayerPlan) -> str:
    if not plan.fires or plan.layer.reset == "none" or plan.layer.reset_time == "next":
        return "v"
    if plan.layer.reset == "subtract":
        top = f"snn_least(v, {NUMERICS.state_max})" if _clip(plan) == "split" else "v"
        return f"{top} - {_value(plan, 'threshold', 'j')}".replace("- -", "+ ")
    return _value(plan, "v_reset", "j")


def route_view(layout: Layout, plan: LayerPlan, index: int) -> dict[str, Any]:
    """What `route.c.j2` prints: where the events are, and the kernel's call."""
    route = plan.routes[index]
    slot = _slot(route.source, route.slots, route.delay)
    alone = route.source == "input" and route.slots == 1
    events = "s->events_input" if alone else f"s->events_{route.source}[{slot}]"
    source = comment(plan.layer.routes[index].source)
    late = f", {route.delay} steps ago" if route.delay else ""
    return {
        "title": f"from {source}{late}",
        "events": events,
        "count": route_count(route),
        "geometry": _geometry(route),
        "pool": _pool(route),
        "full": _full(route),
        "call": _call(route, plan.layer.accumulator_bits, first=index == 0),
    }


def route_count(route: RoutePlan) -> str:
    """The number of events the route reads, in C."""
    alone = route.source == "input" and route.slots == 1
    slot = _slot(route.source, route.slots, route.delay)
    return "s->count_input" if alone else f"s->count_{route.source}[{slot}]"


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


def _full_call(route: RoutePlan, bits: int, fours: int) -> str:
    weight = route.weight.name
    if isinstance(route.table, ConvTable):
        buffers = "&shape, s->full_map, s->full_patch, s->full_column"
        return f"snn_full_map_{bits}(acc, {buffers}, {weight}, {fours})"
    outputs = route.table.weight.shape[1] if isinstance(route.table, DenseTable) else 0
    return f"snn_full_{bits}(acc, s->full_map, s->full_column, {weight}, {fours}, {outputs})"


def _call(route: RoutePlan, bits: int, *, first: bool) -> str:
    if route.full is not None:
        return _full_call(route, bits, route.full.fours)
    events = "s->pooled, n" if route.pool is not None else "events, n_events"
    kernel = "_".join(map(str, (f"snn_{route.kind}", bits, *_kernel(route))))
    weight = route.weight.name
    if route.indptr is not None and route.target is not None:
        return f"{kernel}(acc, {route.indptr.name}, {route.target.name}, {weight}, {events})"
    if isinstance(route.table, ConvTable):
        length = route.words or route.table.weight.shape[3]
        return f"{kernel}(acc, {weight}, {length}, &geometry, {events})"
    add = 0 if first and route.pool is None else 1
    return f"{kernel}(acc, {weight}, {route.words}, {events}, {add})"


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


def kinds(layout: Layout, kind: str) -> list[list[Any]]:
    """What the kernels of this kind must handle: accumulator and weight bits, and the rest."""
    found = {
        (layer.layer.accumulator_bits, *_kernel(route))
        for layer in layout.layers
        for route in layer.routes
        if route.kind == kind
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
    return sorted({r.bits for r in routes if r.kind != "dense" and not r.words and r.bits < 8})


def route_strides(layout: Layout) -> int:
    """The largest stride of any convolution, at least 1."""
    axes = [axis for x in layout.layers for r in x.routes for axis in (r.y, r.x) if axis]
    return max([1, *(axis.stride.divisor for axis in axes)])
