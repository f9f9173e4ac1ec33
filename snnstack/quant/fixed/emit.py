"""From a plain step of real numbers and its formats to one of integer operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E, lift
from snnstack.dynamics.spans import Span
from snnstack.dynamics.terms import where
from snnstack.errors import ModelError, fail
from snnstack.fixedpoint import round_half_up
from snnstack.quant.fixed.check import table_error
from snnstack.quant.fixed.formats import Formats, exact_power
from snnstack.quant.fixed.functions import FUNCTIONS
from snnstack.quant.fixed.integer import MOST_DOWN, Arithmetic, Fix
from snnstack.quant.fixed.intervals import domain, excludes_zero
from snnstack.quant.fixed.plain import number, truth
from snnstack.quant.fixed.record import Clip, TableNote
from snnstack.quant.fixed.tables import exponential, looked_up, narrowed

FACTOR_BITS = 60
Leaf = Callable[[E], Fix]


class Emitter:
    """Every node once in the format it was given; `values`: the integer parameters made."""

    def __init__(
        self,
        formats: Formats,
        known: Mapping[str, Span],
        caps: Mapping[int, Span],
        do: Arithmetic,
        state: Leaf,
        port: Callable[[str, int, Emitter], Fix],
    ) -> None:
        self.formats, self.known, self.caps, self.do = formats, known, caps, do
        self.state, self.port = state, port
        self.plain, self.machine = formats.plain, formats.machine
        self.values: dict[str, NDArray[Any]] = {}
        self.rounded: dict[str, NDArray[Any]] = {}
        self.clips: list[Clip] = []
        self.tables: list[TableNote] = []
        self._numbers: dict[int, Fix] = {}
        self._truths: dict[int, E] = {}
        self._at: dict[tuple[int, int], Fix] = {}

    def at(self, e: E, bits: int) -> Fix:
        """Node `e` with so many fraction bits."""
        key = (id(e), bits)
        if key not in self._at:
            if number(e):
                self._at[key] = self.parameter(e, bits)
            else:
                self._at[key] = self.do.at(self.number(e), bits)
        return self._at[key]

    def number(self, e: E) -> Fix:
        """Node `e` in its own format."""
        if id(e) not in self._numbers:
            self._numbers[id(e)] = self._number(e)
        return self._numbers[id(e)]

    def truth(self, e: E) -> E:
        """A truth value, or a number as one."""
        if id(e) not in self._truths:
            self._truths[id(e)] = self._truth(e)
        return self._truths[id(e)]

    def parameter(self, e: E, bits: int) -> Fix:
        """A constant or a parameter in integers."""
        real = e.value if e.op == "const" else self.plain.values[e.value]
        integers = round_half_up(np.asarray(real) * 2.0**bits)
        low, high = int(integers.min()), int(integers.max())
        if e.op == "const" or low == high == 0:
            return self.do.whole(low, bits)
        name = self.named(e.value, integers)
        self.rounded[e.value] = integers / 2.0**bits
        return self.do.made(E("param", value=name), bits, low, high)

    def named(self, name: str, integers: NDArray[Any]) -> str:
        """The name of a parameter of the integer model with these values."""
        free, count = name, 1
        while free in self.values and not np.array_equal(self.values[free], integers):
            count += 1
            free = f"{name}_{count}"
        self.values[free] = integers
        return free

    def _number(self, e: E) -> Fix:
        if truth(e):
            return Fix(where(self.truth(e), 1, 0), 0, 0, 1)
        if e.op == "state":
            return self.state(e)
        bits = self.formats.bits[id(e)]
        if e.op == "input":
            return self.port(e.value, bits, self)
        if e.op == "mul":
            return self.do.at(self._product(e, bits), bits)
        if e.op in FUNCTIONS:
            return self.do.at(self._function(e, bits), bits)
        if e.op == "nearest":
            return self._nearest(e.args[0], bits)
        args = [self.at(a, bits) for a in e.args[e.op == "where" :]]
        match e.op:
            case "add":
                return self.do.sum(*args)
            case "sub":
                return self.do.difference(*args)
            case "abs":
                return self.do.absolute(*args)
            case "where":
                return self.do.choice(self.truth(e.args[0]), *args)
        return self.do.extreme(e.op, *args)

    def _nearest(self, e: E, bits: int) -> Fix:
        """A whole number; a product is rounded once."""
        found = self._product(e, min(bits, 0)) if e.op == "mul" else self.number(e)
        return self.do.at(self.do.at(found, min(bits, 0)), bits)

    def _product(self, e: E, bits: int) -> Fix:
        a, b = e.args
        if number(a):
            a, b = b, a
        if not number(b):
            return self.do.product(self.number(a), self.number(b), bits)
        x, power = self.number(a), exact_power(b, self.plain)
        if power is not None:
            return Fix(x.e, x.bits - power, x.low, x.high)
        return self.do.product(x, self.parameter(b, self._factor_bits(b, x, bits)), bits)

    def _factor_bits(self, b: E, x: Fix, bits: int) -> int:
        """As many fraction bits as a factor can have: a decay near 1 needs them."""
        size = max(abs(end) for end in self.formats.spans[id(b)])
        most = min(FACTOR_BITS, MOST_DOWN + 1 + bits - x.bits)
        room = self.do.product_bits - 2 - x.most.bit_length()
        while size * 2.0**most + 1 > min(self.do.limit, 2.0**room):
            most -= 1
        return min(most, self.formats.native[id(b)])

    def _function(self, e: E, bits: int) -> Fix:
        x, argument = self.number(e.args[0]), self.formats.spans[id(e.args[0])]
        if e.op == "reciprocal" and not excludes_zero(argument):
            what = f"divides by {e.args[0]!r}, a state in {argument[0]:.4g}..{argument[1]:.4g}"
            hint = "divide by a parameter, or keep the state away from 0 with most(state, least)"
            raise fail(ModelError, self.do.where, what, hint)
        if x.bits < 0:
            what = f"{e.op!r} of a number in {argument[0]:.4g}..{argument[1]:.4g} is above the word"
            raise fail(ModelError, self.do.where, what, "bound it with least and most")
        within = domain(e, argument, self.plain, self.known, self.caps)
        self._may_clip(e, x, within)
        if e.op == "exp":
            found, tables = exponential(x, within, bits, self.machine, self.do)
        else:
            flat = narrowed(e.op, within, 15)
            found, tables = looked_up(e.op, x, flat, self.machine, self.do)
            within = flat
        error = table_error(FUNCTIONS[e.op].at, within, x, found)
        self.tables.append(TableNote(e.op, tables, within, error))
        return found

    def _may_clip(self, e: E, x: Fix, within: Span) -> None:
        low, high = (int(round_half_up(k * 2.0**x.bits)) for k in within)
        flat = FUNCTIONS[e.op].flat
        if e.op == "exp" and self.caps.get(id(e), (0, math.inf))[1] < math.inf:
            return
        low = x.low if flat[0] else low
        high = x.high if flat[1] else high
        if x.low < low - 1 or x.high > high + 1:
            place = f"argument of {self.plain.functions.get(id(e), e.op)}"
            self.clips.append(Clip(place, x.e, low, high))

    def _truth(self, e: E) -> E:
        if e.op in ("and", "or", "not"):
            return E(e.op, tuple(self.truth(a) for a in e.args))
        if number(e):
            value = e.value if e.op == "const" else self.plain.values[e.value]
            array = np.asarray(value) != 0
            if array.all() or not array.any():
                return lift(bool(array.all()))
            made = self.parameter(e, 0)
            return E("gt", (made.e, lift(0)))
        if not truth(e):
            return E("not", (E("eq", (self.number(e).e, lift(0))),))
        a, b = e.args
        if truth(a) and truth(b):
            return E("eq", (self.truth(a), self.truth(b)))
        return E(e.op, self._aligned(a, b))

    def _aligned(self, a: E, b: E) -> tuple[E, E]:
        """Two numbers with the same fraction bits: as many as the finer has, if both fit."""
        known = [self.number(x) for x in (a, b) if not number(x)]
        bits = max(x.bits for x in known)
        bits = min(bits, *(x.bits + self.do.room(x) for x in known))
        for x in (a, b):
            if number(x):  # a number beyond the word is compared with fewer bits
                size = max(abs(end) for end in self.formats.spans[id(x)])
                while size * 2.0**bits > self.do.limit:
                    bits -= 1
        return self.at(a, bits).e, self.at(b, bits).e
