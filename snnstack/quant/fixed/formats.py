"""Fraction bits of every node: as many as its consumers want, as it has, and as fit the word."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snnstack.dynamics.expr import E
from snnstack.dynamics.spans import Span
from snnstack.quant.fixed.functions import FUNCTIONS
from snnstack.quant.fixed.plain import Plain, exact_bits, number, truth
from snnstack.quant.fixed.record import Machine
from snnstack.quant.fixed.scale import Scaled

ENDLESS = 10_000
"""Fraction bits of what has as many as one likes: parameters and products with them."""
ROOM = 0.98
"""Share of the word that intervals of real numbers may fill: rounding can add to them."""
MOST_BITS = 60
MORE = 2
"""Bits by which factors are finer than the product that is made of them."""
FINER = 4
"""Bits by which a straight line between entries of a table is finer than these, and a value that
is sent before it is rounded."""


def magnitude_bits(of: Span) -> int:
    """The least k with every number of the interval within 2**k; -60 at least."""
    most = max(abs(of[0]), abs(of[1]))
    return -MOST_BITS if most == 0 else max(-MOST_BITS, math.ceil(math.log2(most)))


def fraction_bits(of: Span, bits: int, share: float = 1.0) -> int:
    """The most fraction bits with which the interval fits a number of `bits` bits and a sign."""
    most = max(abs(of[0]), abs(of[1]))
    if most == 0:
        return bits
    return min(MOST_BITS, math.floor(math.log2(share * (2.0**bits - 1) / most)))


class Formats:
    """`bits[id(e)]`: the fraction bits in which node e is computed."""

    def __init__(
        self,
        plain: Plain,
        spans: Mapping[int, Span],
        states: Mapping[str, int],
        ports: Mapping[str, int],
        machine: Machine,
    ) -> None:
        self.plain, self.spans, self.machine = plain, spans, machine
        self.states, self.ports = states, ports
        self.fit: dict[int, int] = {}
        self.native: dict[int, int] = {}
        self.bits: dict[int, int] = {}
        for e in plain.nodes:
            self.fit[id(e)] = self._fit(e)
            self.native[id(e)] = self._native(e)

    def _fit(self, e: E) -> int:
        own = fraction_bits(self.spans[id(e)], self.machine.word - 2, ROOM)
        if e.op in ("add", "sub", "min", "max"):
            return min(own, *(self.fit[id(a)] for a in e.args))
        return own

    def _native(self, e: E) -> int:
        if number(e):
            bits = exact_bits(e.value if e.op == "const" else self.plain.values[e.value])
            return ENDLESS if bits is None else bits
        if e.op == "state":
            return self.states[e.value]
        if e.op == "input":
            return self.ports.get(e.value, ENDLESS)
        if truth(e) or e.op == "nearest":
            return 0
        below = [self.native[id(a)] for a in e.args[e.op == "where" :]]
        if e.op in FUNCTIONS:
            return self._table_bits(e)
        return min(ENDLESS, sum(below)) if e.op == "mul" else max(below)

    def _table_bits(self, e: E) -> int:
        if e.op == "exp":
            return ENDLESS
        entries = fraction_bits(self.spans[id(e)], 15)
        return entries + (FINER if self.machine.interpolate else 0)

    def ask(self, e: E, bits: int) -> None:
        """Have `e` in at least so many fraction bits, if there are so many."""
        if number(e) or truth(e):
            return
        bits = min(bits, self.fit[id(e)], self.native[id(e)])
        if e.op == "state" or (e.op == "input" and e.value in self.ports):
            bits = self.native[id(e)]
        if self.bits.get(id(e), -ENDLESS) >= bits:
            return
        self.bits[id(e)] = bits
        if e.op == "mul":
            self._ask_factors(e, bits)
        elif e.op == "nearest":
            self.ask(e.args[0], FINER)
        elif e.op in FUNCTIONS:
            self.ask(e.args[0], self.argument_bits(e))
        else:
            for arg in e.args[e.op == "where" :]:
                self.ask(arg, bits)

    def _ask_factors(self, e: E, bits: int) -> None:
        for arg, other in (e.args, e.args[::-1]):
            more = MORE if exact_power(other, self.plain) is None else 0
            self.ask(arg, bits + magnitude_bits(self.spans[id(other)]) + more)

    def argument_bits(self, e: E) -> int:
        """Fraction bits of what a function is looked up for."""
        span = self.spans[id(e.args[0])]
        return fraction_bits(span, self.machine.word - 3, ROOM)

    def compare(self) -> None:
        """Formats for what is compared, once all that is computed anyway has one."""
        for e in reversed(self.plain.nodes):
            if e.op not in ("gt", "ge", "eq") or (truth(e.args[0]) and truth(e.args[1])):
                continue
            known = [self.bits[id(a)] for a in e.args if id(a) in self.bits]
            if not known:
                known = [min(self.native[id(a)], self.fit[id(a)])
                         for a in e.args if not number(a)]  # fmt: skip
            for arg in e.args:
                self.ask(arg, max(known))


def exact_power(e: E, plain: Plain) -> int | None:
    """The exponent of a number that is the same power of two for all neurons, else None."""
    if not number(e):
        return None
    array = np.asarray(e.value if e.op == "const" else plain.values[e.value], dtype=np.float64)
    first = float(array.flat[0]) if array.size else 0.0
    if first <= 0 or not (array == first).all():
        return None
    fraction, exponent = math.frexp(first)
    return exponent - 1 if fraction == 0.5 else None


def summed_bits(s: Scaled, name: str, whole: frozenset[str]) -> int | None:
    """Fraction bits with which a state that only adds up its inputs loses nothing; else None."""
    left, ports = [s.plain.roots.get(f"state {name}")], set()
    own = 0
    while left:
        e = left.pop()
        if e is not None and e.op == "add":
            left += e.args
        elif e is not None and e.op == "state" and e.value == name:
            own += 1
        elif e is not None and e.op == "input" and e.value in s.bits:
            ports.add(e.value)
        else:
            return None
    found = {0 if name in whole else s.bits[port] for port in ports}
    return max(found) if own == 1 and found else None


def whole_states(
    plain: Plain,
    states: tuple[str, ...],
    initial: Mapping[str, object],
    inputs: frozenset[str] = frozenset(),
) -> set[str]:
    """States that are whole numbers in every step: counters, flags; `inputs` that are whole."""
    found = {
        s for s in states if f"state {s}" in plain.roots and exact_bits(initial.get(s, 0)) == 0
    }
    while True:
        whole: dict[int, bool] = {}
        for e in plain.nodes:
            if number(e):
                value = e.value if e.op == "const" else plain.values[e.value]
                whole[id(e)] = exact_bits(value) == 0
            elif e.op in ("state", "input"):
                whole[id(e)] = e.value in (found if e.op == "state" else inputs)
            elif truth(e) or e.op == "nearest":
                whole[id(e)] = True
            else:
                below = e.args[e.op == "where" :]
                whole[id(e)] = e.op not in FUNCTIONS and all(whole[id(a)] for a in below)
        kept = {s for s in found if whole[id(plain.roots[f"state {s}"])]}
        if kept == found:
            return found
        found = kept
