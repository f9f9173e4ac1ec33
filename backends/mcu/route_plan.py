"""From a route to C objects: tables in the kernels' order, and the constants of their loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.mcu.full import Full, full, full_words
from snnstack.backends.mcu.geometry import AxisTaps, Quotient, pool_strides, quotient, split, taps
from snnstack.backends.mcu.kernels import Kernels
from snnstack.backends.mcu.pack import pack_list, pack_rows, padded, signed_rows, words_per_row
from snnstack.backends.mcu.program import ConvTable, Route, SparseTable
from snnstack.ir.nodes import Array
from snnstack.ir.step import Pool


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
    """One route: what its kernel call needs.

    `words`: table words per row (dense), or per tap (a convolution whose rows are words; else 0).
    `reach`: accumulators its kernel may write. `port`: which sum of a neuron. `valued`: events
    carry values; weights are a flat list then.
    """

    kind: str
    delay: int
    source: str
    slots: int
    weight: Constant
    indptr: Constant | None
    target: Constant | None
    table: object
    bits: int
    words: int
    reach: int
    y: AxisTaps | None
    x: AxisTaps | None
    split: tuple[Quotient, Quotient] | None
    group: Quotient | None
    pool: Pool | None
    pool_split: tuple[Quotient, Quotient] | None
    pool_stride: tuple[Quotient, Quotient] | None
    full: Full | None = None
    port: int = 0
    valued: bool = False


def narrow(values: Array, *types: str) -> tuple[str, Array]:
    """The first C type of `types` that holds all values, and the values in it."""
    for ctype in types:
        info = np.iinfo(ctype.removesuffix("_t"))
        if values.size == 0 or (info.min <= int(values.min()) and int(values.max()) <= info.max):
            break
    return ctype, np.ascontiguousarray(values, dtype=ctype.removesuffix("_t"))


def full_route(
    route: Route, name: str, source: str, slots: int, family: Kernels
) -> RoutePlan | None:
    """The plan of a route that multiplies everything; None for one that goes by events."""
    table, pool = route.table, route.pool
    if route.form == "events" or isinstance(table, SparseTable):
        return None
    weight = Constant(f"{name}_w", "uint32_t", full_words(table, family))
    return RoutePlan(
        "full", route.delay, source, slots, weight, None, None, table, table.bits, 0, 0,
        None, None, None, None, pool, None if pool is None else split(pool.in_shape),
        None if pool is None else pool_strides(pool), full(table, family),
    )  # fmt: skip


def route_plan(
    route: Route, name: str, source: str, slots: int, order: tuple[int, ...], valued: bool
) -> RoutePlan:
    """The plan of a route that goes by events."""
    table, pool = route.table, route.pool
    indptr = target = y = x = pixels = group = None
    words = reach = 0
    if isinstance(table, SparseTable):
        indptr = Constant(f"{name}_row", *narrow(table.indptr, "uint16_t", "uint32_t"))
        target = Constant(f"{name}_to", *narrow(table.target, "uint8_t", "uint16_t", "uint32_t"))
        kind, weight = "sparse", _listed(f"{name}_w", table.weight, table.bits)
    elif isinstance(table, ConvTable):
        kind = "conv"
        words, weight = _taps(f"{name}_w", table, () if valued else order)
        y, x = taps(table, 0), taps(table, 1)
        pixels = split(table.in_shape)
        channels = table.in_shape[0]
        group = quotient(channels // table.groups, channels) if table.groups > 1 else None
    elif valued:
        kind, weight = "dense", _listed(f"{name}_w", table.weight.ravel(), table.bits)
    else:
        kind = "dense"
        outputs = table.weight.shape[1]
        words = words_per_row(outputs, table.bits)
        reach = -(-padded(outputs, table.bits) // 8) * 8  # Helium writes eight at a time
        packed = pack_rows(table.weight, table.bits, order)
        weight = Constant(f"{name}_w", "uint32_t", packed)
    pool_split = split(pool.in_shape) if pool is not None else None
    pool_stride = pool_strides(pool) if pool is not None else None
    return RoutePlan(
        kind, route.delay, source, slots, weight, indptr, target, table, table.bits, words, reach,
        y, x, pixels, group, pool, pool_split, pool_stride, valued=valued,
    )  # fmt: skip


def _listed(name: str, weight: Array, bits: int) -> Constant:
    """A flat list of weights."""
    if bits > 8:
        return Constant(name, f"int{bits}_t", np.ascontiguousarray(weight, dtype=f"int{bits}"))
    if bits == 8:
        return Constant(name, "int8_t", np.ascontiguousarray(weight, dtype=np.int8))
    return Constant(name, "uint8_t", pack_list(weight, bits))


def _taps(name: str, table: ConvTable, order: tuple[int, ...]) -> tuple[int, Constant]:
    """(table words per row of one tap, or 0 where rows are no whole words; the weights).

    Without an `order` of bytes in words, always a list.
    """
    per_group = table.weight.shape[3]
    weight = table.weight[:, :, list(taps(table, 1).order)]
    rows = weight.reshape(-1, per_group)
    if order and per_group * table.bits % 32 == 0 and table.bits < 8:
        packed = pack_rows(rows, table.bits, order)
        return packed.shape[1], Constant(name, "uint32_t", packed)
    if order and per_group % 4 == 0 and table.bits == 8:
        signed = signed_rows(rows, order)
        return signed.shape[1], Constant(name, "uint32_t", signed)
    return 0, _listed(name, weight.ravel(), table.bits)
