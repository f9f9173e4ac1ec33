"""How the integer sum of a port comes into a step: held within its range, shifted or multiplied."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E
from snnstack.dynamics.spans import Span
from snnstack.dynamics.terms import least, most
from snnstack.fixedpoint import round_half_up
from snnstack.quant.fixed.integer import MOST_DOWN, Arithmetic, Fix
from snnstack.quant.fixed.record import Clip
from snnstack.quant.fixed.scale import Scaled

Array = NDArray[Any]
FAR = 16.0
"""A known bound gets room up to so many times the calibrated range."""
UNIT_BITS = 30


class Named(Protocol):
    """Where integer parameters get their names, and saturations are listed."""

    clips: list[Clip]

    def named(self, name: str, integers: Array) -> str:
        """The name of a parameter with these values."""


def possible(name: str, span: Span, s: Scaled, calibrated: Span) -> Span:
    """The known bound of a sum in the step's units, or some times the calibrated range of it."""
    scale = float(np.min(integers(name, s)))
    far = FAR * max(map(abs, calibrated)) or math.inf
    return max(span[0] / scale, -far), min(span[1] / scale, far)


def integers(name: str, s: Scaled) -> Array:
    """Integers of a port for one of the step's units, [n] or []."""
    return np.asarray(2.0 ** s.bits[name]) if name in s.bits else s.integers[name]


def entered(
    name: str, bits: int, s: Scaled, span: Span, sums: Span | None, do: Arithmetic, into: Named
) -> Fix:
    """The port `name` with `bits` fraction bits, or those it has by itself.

    `span`: what it is held within, in the step's units; `sums`: what its integers can be.
    """
    scale = integers(name, s)
    given = sums or (-do.limit - 1, do.limit)
    x = Fix(E("input", value=name), 0, int(given[0]), int(given[1]))
    limits = [np.clip(round_half_up(end * scale), -do.limit, do.limit) for end in span]
    held = x.low < int(limits[0].max()) or x.high > int(limits[1].min())
    if held:
        x = _held(name, x, limits, do, into)
    if name in s.bits:
        return replace(x, bits=s.bits[name])
    unit = 1 / scale
    shift = MOST_DOWN
    room = min(UNIT_BITS, do.product_bits - 2 - x.most.bit_length())
    while shift + bits > 0 and float(unit.max()) * 2.0 ** (shift + bits) > 2.0**room:
        shift -= 1
    factors = round_half_up(unit * 2.0 ** (shift + bits))
    each = limits if held else [np.asarray(x.low), np.asarray(x.high)]
    ends = [int(end) for side in each for end in np.ravel(side * factors)]
    made = E("param", value=into.named(f"{name}_unit", factors))
    factor = Fix(made, shift + bits, int(factors.min()), int(factors.max()))
    return do.product(x, factor, bits, (min(ends), max(ends)))


def _held(name: str, x: Fix, limits: list[Array], do: Arithmetic, into: Named) -> Fix:
    """The sum within limits, which are one for all neurons or parameters of them."""
    low, high = (int(f(side)) for f, side in zip((np.min, np.max), limits, strict=True))
    if all((side == side.flat[0]).all() for side in limits):
        into.clips.append(Clip(f"input {name}", x.e, low, high))
        return do.held(x, low, high)
    ends = [
        E("param", value=into.named(f"{name}_{side}", values))
        for side, values in zip(("least", "most"), limits, strict=True)
    ]
    into.clips.append(Clip(f"input {name}", x.e, ends[0], ends[1]))
    return Fix(least(most(x.e, ends[0]), ends[1]), 0, low, high)
