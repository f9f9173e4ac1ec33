"""The neurons of one layer in C, printed from the step of their model: neuron number `@`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.backends.mcu.cells import FIELD, TABLE, fields
from snnstack.backends.mcu.door import room
from snnstack.backends.mcu.layout import FEW_BITS, ONE, LayerPlan
from snnstack.backends.mcu.neuron_lanes import four_lanes
from snnstack.backends.mcu.route_plan import Constant, RoutePlan
from snnstack.backends.mcu.route_text import route_count
from snnstack.dynamics.c_place import Operand, Place
from snnstack.dynamics.expr import E, lift, ordered
from snnstack.dynamics.print_c import printed
from snnstack.dynamics.print_mve import four
from snnstack.dynamics.proofs import proven
from snnstack.dynamics.reduced import known
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import Step, traced

NUMBER = "@"
UNROLL, SHORT = 4, 16
FEW = 32
"""Arrivals below which a loop of its own is not worth its code."""
BRANCHING = ("cortex-m0", "cortex-m0plus", "rv32")
"""Cores without conditional execution."""
KERNELS = {"less": "snn_less", "part": "snn_part", "any": "snn_decay"}


@dataclass(frozen=True)
class NeuronText:
    """`lines` of any step, `four` for four neurons in vectors; `few` those of a step in which at
    most `most` events arrive, 0 where that makes no difference, `arrivals` the C expression that
    counts them.
    """

    lines: tuple[str, ...]
    four: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    most: int = 0
    arrivals: str = "0"

    @property
    def unroll(self) -> int:
        """Neurons per turn of the loop: few where a neuron is long."""
        return UNROLL if len(self.lines) <= SHORT else 1


def neuron_text(plan: LayerPlan, net: str, core: str, vectors: bool) -> NeuronText:
    """What a step does to each neuron of a layer on a `core`, with `vectors` four at a time."""
    step, place = traced(plan.layer.neurons), _place(plan, net, core not in BRANCHING)
    sums: dict[str, Span] = dict.fromkeys(plan.layer.model.inputs, (0, 0))
    for k in {0, *(route.port for route in plan.layer.routes)}:
        least = -room(plan.layer) - (not plan.layer.is_lif)
        sums[plan.layer.model.inputs[k]] = (least, room(plan.layer))
    states = proven(step, sums)
    more = _loud(plan, step)
    lines = printed(step, place, {**states, **sums}, more=more).lines
    lanes: tuple[str, ...] = ()
    if vectors and not plan.layer.payload:
        lanes = four(step, four_lanes(plan, net), {**states, **sums}, more)
    most = 0 if lanes else _few(plan, step, states, sums)
    if not most:
        return NeuronText(lines, lanes)
    reach = most * _heaviest(plan)
    narrow: dict[str, Span] = dict.fromkeys(sums, (-reach, reach))
    few = printed(step, place, {**states, **narrow}, more=more).lines
    return NeuronText(lines, lanes, few, most, " + ".join(map(_arrivals, plan.routes)))


def _place(plan: LayerPlan, net: str, joined: bool) -> Place:
    """How this layer's arrays are written."""
    layer, id_ = plan.layer, plan.id
    names = dict(fields(layer))

    def state(name: str) -> str:
        return f"s->{names.get(name, name if layer.is_lif else FIELD + name)}_{id_}[{NUMBER}]"

    def sums(name: str) -> str:
        port = layer.model.inputs.index(name)
        return f"acc[{NUMBER} + {port * plan.row}]" if port else f"acc[{NUMBER}]"

    def parameter(name: str) -> str:
        held = plan.parameters[name]
        assert isinstance(held, Constant)
        return f"{held.name}[{NUMBER}]"

    return Place(
        state=state,
        input=sums,
        param=parameter,
        table=lambda name: f"{net}_{id_}_{TABLE}{name}",
        spike=lambda: f"*next++ = ({net}_event)({NUMBER});",
        value=lambda text: (
            f"if ((*carried = (int16_t)({text})) != 0) {{ "
            f"*next++ = ({net}_event)({NUMBER}); carried++; }}"
        ),
        rare="SNN_RARE({})".format,
        joined=joined,
        result=lambda name, text: "" if text == "0" else f"s->{name}_{id_} |= {text};",
        own={
            "decay": lambda _, args: _decayed(plan, args),
            "fine_decay": lambda _, args: _fine(plan, args),
        },
    )


def _decayed(plan: LayerPlan, args: tuple[Operand, ...]) -> str | None:
    """A decay of 16 bits by the kernels of the core; None: as C has it."""
    x, factor, bits = args
    low, high = factor.span
    if x.kind != "int32_t" or bits.e.value != FEW_BITS or low < 0 or high > ONE:
        return None
    if factor.e.op == "const":
        less = factor.e.value >= ONE // 2
        stored = factor.e.value - ONE if less else factor.e.value
        return f"{KERNELS['less' if less else 'part']}({x.text}, {stored})"
    return f"{KERNELS[plan.decays.get(factor.e.value, 'any')]}({x.text}, {factor.text})"


def _fine(plan: LayerPlan, args: tuple[Operand, ...]) -> str | None:
    x, factor, _ = args
    if x.kind != "int32_t" or not plan.layer.is_lif:
        return None
    if factor.e.op == "const":
        return f"snn_fine({x.text}, {factor.e.value - (1 << 32)})"
    held = plan.parameters[factor.e.value]
    return f"snn_fine({x.text}, {held.name}[{NUMBER}])" if isinstance(held, Constant) else None


def _loud(plan: LayerPlan, step: Step) -> dict[str, E]:
    """Whether a neuron that spikes is above its threshold even then."""
    if not plan.loud:
        return {}
    used = {*step.scalars, *step.arrays}
    threshold = E("param", value="threshold") if "threshold" in used else lift(0)
    v, sent = step.roots["state v"], step.roots["sent"]
    above = E("gt" if plan.layer.compare == "gt" else "ge", (v, threshold))
    return {"loud": E("and", (sent, above))}


def _few(plan: LayerPlan, step: Step, states: Mapping[str, Span], sums: Mapping[str, Span]) -> int:
    """How many arrivals leave clips without effect that could act else; 0: no number does."""
    heaviest = _heaviest(plan)
    if not heaviest or not plan.layer.is_lif or plan.idle:
        return 0

    def clips(reach: int) -> int:
        case = known(step, {**states, **{name: (-reach, reach) for name in sums}})
        roots = case.reduced(step.roots)
        return sum(e.op in ("sat", "min", "max", "wrap") for e in ordered(roots.values()))

    least, limit = clips(heaviest), room(plan.layer) // heaviest
    if least >= clips(limit * heaviest):
        return 0
    low, high = 1, limit  # `low` arrivals have the fewest clips, `high` have more
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if clips(middle * heaviest) == least else (low, middle)
    return low if low >= FEW else 0


def _heaviest(plan: LayerPlan) -> int:
    return max((int(np.abs(r.table.weight).max(initial=0)) for r in plan.layer.routes), default=0)


def _arrivals(route: RoutePlan) -> str:
    """How often the events of a route can reach one neuron, in C."""
    if route.pool is None:
        return route_count(route)
    windows = [-(-k // s) for k, s in zip(route.pool.kernel, route.pool.stride, strict=True)]
    return f"{windows[0] * windows[1]} * {route_count(route)}"
