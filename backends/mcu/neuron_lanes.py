"""Four neurons of a layer in a Helium register: where they are, and the kernels of their decays."""

from __future__ import annotations

from snnstack.backends.mcu.cells import FIELD, fields
from snnstack.backends.mcu.layout import FEW_BITS, ONE, LayerPlan
from snnstack.backends.mcu.route_plan import Constant
from snnstack.dynamics.expr import E
from snnstack.dynamics.print_mve import Lanes

_LOAD = {"int16_t": "vldrhq_s32", "int32_t": "vldrwq_s32"}
_WAIT = {"uint8_t": "b", "uint16_t": "h", "uint32_t": "w"}


def four_lanes(plan: LayerPlan, net: str) -> Lanes:
    """How neurons `@` to `@ + 3` are read and written."""
    layer, names = plan.layer, dict(fields(plan.layer))
    width = _WAIT[plan.fired_type]

    def place(name: str) -> str:
        field = names.get(name, name if layer.is_lif else FIELD + name)
        return f"s->{field}_{plan.id} + @"

    def waits(name: str) -> bool:
        return layer.is_lif and name == "wait"

    def leaf(e: E) -> str:
        if e.op == "state" and waits(e.value):
            return f"vreinterpretq_s32_u32(vldr{width}q_u32({place(e.value)}))"
        if e.op == "state":
            return f"vldrwq_s32({place(e.value)})"
        if e.op == "input":
            port = layer.model.inputs.index(e.value)
            load = "vldrhq_s32" if layer.accumulator_bits == 16 else "vldrwq_s32"
            return f"{load}(acc + @{f' + {port * plan.row}' if port else ''})"
        return _loaded(plan, e.value)

    def store(name: str, text: str) -> str:
        if waits(name):
            return f"vstr{width}q_u32({place(name)}, vreinterpretq_u32_s32({text}));"
        return f"vstrwq_s32({place(name)}, {text});"

    return Lanes(
        leaf=leaf,
        store=store,
        spikes=lambda over: (
            "uint32_t lanes, k;",
            f"for (lanes = {over}, k = @; lanes != 0; lanes >>= 4, k++)",
            "    if (lanes & 1u)",
            f"        *next++ = ({net}_event)k;",
        ),
        result=lambda name, text: f"s->{name}_{plan.id} |= {text};",
        rare="SNN_RARE({})".format,
        own={
            "decay": lambda e, texts: _decayed(plan, e, texts),
            "fine_decay": lambda e, texts: _fine(plan, e, texts),
        },
    )


def _loaded(plan: LayerPlan, name: str) -> str:
    held = plan.parameters[name]
    assert isinstance(held, Constant)
    return f"{_LOAD[held.ctype]}({held.name} + @)"


def _decayed(plan: LayerPlan, e: E, texts: tuple[str, ...]) -> str | None:
    factor = e.args[1]
    if e.args[2].value != FEW_BITS:
        return None
    if factor.op == "const" and 0 <= factor.value <= ONE:
        less = factor.value >= ONE // 2
        stored = factor.value - ONE if less else factor.value
        return f"snn_{'less' if less else 'part'}4({texts[0]}, vdupq_n_s32({stored}))"
    held = plan.parameters.get(factor.value) if factor.op == "param" else None
    if not isinstance(held, Constant):
        return None
    kind = plan.decays.get(factor.value, "any")
    if kind == "any" and (held.values.min() < 0 or held.values.max() > ONE):
        return None
    return f"snn_{'decay' if kind == 'any' else kind}4({texts[0]}, {texts[1]})"


def _fine(plan: LayerPlan, e: E, texts: tuple[str, ...]) -> str | None:
    factor = e.args[1]
    if not plan.layer.is_lif:
        return None
    if factor.op == "const":
        return f"snn_fine4({texts[0]}, vdupq_n_s32({factor.value - (1 << 32)}))"
    return f"snn_fine4({texts[0]}, {_loaded(plan, factor.value)})" if factor.op == "param" else None
