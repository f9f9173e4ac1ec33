"""The Helium expressions of one layer: what `neurons_mve.c.j2` prints, four neurons a vector."""

from __future__ import annotations

from typing import Any

from snnstack.backends.mcu.layout import LayerPlan
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.route_plan import Constant

_LOAD = {"int16_t": "vldrhq_s32", "int32_t": "vldrwq_s32"}
_WAIT = {"uint8_t": "b", "uint16_t": "h", "uint32_t": "w"}


def vectors(plan: LayerPlan) -> dict[str, Any]:
    """Parameters as vectors of neurons `j` to `j + 3`; "" where there is nothing to add."""
    layer = plan.layer
    width = _WAIT[plan.fired_type]
    return {
        "shift": layer.shift,
        "alpha_kind": _kernel(plan.decays["alpha"]),
        "alpha": _value(plan, "alpha"),
        "beta_kind": _kernel(plan.decays.get("beta", "all")),
        "beta": _value(plan, "beta"),
        "bias": _added(plan, "bias"),
        "leak": _added(plan, "leak"),
        "threshold": _value(plan, "threshold"),
        "strict": layer.compare == "gt",
        "back": plan.fires and layer.reset_time != "now",
        "current": layer.beta is not None,
        "refractory": layer.refractory if plan.rests else 0,
        "limit_v": NUMERICS.state_max if layer.saturate_v else 0,
        "late": plan.fires and layer.reset_time == "next",
        "tested": "vsubq_s32(v, back)" if layer.reset_time == "recheck" else "v",
        "after": _after(plan),
        "limit_i": NUMERICS.current_max if layer.saturate_i else 0,
        "wait_load": f"vldr{width}q_u32",
        "wait_store": f"vstr{width}q_u32",
    }


def _kernel(decay: str) -> str:
    return "decay" if decay == "any" else decay


def _value(plan: LayerPlan, name: str) -> str:
    value = plan.parameters.get(name, 0)
    if isinstance(value, Constant):
        return f"{_LOAD[value.ctype]}({value.name} + j)"
    return f"vdupq_n_s32({value})"


def _added(plan: LayerPlan, name: str) -> str:
    return "" if plan.parameters[name] == 0 else _value(plan, name)


def _after(plan: LayerPlan) -> str:
    """The membrane of neurons that fired; "" where it stays as it is."""
    late = plan.layer.reset_time == "next"
    if not plan.fires or plan.layer.reset == "none" or late:
        return ""
    if plan.layer.reset == "subtract":
        return f"vsubq_s32(v, {_value(plan, 'threshold')})"
    return _value(plan, "v_reset")
