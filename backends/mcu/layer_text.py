"""The C expressions of one layer: what `layer.c.j2` prints."""

from __future__ import annotations

from typing import Any

from snnstack.backends.mcu.cells import fields, starts
from snnstack.backends.mcu.layout import LayerPlan, Layout
from snnstack.backends.mcu.neuron_text import neuron_text
from snnstack.backends.mcu.route_text import ring_slot, route_view
from snnstack.foreign_text import comment


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
        "valued": bool(layer.payload),
        "slots": plan.slots,
        "slot": ring_slot(plan.id, plan.slots, 0),
        "idle": plan.idle,
        "loud": plan.loud,
        "quiet": plan.quiet,
        "zeroed": _zeroed(plan, layout.counted) and not layout.kept_clear,
        "routes": routes,
        "equation": _equation(plan),
    }
    return head | {
        "starts": starts(plan.layer, plan.parameters),
        "neuron": neuron_text(plan, layout.program.c_name, layout.core, layout.family == "mve"),
        "waits": plan.fired_type if plan.rests else None,
    }


def _zeroed(plan: LayerPlan, counted: bool) -> bool:
    """Whether the first route adds to the accumulators instead of filling them."""
    if not plan.routes or plan.ports > 1:
        return True
    first = plan.routes[0]
    in_parts = first.pool is not None or (counted and first.source == "input") or first.valued
    return first.kind != "dense" or in_parts


def _left(plan: LayerPlan, words: int) -> tuple[int, int]:
    """(first, count) of the accumulator words to clear after the neurons were updated."""
    if not plan.routes:
        return 0, 0
    done = 0 if not plan.quiet else plan.n // plan.quiet * 8
    return done, plan.ports * words - done


def _equation(plan: LayerPlan) -> str:
    if not plan.layer.is_lif:
        return comment(plan.layer.model.name)
    kind = "LIF" if plan.fires else "LI"
    return ("Cuba" if plan.layer.beta is not None else "") + kind
