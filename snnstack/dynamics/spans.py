"""Intervals of results from those of arguments: what proves 32 bits, and drops a clip."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

Span = tuple[float, float]


def corners(f: Callable[[float, float], float]) -> Callable[..., Span]:
    """Of a function that is monotonous in each of two arguments: its values at their ends."""

    def span(a: Span, b: Span, *_: Span) -> Span:
        found = [f(x, y) for x in a for y in b]
        return min(found), max(found)

    return span


def sum_of(a: Span, b: Span) -> Span:
    """Of a sum."""
    return a[0] + b[0], a[1] + b[1]


def difference(a: Span, b: Span) -> Span:
    """Of a difference."""
    return a[0] - b[1], a[1] - b[0]


def smaller(a: Span, b: Span) -> Span:
    """Of the smaller of two."""
    return min(a[0], b[0]), min(a[1], b[1])


def larger(a: Span, b: Span) -> Span:
    """Of the larger of two."""
    return max(a[0], b[0]), max(a[1], b[1])


def truth(*_: Span) -> Span:
    """Of a truth value."""
    return 0, 1


def saturated(a: Span, b: Span) -> Span:
    """Of a value held within plus and minus a limit."""
    low = max(a[0], -b[1]) if a[0] < 0 else min(a[0], b[0])
    return low, min(a[1], b[1]) if a[1] > 0 else max(a[1], -b[0])


def wrapped(a: Span, bits: Span) -> Span:
    """Of a value wrapped to some bits: itself where it fits."""
    half = 2 ** (int(bits[0]) - 1)
    return a if -half <= a[0] and a[1] < half else (-half, half - 1)


def magnitude(a: Span) -> Span:
    """Of an absolute value."""
    if a[0] <= 0 <= a[1]:
        return 0, max(-a[0], a[1])
    return min(abs(a[0]), abs(a[1])), max(abs(a[0]), abs(a[1]))


def shifted(x: float, k: float) -> float:
    """`x` shifted up by k bits."""
    return x * 2**k


def scaled_down(a: Span, b: Span, bits: Span) -> Span:
    """Of a product divided by 2**bits, rounded down."""
    found = [down(x * y, bits[0]) for x in a for y in b]
    return min(found), max(found)


def down(x: float, bits: float) -> float:
    """`x` shifted down by some bits, rounded down."""
    return x // 2 ** int(bits) if isfinite(x) else x


product = corners(lambda x, y: x * y)
"""Of a product."""
