"""Chips of one design joined to one point: mean and standard error over the axis `seed`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

SEED, COUNT, ERROR = "seed", "chips", "_se"
"""The axis, the column with the number of chips, the end of a standard error's name."""
Row = Mapping[str, Any]


def joined(rows: Sequence[Row], axes: Iterable[str], analogue: Collection[str]) -> list[Row]:
    """A row per point of the grid without `seed`, in order of appearance; those of "ok" points.

    Of boards in `analogue` a number is the mean over the chips, and `NAME_se` its standard error,
    s / sqrt(chips) with n - 1 in s, None for one chip; what is no number is kept where all chips
    agree. Rows of other boards, which ignore the seed, are taken once.
    """
    names = [name for name in axes if name != SEED]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row["status"] == "ok":
            groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
    return [_mean(group, names, str(group[0]["board"]) in analogue) for group in groups.values()]


def _mean(group: Sequence[Row], axes: Collection[str], analogue: bool) -> Row:
    found: dict[str, Any] = {k: v for k, v in group[0].items() if k != SEED}
    if not analogue:
        return found
    found[COUNT] = len(group)
    for name in [k for k in found if k not in axes and k != COUNT]:
        values = [row.get(name) for row in group]
        if all(type(v) in (int, float) for v in values):
            found[name], found[name + ERROR] = mean_and_error(values)
        elif any(v != values[0] for v in values):
            del found[name]
    return found


def mean_and_error(values: Sequence[Any]) -> tuple[float, float | None]:
    """Mean, and standard error of it; None of a single value.

    >>> mean_and_error([0.5, 1.0, 1.5])
    (1.0, 0.28867513459481287)
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None
    square = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, math.sqrt(square / n)
