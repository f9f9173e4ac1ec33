"""From an event's number to coordinates, windows and kernel taps, without divisions at run time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from snnstack.backends.mcu.program import ConvTable
from snnstack.ir.step import Pool


@dataclass(frozen=True)
class Quotient:
    """`x / divisor` for 0 <= x < bound as C: `(x * multiply) >> shift`, or a plain division."""

    divisor: int
    multiply: int
    shift: int


@dataclass(frozen=True)
class AxisTaps:
    """One axis of a convolution: which kernel taps reach which outputs.

    With t = position + padding and r = t mod stride, taps are first[r], first[r] + step, ...
    and they reach outputs t / stride - back[r], minus `hop` for each further tap. `order` lists
    all taps by r, each r's from the last to the first, so that a table in this order is read
    forward while the output goes forward; those of r are `order[end[r] - count[r]:end[r]]`.
    """

    kernel: int
    padding: int
    stride: Quotient
    first: tuple[int, ...]
    back: tuple[int, ...]
    step: int
    hop: int
    out: int
    count: tuple[int, ...]
    end: tuple[int, ...]
    order: tuple[int, ...]


def quotient(divisor: int, bound: int) -> Quotient:
    """The division of numbers below `bound` by a constant, without a divide where possible."""
    for shift in range(32):
        multiply = -(-(1 << shift) // divisor)
        excess = multiply * divisor - (1 << shift)
        # x * multiply / 2**shift = x / divisor + x * excess / (divisor * 2**shift): the second
        # term must stay below the 1 / divisor that separates two quotients.
        if excess * bound <= 1 << shift and bound * multiply < 2**32:
            return Quotient(divisor, multiply, shift)
    return Quotient(divisor, 0, 0)


def split(shape: tuple[int, int, int]) -> tuple[Quotient, Quotient]:
    """Divisions that take a channel-last element number apart: by a row, then by a pixel."""
    channels, height, width = shape
    return (
        quotient(width * channels, height * width * channels),
        quotient(channels, width * channels),
    )


def pool_strides(pool: Pool) -> tuple[Quotient, Quotient]:
    """Divisions of padded coordinates by the strides of a pool: (y, x)."""
    bounds = [pool.in_shape[1 + k] + pool.padding[k] for k in (0, 1)]
    return quotient(pool.stride[0], bounds[0]), quotient(pool.stride[1], bounds[1])


def taps(table: ConvTable, axis: int) -> AxisTaps:
    """The taps of axis 0 (y) or 1 (x) of a convolution."""
    kernel = int(table.weight.shape[1 + axis])
    stride, dilation = table.stride[axis], table.dilation[axis]
    padding = table.padding[axis]
    common = math.gcd(stride, dilation)
    first: list[int] = []
    back: list[int] = []
    counts: list[int] = []
    order: list[int] = []
    for residue in range(stride):
        fits = [k for k in range(kernel) if (residue - k * dilation) % stride == 0]
        order += fits[::-1]
        counts.append(len(fits))
        first.append(fits[0] if fits else kernel)
        back.append((fits[0] * dilation - residue) // stride if fits else 0)
    return AxisTaps(
        kernel, padding, quotient(stride, table.in_shape[1 + axis] + padding),
        tuple(first), tuple(back), stride // common, dilation // common,
        table.out_shape[1 + axis], tuple(counts), tuple(itertools.accumulate(counts)),
        tuple(order),
    )  # fmt: skip
