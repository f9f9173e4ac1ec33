"""Functions as tables of int16, in a straight line between entries; exp as a product of two.

exp(x) = exp(k) exp(x - k) with a whole k: a short table of int32 for the first factor and one of
int16 over 0..1 for the second hold it to the same share everywhere.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

from snnstack.dynamics.expr import Table
from snnstack.dynamics.spans import Span
from snnstack.fixedpoint import round_half_up
from snnstack.quant.fixed.formats import FINER, fraction_bits
from snnstack.quant.fixed.functions import FUNCTIONS
from snnstack.quant.fixed.integer import MOST_DOWN, Arithmetic, Fix
from snnstack.quant.fixed.record import Machine

ENTRY_BITS, WIDE_BITS = 15, 30
FAR = 700.0
"""Where a function that becomes constant is so."""
LOOKS, HALVINGS = 1024, 40
SLACK = 1e-3
"""Share by which rounded entries can make exp larger than it is; it is far less."""


def table(name: str, values: Sequence[float], bits: int) -> Table:
    """Entries with `bits` fraction bits; the name says what they are, for equal tables are one."""
    scale = 2.0**bits
    entries = tuple(int(k) for k in round_half_up([v * scale for v in values]))
    return Table(f"{name}_{zlib.crc32(repr(entries).encode()):08x}", entries)


def narrowed(op: str, domain: Span, bits: int) -> Span:
    """The part of `domain` in which the function is not constant, to a quarter of 2**-bits."""
    function, (low, high) = FUNCTIONS[op], domain
    near = 2.0 ** -(bits + 2)
    points = [low + (high - low) * k / LOOKS for k in range(LOOKS + 1)]
    if function.flat[0]:
        low = _edge(function.at, points, function.at(-FAR), near)
    if function.flat[1]:
        high = _edge(function.at, points[::-1], function.at(FAR), near)
    return (low, high) if low < high else domain


def _edge(
    at: Callable[[float], float], points: Sequence[float], limit: float, near: float
) -> float:
    """The last point up to which the function stays near its limit."""
    last = points[0]
    for point in points:
        if abs(at(point) - limit) >= near:
            return _between_points(at, last, point, limit, near)
        last = point
    return last


def _between_points(
    at: Callable[[float], float], inside: float, outside: float, limit: float, near: float
) -> float:
    """The same by halving, between a point that is near and one that is not."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if abs(at(middle) - limit) < near:
            inside = middle
        else:
            outside = middle
    return inside


def looked_up(
    op: str, x: Fix, domain: Span, machine: Machine, do: Arithmetic
) -> tuple[Fix, tuple[Table, ...]]:
    """The function of `x` over `domain`, with as many fraction bits as its entries give."""
    function = FUNCTIONS[op]
    span = function.span(domain)
    bits = fraction_bits(span, ENTRY_BITS)
    fine = min(x.bits, math.floor(math.log2((machine.table_entries - 2) / _width(domain, x))))
    step = 2.0**-fine
    base, last = math.floor(domain[0] / step), math.ceil(domain[1] / step)
    points = [min(max(k * step, domain[0]), domain[1]) for k in range(base, last + 1)]
    made = table(op, [function.at(p) for p in points], bits)
    down = x.bits - fine
    offset = do.difference(x, do.whole(base << down, x.bits))
    offset = do.held(offset, 0, (last - base) << down)
    return _between(made, offset, down, bits, machine.interpolate, do), (made,)


def _width(domain: Span, x: Fix) -> float:
    return max(domain[1] - domain[0], 2.0**-x.bits)


def _between(made: Table, offset: Fix, down: int, bits: int, line: bool, do: Arithmetic) -> Fix:
    """The entry at `offset` / 2**down, or what lies between two of them."""
    if down == 0:
        return do.entry(made, offset, bits)
    if not line:
        return do.entry(made, do.down(offset, down), bits)
    index = Fix(offset.e >> down, 0, offset.low >> down, offset.high >> down)
    within = Fix(offset.e - (index.e << down), down, 0, (1 << down) - 1)
    first = do.entry(made, index, bits)
    after = Fix(index.e + 1, 0, index.low + 1, index.high + 1)
    rise = do.difference(do.entry(made, after, bits), first)
    steps = [abs(b - a) for a, b in zip(made.entries, made.entries[1:], strict=False)]
    rise = Fix(rise.e, bits, -max(steps, default=0), max(steps, default=0))
    finer = min(FINER, down)
    total = do.sum(do.up(first, finer), do.product(rise, within, bits + finer))
    low, high = (k << finer for k in (min(made.entries), max(made.entries)))
    return Fix(total.e, total.bits, low, high)  # a straight line stays between its ends


def exponential(
    x: Fix, domain: Span, bits: int, machine: Machine, do: Arithmetic
) -> tuple[Fix, tuple[Table, ...]]:
    """exp(x) with `bits` fraction bits; arguments beyond `domain` count as its ends."""
    low = max(domain[0], -(bits + 2) * math.log(2))
    if domain[1] - low <= 1:
        return looked_up("exp", x, (min(low, domain[1]), domain[1]), machine, do)
    base, last = math.floor(low), math.floor(domain[1])
    held = do.held(x, base << x.bits, math.floor(domain[1] * 2.0**x.bits))
    offset = do.difference(held, do.whole(base << x.bits, x.bits))
    index = Fix(offset.e >> x.bits, 0, offset.low >> x.bits, offset.high >> x.bits)
    inner = Fix(offset.e - (index.e << x.bits), x.bits, 0, (1 << x.bits) - 1)
    part, fine = looked_up("exp", inner, (0.0, 1.0), machine, do)
    tops = [math.exp(k) for k in range(base, last + 1)]
    wide = min(fraction_bits((0.0, tops[-1]), WIDE_BITS), bits + MOST_DOWN - part.bits)
    coarse = table("exp_whole", tops, wide)
    most = math.ceil(math.exp(domain[1]) * (1 + SLACK) * 2.0 ** (wide + part.bits)) + 1
    found = do.product(do.entry(coarse, index, wide), part, bits, (0, most))
    return found, (coarse, *fine)
