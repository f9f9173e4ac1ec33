"""Numbers in fixed point: an expression of integers, its fraction bits, and its proven interval."""

from __future__ import annotations

from dataclasses import dataclass

from snnstack.dynamics.expr import E, Table, lift
from snnstack.dynamics.terms import least, lut, most, sat, scaled_product, where
from snnstack.errors import ModelError, Problem

MOST_DOWN = 32
"""Most bits by which a product of 64 bits is shifted down in one operation."""


@dataclass(frozen=True, eq=False)
class Fix:
    """The real number e / 2**bits, where low <= e <= high in every step."""

    e: E
    bits: int
    low: int
    high: int

    @property
    def most(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))


class Arithmetic:
    """Operations whose results are proven to fit the word, or refused."""

    def __init__(self, where: str, word: int = 32, product_bits: int = 64) -> None:
        self.where, self.limit, self.product_bits = where, 2 ** (word - 1) - 1, product_bits

    def fits(self, low: int, high: int) -> bool:
        """Whether the word holds the interval."""
        return bool(-self.limit <= low and high <= self.limit)

    def made(self, e: E, bits: int, low: int, high: int) -> Fix:
        """A number, if it fits. Raises ModelError with its range and that of the word."""
        if not self.fits(low, high):
            what = f"{e.op!r} ranges over {low}..{high}, above the word, +-{self.limit}"
            hint = "bound its arguments with least and most, or calibrate with the inputs it gets"
            raise ModelError(Problem(self.where, what, hint))
        return Fix(e, bits, low, high)

    def whole(self, value: int, bits: int) -> Fix:
        """A constant."""
        return self.made(lift(value), bits, value, value)

    def up(self, x: Fix, by: int) -> Fix:
        """The same number with more fraction bits."""
        if by == 0:
            return x
        if x.most == 0:
            return Fix(lift(0), x.bits + by, 0, 0)
        e = lift(x.e.value << by) if x.e.op == "const" else x.e << by
        return self.made(e, x.bits + by, x.low << by, x.high << by)

    def down(self, x: Fix, by: int) -> Fix:
        """With fewer fraction bits: the nearest, halves up."""
        if by == 0:
            return x
        half = 1 << (by - 1)
        if x.most + half <= self.limit:
            low, high = (x.low + half) >> by, (x.high + half) >> by
            return Fix((x.e + half) >> by if by < 32 else lift(0), x.bits - by, low, high)
        if by == 1:
            return Fix(x.e >> 1, x.bits - 1, x.low >> 1, x.high >> 1)
        return self.down(self._floored(x, 1), by - 1)

    def _floored(self, x: Fix, by: int) -> Fix:
        return Fix(x.e >> by, x.bits - by, x.low >> by, x.high >> by)

    def at(self, x: Fix, bits: int) -> Fix:
        """With so many fraction bits."""
        return self.up(x, bits - x.bits) if bits >= x.bits else self.down(x, x.bits - bits)

    def room(self, x: Fix) -> int:
        """By how many bits it can be shifted up."""
        by = 0
        while x.most << (by + 1) <= self.limit and by < 60:
            by += 1
        return by

    def sum(self, a: Fix, b: Fix) -> Fix:
        """Of two numbers with the same fraction bits."""
        return self.made(a.e + b.e, a.bits, a.low + b.low, a.high + b.high)

    def difference(self, a: Fix, b: Fix) -> Fix:
        """Of two numbers with the same fraction bits."""
        return self.made(a.e - b.e, a.bits, a.low - b.high, a.high - b.low)

    def product(self, a: Fix, b: Fix, bits: int, within: tuple[int, int] | None = None) -> Fix:
        """With `bits` fraction bits, rounded to the nearest where the word has room for that.

        `within`: what the product of the integers is known to lie in, where both go together.
        """
        if within is None:
            a, b = self._narrow(a, b)
        while (
            within is None and a.bits + b.bits - bits > MOST_DOWN + 1
        ):  # more than one operation shifts down
            a, b = (self.down(a, 1), b) if a.most >= b.most else (a, self.down(b, 1))
        shift = a.bits + b.bits - bits
        ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
        low, high = within or (min(ends), max(ends))
        if a is b:
            low = 0 if a.low <= 0 <= a.high else min(a.low**2, a.high**2)
        if shift <= 0:
            return self.up(self.made(a.e * b.e, bits + shift, low, high), -shift)
        if max(abs(low), abs(high)) + (1 << (shift - 1)) <= self.limit:
            return self.down(Fix(a.e * b.e, bits + shift, low, high), shift)
        finer = shift - 1
        near = low >> finer, high >> finer
        if self.fits(near[0], near[1] + 1) and finer > 0:
            e = scaled_product(a.e, b.e, finer)
            return self.down(Fix(e, bits + 1, *near), 1)
        if shift > MOST_DOWN:
            a, shift = self.down(a, 1), shift - 1
            return self.product(a, b, bits)
        return self.made(scaled_product(a.e, b.e, shift), bits, low >> shift, high >> shift)

    def _narrow(self, a: Fix, b: Fix) -> tuple[Fix, Fix]:
        """Both with so few bits that their product fits."""
        while (a.most * b.most).bit_length() > self.product_bits - 2:
            a, b = (self.down(a, 1), b) if a.most >= b.most else (a, self.down(b, 1))
        return a, b

    def held(self, x: Fix, low: int, high: int) -> Fix:
        """Within low..high; as it is where it is that already."""
        if low <= x.low and x.high <= high:
            return x
        if low == -high:
            e = sat(x.e, high)
        else:
            e = x.e if x.low >= low else most(x.e, low)
            e = e if x.high <= high else least(e, high)
        bounded = (min(max(k, low), high) for k in (x.low, x.high))
        return Fix(e, x.bits, *bounded)

    def extreme(self, op: str, a: Fix, b: Fix) -> Fix:
        """The smaller ("min") or larger of two with the same fraction bits."""
        pick = min if op == "min" else max
        return Fix(E(op, (a.e, b.e)), a.bits, pick(a.low, b.low), pick(a.high, b.high))

    def absolute(self, x: Fix) -> Fix:
        """The magnitude."""
        low = 0 if x.low <= 0 <= x.high else min(abs(x.low), abs(x.high))
        return Fix(E("abs", (x.e,)), x.bits, low, x.most)

    def choice(self, condition: E, a: Fix, b: Fix) -> Fix:
        """Of two numbers with the same fraction bits."""
        low, high = min(a.low, b.low), max(a.high, b.high)
        return Fix(where(condition, a.e, b.e), a.bits, low, high)

    def entry(self, table: Table, index: Fix, bits: int) -> Fix:
        """The entry of a table whose entries have `bits` fraction bits."""
        last = len(table.entries) - 1
        first, end = (min(max(k, 0), last) for k in (index.low, index.high))
        part = table.entries[first : end + 1]
        return Fix(lut(table, index.e), bits, min(part), max(part))
