"""From a program to C objects: identifiers, integer types, constant arrays, loop constants.

Everything the templates print is decided here, so that sizes are known without a compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from snnstack.backends.mcu.geometry import AxisTaps, Quotient, pool_strides, quotient, split, taps
from snnstack.backends.mcu.program import ConvTable, Layer, Program, Route, SparseTable
from snnstack.ir.nodes import Array
from snnstack.ir.step import Pool

ONE = 65536
"""A decay factor that means "keep everything"."""
CHUNK = 64
"""Events remapped by a pool at a time; bounds the scratch memory."""


@dataclass(frozen=True)
class Constant:
    """A read-only C array."""

    name: str
    ctype: str
    values: Array

    @property
    def size(self) -> int:
        """Bytes in flash."""
        return int(self.values.nbytes)


@dataclass(frozen=True)
class RoutePlan:
    """One route: what its kernel call needs."""

    kind: str
    delay: int
    source: str
    slots: int
    weight: Constant
    indptr: Constant | None
    target: Constant | None
    table: object
    y: AxisTaps | None
    x: AxisTaps | None
    split: tuple[Quotient, Quotient] | None
    group: Quotient | None
    pool: Pool | None
    pool_split: tuple[Quotient, Quotient] | None
    pool_stride: tuple[Quotient, Quotient] | None


@dataclass(frozen=True)
class LayerPlan:
    """One layer: identifier, parameters (a number, or an array with one entry per neuron).

    `slots`: steps of own events kept; `idle`: see `_idle`; `fired_type`: of refractory counters.
    """

    id: str
    layer: Layer
    routes: tuple[RoutePlan, ...]
    parameters: dict[str, int | Constant]
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
        return self.layer.threshold is not None


@dataclass(frozen=True)
class Layout:
    """The whole network; `event_bits` (16 or 32) hold every element number."""

    program: Program
    input_slots: int
    input_capacity: int
    layers: tuple[LayerPlan, ...]
    constants: tuple[Constant, ...]
    event_bits: int

    @property
    def pools(self) -> bool:
        """Whether any route needs the scratch list of a pool."""
        return any(r.pool is not None for layer in self.layers for r in layer.routes)

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
    def scratch_bytes(self) -> int:
        """Bytes of the accumulators that all layers share (a multiple of 4)."""
        return max(4 * -(-p.n * p.layer.accumulator_bits // 32) for p in self.layers)

    @property
    def state_bytes(self) -> int:
        """sizeof(<net>_state) on a 32-bit core, padding included."""
        event = self.event_bits // 8
        size = 0
        for width, count in (field for layer in self.layers for field in _fields(layer, event)):
            size = -(-size // width) * width + width * count
        if self.input_slots > 1:
            ring = event * self.input_slots * self.input_capacity
            size = -(-(-(-size // 4) * 4 + 4 * (self.input_slots + 1) + ring) // 4) * 4
        else:
            size = -(-size // 4) * 4 + 8
        size += self.scratch_bytes + (event * CHUNK if self.pools else 0)
        return -(-size // 4) * 4

    @property
    def flash_bytes(self) -> int:
        """Bytes of all constant arrays."""
        return sum(constant.size for constant in self.constants)


def _fields(plan: LayerPlan, event: int) -> Iterable[tuple[int, int]]:
    """(bytes of one, how many) of a layer's fields, in the order of `net.h.j2`."""
    yield 4, plan.n
    if plan.layer.beta is not None:
        yield 4, plan.n
    if plan.fires:
        yield 4, plan.slots + (1 if plan.slots > 1 else 0)
        yield event, plan.slots * plan.n
        if plan.layer.refractory:
            yield {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4}[plan.fired_type], plan.n


def identifiers(names: Iterable[str]) -> tuple[str, ...]:
    """Different C identifier tails for `names`, close to them.

    >>> identifiers(["fc 1", "fc-1", "out"])
    ('fc_1', 'fc_1_2', 'out')
    """
    found: list[str] = []
    for name in names:
        base = re.sub(r"\W", "_", name, flags=re.ASCII).lower() or "layer"
        number, candidate = 1, base
        while candidate in found:
            number += 1
            candidate = f"{base}_{number}"
        found.append(candidate)
    return tuple(found)


