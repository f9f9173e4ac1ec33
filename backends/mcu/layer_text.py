"""The C expressions of one layer: what `layer.c.j2` prints.

The arithmetic is that of `snnstack.quant.network`, with constants folded in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.mcu.cells import cells_view, fields
from snnstack.backends.mcu.layer_vectors import vectors
from snnstack.backends.mcu.layout import LayerPlan, Layout
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.route_plan import Constant, RoutePlan
from snnstack.backends.mcu.route_text import ring_slot, route_count, route_view
from snnstack.dynamics.print_c import Lines
from snnstack.foreign_text import comment

_COMPARE = {"gt": ">", "ge": ">="}


def layer_view(layout: Layout, plan: LayerPlan) -> dict[str, Any]:
    """Everything the templates print about one layer."""
    layer = plan.layer
    routes = [route_view(layout, plan, k) for k in range(len(plan.routes))]
    words = plan.words
    head = {
        "id": plan.id,
        "ID": plan.id.upper(),
        "n": plan.n,
        "title": f"{comment(layer.name)} {comment(list(layer.shape))}"
        + (", channel last" if layer.order == "hwc" else ""),
        "bits": layer.accumulator_bits,
        "words": words,
        "ports": plan.ports,
        "row": plan.row,
        "states": fields(layer),
        "left": _left(plan, words) if layout.kept_clear else (0, 0),
        "fires": plan.fires,
        "slots": plan.slots,
        "slot": ring_slot(plan.id, plan.slots, 0),
        "idle": plan.idle,
        "loud": plan.loud,
        "quiet": plan.quiet,
        "zeroed": _zeroed(plan, layout.counted) and not layout.kept_clear,
        "routes": routes,
    }
    return head | (_of_lif(layout, plan) if plan.cells is None else _of_cells(plan, plan.cells))


def _of_cells(plan: LayerPlan, lines: Lines) -> dict[str, Any]:
    cells = cells_view(plan.layer, lines, plan.parameters)
    return {"cells": cells, "equation": comment(plan.layer.model.name), "refractory": 0}


def _of_lif(layout: Layout, plan: LayerPlan) -> dict[str, Any]:
    """The expressions of a layer of the LIF family."""
    layer = plan.layer
    return {
        "cells": None,
        "equation": _equation(plan),
        "current": layer.beta is not None,
        "refractory": layer.refractory if plan.fires else 0,
        "wait_type": plan.fired_type,
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


def _zeroed(plan: LayerPlan, counted: bool) -> bool:
    """Whether the first route adds to the accumulators instead of filling them."""
    if not plan.routes or plan.ports > 1:
        return True
    first = plan.routes[0]
    in_parts = first.pool is not None or (counted and first.source == "input")
    return first.kind != "dense" or in_parts


def _left(plan: LayerPlan, words: int) -> tuple[int, int]:
    """(first, count) of the accumulator words to clear after the neurons were updated."""
    if not plan.routes:
        return 0, 0
    done = 0 if not plan.quiet else plan.n // plan.quiet * 8
    return done, plan.ports * words - done


def _equation(plan: LayerPlan) -> str:
    kind = "LIF" if plan.fires else "LI"
    return ("Cuba" if plan.layer.beta is not None else "") + kind


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
    kernel = {"less": "snn_less", "part": "snn_part", "any": "snn_decay", "fine": "snn_fine"}[how]
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
    one = 1 << layer.alpha_bits
    decaying = layer.beta is None and int(layer.alpha.max()) < one
    sinking = layer.threshold is None or layer.reset == "set" or bool(np.all(layer.threshold >= 0))
    largest = max((int(np.abs(r.table.weight).max(initial=0)) for r in layer.routes), default=0)
    late = layer.reset_time == "next"
    if late or not (layer.saturate_v and decaying and sinking and largest):
        return 0, "0"
    room = NUMERICS.state_max * (one - int(layer.alpha.max())) // one - 2
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
