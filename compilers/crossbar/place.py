"""Put blocks into arrays: each takes rows of its own, so that what is read does not collide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Array and first row of a block."""

    array: int
    row: int


def place(heights: Sequence[int], rows: int) -> tuple[Place, ...]:
    """Where blocks of `heights` rows go in arrays of `rows` rows: tallest first, first that fits.

    >>> place([3, 5, 2], 6)
    (Place(array=1, row=0), Place(array=0, row=0), Place(array=1, row=3))
    """
    used: list[int] = []
    found: dict[int, Place] = {}
    first = 0  # arrays before it are full
    for k in sorted(range(len(heights)), key=lambda k: -heights[k]):
        while first < len(used) and used[first] == rows:
            first += 1
        at = next((a for a in range(first, len(used)) if used[a] + heights[k] <= rows), len(used))
        if at == len(used):
            used.append(0)
        found[k] = Place(at, used[at])
        used[at] += heights[k]
    return tuple(found[k] for k in range(len(heights)))
