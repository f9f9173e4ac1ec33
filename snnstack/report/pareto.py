"""What nothing else beats, and which of these points can be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from snnstack.errors import DataError, fail

Interval = tuple[float, float]
Z = 1.645
"""Of a normal distribution: 90 % lie within so many standard deviations."""


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats: x small, y large; from left to right.

    >>> front([(1, 0.5), (2, 0.9), (3, 0.7), (4, 0.9)])
    [0, 1]
    """
    order = sorted(range(len(points)), key=lambda k: (points[k][0], -points[k][1]))
    best, kept = -math.inf, []
    for k in order:
        if points[k][1] > best:
            kept.append(k)
            best = points[k][1]
    return kept


def joined(front: Sequence[int], x: Sequence[Interval], y: Sequence[Interval]) -> list[list[int]]:
    """`front` as lines: neighbours are joined only where both their intervals lie apart.

    Of two whose energies overlap either may be the cheaper one, of two whose accuracies overlap
    either the better one: then one may beat the other, and no line says what lies between them.

    >>> joined([0, 1, 2], [(1, 2), (3, 4), (3, 9)], [(0.1, 0.2), (0.5, 0.6), (0.8, 0.9)])
    [[0, 1], [2]]
    """
    lines = [[k] for k in front[:1]]
    for one, two in pairwise(front):
        if apart(x[one], x[two]) and apart(y[one], y[two]):
            lines[-1].append(two)
        else:
            lines.append([two])
    return lines


def apart(one: Interval, other: Interval) -> bool:
    """Whether two intervals have nothing in common."""
    return one[1] < other[0] or other[1] < one[0]


def share_interval(share: float, count: int) -> Interval:
    """Where a share of `count` independent samples lies with 90 % confidence.

    The score interval: E. B. Wilson, Journal of the American Statistical Association 22, 1927.

    >>> low, high = share_interval(0.9, 100)
    >>> round(low, 3), round(high, 3)
    (0.84, 0.939)
    """
    if not 0 <= share <= 1:
        raise fail(DataError, "rows", f"hold a share of {share:g}", "shares lie in 0..1")
    if count < 1:
        return 0.0, 1.0
    z = Z * Z / count
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(share * (1 - share) * z + z * z / 4) / (1 + z)
    return middle - half, middle + half


def mean_interval(mean: float, spread: float, count: int) -> Interval:
    """Where the mean of `count` draws with standard deviation `spread` lies, with 90 %."""
    half = Z * spread / math.sqrt(max(count, 1))
    return mean - half, mean + half
