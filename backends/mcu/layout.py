"""From a program to C objects: identifiers, integer types, constant arrays, loop constants.

Everything the templates print is decided here, so that sizes are known without a compiler.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from snnstack.backends.mcu.cells import cells, parameter
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.kernels import Kernels, kernels
from snnstack.backends.mcu.pack import PAIRED, PLAIN
from snnstack.backends.mcu.program import Layer, Program
from snnstack.backends.mcu.route_plan import Constant, RoutePlan, full_route, route_plan
from snnstack.foreign_text import identifiers
from snnstack.ir.nodes import Array

ONE = 65536
"""A decay factor of 16 bits that means "keep everything"."""
FEW_BITS = 16
Decay = Literal["all", "none", "less", "part", "any", "fine"]
CHUNK = 64
"""Events remapped by a pool at a time; bounds the scratch memory."""


@dataclass(frozen=True)
class LayerPlan:
    """One layer: identifier, parameters (a number, or an array with one entry per neuron).

    `decays`: how "alpha" and "beta" are stored, see `_decay`. `slots`: steps of own events kept;
    `idle`: see `_idle`; `fired_type`: of refractory counters.
    """

    id: str
    layer: Layer
    routes: tuple[RoutePlan, ...]
    parameters: dict[str, int | Constant]
    decays: dict[str, Decay]
    slots: int
    idle: bool
    fired_type: str

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.layer.n

    @property
    def fires(self) -> bool:
        """Whether the layer has events."""
        return self.layer.fires

    @property
    def rests(self) -> bool:
        """Whether there are refractory counters, which have a type of their own."""
        return self.fires and self.layer.is_lif and bool(self.layer.refractory)

    @property
    def ports(self) -> int:
        """How many sums a neuron has, each in a row of accumulators."""
        return 1 + max((route.port for route in self.layer.routes), default=0)

    @property
    def loud(self) -> bool:
        """Whether the state says if a neuron is above its threshold even after its reset.

        Such a neuron may change without input; only a layer that can be idle needs to know.
        """
        layer = self.layer
        if not (self.idle and layer.threshold is not None):
            return False
        if layer.reset != "set" or layer.reset_time != "now":
            return True
        above = layer.v_reset > layer.threshold
        return bool(np.any(above | ((layer.v_reset == layer.threshold) & (layer.compare == "ge"))))

    @property
    def quiet(self) -> int:
        """How many neurons are skipped at once where no input came; 0: none ever."""
        few = any(route.kind != "dense" for route in self.routes)
        return 256 // self.layer.accumulator_bits if self.idle and few else 0

    @property
    def accumulators(self) -> int:
        """How many accumulators its kernels write: neurons, rounded up to whole table words."""
        return max([self.n, *(route.reach for route in self.routes)])

    @property
    def words(self) -> int:
        """32-bit words of the accumulators of one of its sums."""
        return -(-self.accumulators * self.layer.accumulator_bits // 32)

    @property
    def row(self) -> int:
        """Accumulators from one of its sums to the next."""
        return self.words * 32 // self.layer.accumulator_bits


@dataclass(frozen=True)
class PartPlan:
    """One of several inputs: its elements are `first` and following of the door's.

    `slots`: steps of events kept, of at most `capacity` each.
    """

    id: str
    name: str
    shape: tuple[int, ...]
    order: str
    first: int
    n: int
    slots: int
    capacity: int


@dataclass(frozen=True)
class Layout:
    """The whole network; `event_bits` (16 or 32) hold every element number."""

    program: Program
    input_slots: int
    input_capacity: int
    layers: tuple[LayerPlan, ...]
    constants: tuple[Constant, ...]
    event_bits: int
    parts: tuple[PartPlan, ...] = ()

    @property
    def pools(self) -> bool:
        """Whether any route needs the scratch list of a pool."""
        return any(r.pool is not None for layer in self.layers for r in layer.routes)

    @property
    def valued(self) -> bool:
        """Whether events of the input carry values."""
        return self.program.input.values

    @property
    def ring(self) -> bool:
        """Whether the network keeps events of the input of its own."""
        return not self.parts and (self.input_slots > 1 or self.valued)

    @property
    def counted(self) -> bool:
        """Whether the input's ring holds how often each element came, instead of its events.

        That takes a fraction of the bytes where an element may come often; events are then
        listed again, a few at a time, by whoever reads them.
        """
        routes = [r for layer in self.layers for r in layer.routes if r.source == "input"]
        many = self.program.input.max_count > self.count_bits // 8
        several = self.input_slots > 1 and not self.valued and not self.parts
        return several and many and all(r.pool is None for r in routes)

    @property
    def count_bits(self) -> int:
        """Bits that hold how often an element of the input comes in a step."""
        most = self.program.input.max_count
        return 8 if most < 2**8 else 16 if most < 2**16 else 32

    @property
    def kept_clear(self) -> bool:
        """Whether every layer leaves the accumulators 0, so that none must clear them before."""
        return any(layer.quiet for layer in self.layers)

    @property
    def divides(self) -> bool:
        """Whether any division by a constant needs a divide."""
        routes = [route for layer in self.layers for route in layer.routes]
        found = [axis.stride for r in routes for axis in (r.y, r.x) if axis is not None]
        found += [r.group for r in routes if r.group is not None]
        for r in routes:
            found += [*(r.split or ()), *(r.pool_split or ()), *(r.pool_stride or ())]
        return any(q.multiply == 0 for q in found)

    @property
    def fine(self) -> bool:
        """Whether any decay has 32 bits."""
        return any("fine" in layer.decays.values() for layer in self.layers)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the accumulators that all layers share (a multiple of 4)."""
        return max(p.ports * 4 * p.words for p in self.layers)

    @property
    def full(self) -> tuple[int, int, int]:
        """Words that routes in full form share: map, patch, column; all 0 if there is none."""
        found = [r.full for layer in self.layers for r in layer.routes if r.full is not None]
        sizes = [(f.map, max(1, f.patch), f.column) for f in found] or [(0, 0, 0)]
        return max(s[0] for s in sizes), max(s[1] for s in sizes), max(s[2] for s in sizes)

    @property
    def core(self) -> str:
        """The board's core."""
        return hardware(self.program.board).core

    @property
    def family(self) -> Kernels:
        """The kernels of the board's core."""
        return kernels(self.core)

    @property
    def byte_output(self) -> tuple[int, ...]:
        """Which of four outputs each byte of a table word holds."""
        return byte_output(self.family)

    @property
    def state_bytes(self) -> int:
        """sizeof(<net>_state) on a 32-bit core, padding included."""
        event = self.event_bits // 8
        size = 4
        for width, count in (field for layer in self.layers for field in _fields(layer, event)):
            size = -(-size // width) * width + width * count
        for part in self.parts:
            heads = 4 * (part.slots + (part.slots > 1))
            ring = part.slots * part.capacity * (event + 2 * self.valued)
            size = -(-(-(-size // 4) * 4 + heads + ring) // 4) * 4
        if self.parts:
            pass
        elif self.ring:
            each = (event + 2 * self.valued) * self.input_capacity
            if self.counted:
                each = self.count_bits // 8 * int(np.prod(self.program.input.shape))
            ring = self.input_slots * each
            heads = 4 * (self.input_slots + (self.input_slots > 1))
            size = -(-(-(-size // 4) * 4 + heads + ring) // 4) * 4
        else:
            size = -(-size // 4) * 4 + 12
        size += (
            self.scratch_bytes
            + (event * CHUNK if self.pools or self.counted else 0)
            + 4 * sum(self.full)
        )
        return -(-size // 4) * 4

    @property
    def flash_bytes(self) -> int:
        """Bytes of all constant arrays."""
        return sum(constant.size for constant in self.constants)


def byte_output(family: Kernels) -> tuple[int, ...]:
    """Which of four outputs each byte of a table word holds, for these kernels."""
    return PLAIN if family == "mve" else PAIRED


def _fields(plan: LayerPlan, event: int) -> Iterable[tuple[int, int]]:
    """(bytes of one, how many) of a layer's fields, in the order of `net.h.j2`."""
    for _ in plan.layer.variables:
        yield 4, plan.n
    if plan.fires:
        yield 4, plan.slots + (1 if plan.slots > 1 else 0) + (1 if plan.loud else 0)
        yield event, plan.slots * plan.n
        if plan.layer.payload:
            yield 2, plan.slots * plan.n
        if plan.rests:
            yield {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4}[plan.fired_type], plan.n


def plan(program: Program) -> Layout:
    """All C objects of `program`."""
    names = [*(layer.name for layer in program.layers), *(part.name for part in program.parts)]
    ids = identifiers(["input", *names])[1:]
    parts = _parts(program, ids[len(program.layers) :])
    ids = ids[: len(program.layers)]
    sources = {program.input.name: ("input", max(1, program.input.history))}
    sources |= {part.name: (part.id, part.slots) for part in parts}
    for layer, id_ in zip(program.layers, ids, strict=True):
        sources[layer.name] = (id_, max(1, layer.history))
    largest = max([int(np.prod(program.input.shape)), *(_span(x) for x in program.layers)])
    layers = tuple(
        _layer(layer, id_, program, sources) for layer, id_ in zip(program.layers, ids, strict=True)
    )
    return Layout(
        program,
        max(1, program.input.history),
        int(np.prod(program.input.shape)) * program.input.max_count,
        layers,
        tuple(_constants(layers)),
        16 if largest <= 65536 else 32,
        parts,
    )


def _parts(program: Program, ids: tuple[str, ...]) -> tuple[PartPlan, ...]:
    found: list[PartPlan] = []
    first = 0
    for part, id_ in zip(program.parts, ids, strict=True):
        slots, most = max(1, part.history), part.n * part.max_count
        found.append(PartPlan(id_, part.name, part.shape, part.order, first, part.n, slots, most))
        first += part.n
    return tuple(found)


def _span(layer: Layer) -> int:
    pooled = (int(np.prod(r.pool.out_shape)) for r in layer.routes if r.pool is not None)
    return max([layer.n, *pooled])


def _constants(layers: Iterable[LayerPlan]) -> Iterable[Constant]:
    for layer in layers:
        for route in layer.routes:
            yield from (c for c in (route.weight, route.indptr, route.target) if c is not None)
        yield from (value for value in layer.parameters.values() if isinstance(value, Constant))


def _layer(
    layer: Layer, id_: str, program: Program, sources: dict[str, tuple[str, int]]
) -> LayerPlan:
    net, order = program.c_name, byte_output(kernels(hardware(program.board).core))
    family = kernels(hardware(program.board).core)
    planned = [
        full_route(route, f"{net}_{id_}_{k}", *sources[route.source], family)
        or route_plan(
            route,
            f"{net}_{id_}_{k}",
            *sources[route.source],
            order,
            valued=program.valued(route.source),
        )
        for k, route in enumerate(layer.routes)
    ]
    ports = (route.port for route in layer.routes)
    routes = tuple(replace(r, port=port) for r, port in zip(planned, ports, strict=True))
    slots = max(1, layer.history)
    if not layer.is_lif:
        return LayerPlan(id_, layer, routes, cells(layer, net, id_), {}, slots, False, "uint8_t")
    parameters, decays = _lif(layer, net, id_)
    fired = "uint8_t" if layer.refractory < 256 else "uint16_t"
    fired = fired if layer.refractory < 65536 else "uint32_t"
    return LayerPlan(id_, layer, routes, parameters, decays, slots, _idle(layer), fired)


def _lif(layer: Layer, net: str, id_: str) -> tuple[dict[str, int | Constant], dict[str, Decay]]:
    """Parameters of a layer of the LIF family, and how its decays are stored."""
    parameters: dict[str, int | Constant] = {}
    decays: dict[str, Decay] = {}
    arrays = {"bias": layer.bias, "leak": layer.leak}
    for name, factors in (("alpha", layer.alpha), ("beta", layer.beta)):
        if factors is not None:
            bits = layer.alpha_bits if name == "alpha" else layer.beta_bits
            decays[name], arrays[name] = _decay(factors, bits)
    if layer.threshold is not None:
        arrays["threshold"] = layer.threshold
        if layer.reset == "set":
            arrays["v_reset"] = layer.v_reset
    for name, values in arrays.items():
        if values is not None:
            parameters[name] = parameter(f"{net}_{id_}_{name}", values)
    return parameters, decays


def _decay(factors: Array, bits: int) -> tuple[Decay, Array]:
    """How to multiply by factors / 2**bits, and the numbers to store for it.

    "fine", of 32 bits: v plus the high half of the product with the stored factor - 2**32. The
    others have 16 bits:

    "all", "none": by 1, by 0. "less": v plus the product with the stored factor - 65536;
    "part": the product with the stored factor; both fit 16 bits with a sign, which one
    instruction multiplies. "any": some of each, stored as they are.
    """
    if bits > FEW_BITS:
        return "fine", factors - (1 << bits)
    if np.all(factors == ONE):
        return "all", factors
    if not np.any(factors):
        return "none", factors
    if np.all(factors >= ONE // 2):
        return "less", factors - ONE
    return ("part" if np.all(factors < ONE // 2) else "any"), factors


def _idle(layer: Layer) -> bool:
    """Whether a step without input changes no neuron that is not above its threshold.

    Without decay, leak, bias, current and refractory counters such a neuron stays as it is.
    """
    still = (
        bool(np.all(layer.alpha == 1 << layer.alpha_bits))
        and layer.beta is None
        and layer.refractory == 0
    )
    if not still or np.any(layer.bias) or np.any(layer.leak):
        return False
    if layer.threshold is None:
        return True
    fires_at_zero = layer.threshold < 0 if layer.compare == "gt" else layer.threshold <= 0
    return not np.any(fires_at_zero)
