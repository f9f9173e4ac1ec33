"""Weight formats: which stored mantissas and exponent give the integers of a projection.

A projection with both signs becomes two connections, one excitatory and one inhibitory: each
then has 8 bits of magnitude and an exponent of its own (255 levels a sign), where one mixed
connection would have 127, all even. Where weights of one sign need two exponents, there are two
connections of that sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnstack.backends.loihi.registers import LARGEST_WEIGHT_EXPONENT
from snnstack.backends.loihi.weights import Signs
from snnstack.ir.nodes import Array

WIDTHS = (8, 6, 5, 4, 3, 2)
"""Bits of a stored weight that `quantise` can be asked for; the chip stores these."""


@dataclass(frozen=True)
class Format:
    """Weights are multiples of `step` = 2**`exponent` (twice that, mixed) up to `most` steps.

    `bits` of magnitude with the sign in the format; a mixed weight's sign takes one of them.
    """

    signs: Signs
    exponent: int
    bits: int = 8

    @property
    def step(self) -> int:
        """The distance between neighbouring weights."""
        return (2 if self.signs == "mixed" else 1) << self.exponent

    @property
    def most(self) -> int:
        """The largest magnitude in steps (of mixed weights the most negative is not used)."""
        return (1 << (self.bits - (self.signs == "mixed"))) - 1

    def __str__(self) -> str:
        """As in the conversion report."""
        width = "" if self.bits == 8 else f"{self.bits}-bit "
        return f"{width}{self.signs} x 2^{self.exponent}"


def exponent_for(largest: float, signs: Signs, bits: int = 8) -> int:
    """The smallest exponent with which weights up to `largest` can be stored (7 at most)."""
    for exponent in range(LARGEST_WEIGHT_EXPONENT):
        format = Format(signs, exponent, bits)
        if largest < (format.most + 0.5) * format.step:
            return exponent
    return LARGEST_WEIGHT_EXPONENT


def exact_format(weight: Array, signs: Signs) -> Format | None:
    """The format with the smallest exponent that holds the integers `weight`, if any does."""
    largest = int(np.abs(weight).max(initial=0))
    format = Format(signs, exponent_for(float(largest), signs))
    if largest > format.most * format.step or np.any(weight & (format.step - 1)):
        return None
    return format


def parts(weight: Array) -> list[tuple[Array, Format]] | None:
    """Connections that together apply the integers `weight`: [(its weights, its format)].

    Excitatory and inhibitory where the integers allow it (one of them if the other would be
    empty), else one mixed connection; None if the chip can hold neither.
    """
    split = [
        exact_parts(part, signs)
        for part, signs in _signed(weight)
        if part.any() or not weight.any()
    ]
    found = [connection for connections in split if connections for connection in connections]
    if all(connections is not None for connections in split):
        return found[:1] if not weight.any() else found
    mixed = exact_format(weight, "mixed")
    return None if mixed is None else [(weight, mixed)]


def exact_parts(weight: Array, signs: Signs) -> list[tuple[Array, Format]] | None:
    """One connection that applies the integers `weight` of one sign, else two, else None.

    Of two, the first has the weights that 8 bits hold in steps of the finest one.
    """
    format = exact_format(weight, signs)
    if format is not None:
        return [(weight, format)]
    every = int(np.bitwise_or.reduce(np.abs(weight).ravel()))
    step = every & -every
    small = np.abs(weight) <= Format(signs, 0).most * step
    parts = [np.where(mask, weight, 0) for mask in (small, ~small)]
    found = [(part, exact_format(part, signs)) for part in parts]
    exact = [(part, format) for part, format in found if format is not None]
    return exact if len(exact) == len(parts) else None


def _signed(weight: Array) -> tuple[tuple[Array, Signs], ...]:
    return (
        (np.maximum(weight, 0), "excitatory"),
        (np.minimum(weight, 0), "inhibitory"),
    )