def plan(program: Program) -> Layout:
    """All C objects of `program`."""
    ids = identifiers(["input", *(layer.name for layer in program.layers)])[1:]
    sources = {program.input.name: ("input", max(1, program.input.history))}
    for layer, id_ in zip(program.layers, ids, strict=True):
        sources[layer.name] = (id_, max(1, layer.history))
    largest = max([int(np.prod(program.input.shape)), *(_span(x) for x in program.layers)])
    layers = tuple(
        _layer(layer, id_, program.name, sources)
        for layer, id_ in zip(program.layers, ids, strict=True)
    )
    return Layout(
        program,
        max(1, program.input.history),
        int(np.prod(program.input.shape)) * program.input.max_count,
        layers,
        tuple(_constants(layers)),
        16 if largest <= 65536 else 32,
    )


def _span(layer: Layer) -> int:
    pooled = (int(np.prod(r.pool.out_shape)) for r in layer.routes if r.pool is not None)
    return max([layer.n, *pooled])


def _constants(layers: Iterable[LayerPlan]) -> Iterable[Constant]:
    for layer in layers:
        for route in layer.routes:
            yield from (c for c in (route.weight, route.indptr, route.target) if c is not None)
        yield from (value for value in layer.parameters.values() if isinstance(value, Constant))


def _narrow(values: Array, *types: str) -> tuple[str, Array]:
    """The first C type of `types` that holds all values, and the values in it."""
    for ctype in types:
        info = np.iinfo(ctype.removesuffix("_t"))
        if values.size == 0 or (info.min <= int(values.min()) and int(values.max()) <= info.max):
            break
    return ctype, np.ascontiguousarray(values, dtype=ctype.removesuffix("_t"))


def _layer(layer: Layer, id_: str, net: str, sources: dict[str, tuple[str, int]]) -> LayerPlan:
    parameters: dict[str, int | Constant] = {}
    arrays = {"alpha": layer.alpha, "beta": layer.beta, "bias": layer.bias, "leak": layer.leak}
    if layer.threshold is not None:
        arrays["threshold"] = layer.threshold
        if layer.reset == "set":
            arrays["v_reset"] = layer.v_reset
    for name, values in arrays.items():
        if values is not None:
            parameters[name] = _parameter(f"{net}_{id_}_{name}", name, values)
    routes = tuple(
        _route(route, f"{net}_{id_}_{k}", *sources[route.source])
        for k, route in enumerate(layer.routes)
    )
    fired = "uint8_t" if layer.refractory < 256 else "uint16_t"
    fired = fired if layer.refractory < 65536 else "uint32_t"
    return LayerPlan(id_, layer, routes, parameters, max(1, layer.history), _idle(layer), fired)


def _parameter(name: str, role: str, values: Array) -> int | Constant:
    if np.all(values == values.flat[0]):
        return int(values.flat[0])
    types = ("uint16_t", "uint32_t") if role in ("alpha", "beta") else ("int16_t", "int32_t")
    return Constant(name, *_narrow(values, *types))


def _idle(layer: Layer) -> bool:
    """Whether a step without input changes nothing, unless a neuron fired in the step before.

    Every neuron that did not fire has v on the quiet side of its threshold; without decay,
    leak, bias, current and refractory counters it stays there.
    """
    still = bool(np.all(layer.alpha == ONE)) and layer.beta is None and layer.refractory == 0
    if not still or np.any(layer.bias) or np.any(layer.leak):
        return False
    if layer.threshold is None:
        return True
    fires_at_zero = layer.threshold < 0 if layer.compare == "gt" else layer.threshold <= 0
    return not np.any(fires_at_zero)


def _route(route: Route, name: str, source: str, slots: int) -> RoutePlan:
    table, pool = route.table, route.pool
    weight = Constant(f"{name}_w", "int8_t", np.ascontiguousarray(table.weight, dtype=np.int8))
    indptr = target = y = x = pixels = group = None
    if isinstance(table, SparseTable):
        indptr = Constant(f"{name}_row", *_narrow(table.indptr, "uint16_t", "uint32_t"))
        target = Constant(f"{name}_to", *_narrow(table.target, "uint8_t", "uint16_t", "uint32_t"))
        kind = "sparse"
    elif isinstance(table, ConvTable):
        kind = "conv"
        y, x = taps(table, 0), taps(table, 1)
        pixels = split(table.in_shape)
        channels = table.in_shape[0]
        group = quotient(channels // table.groups, channels) if table.groups > 1 else None
    else:
        kind = "dense"
    pool_split = split(pool.in_shape) if pool is not None else None
    pool_stride = pool_strides(pool) if pool is not None else None
    return RoutePlan(
        kind, route.delay, source, slots, weight, indptr, target, table, y, x, pixels, group,
        pool, pool_split, pool_stride,
    )  # fmt: skip
