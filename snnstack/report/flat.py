"""A row of a benchmark as one line of a table: scalars only, units in the names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snnstack.foreign_text import cell

LEFT_OUT = (
    "clipped",
    "counts",
    "dead_outputs",
    "energy",
    "figures",
    "settings",
    "verified",
    "title",
)
"""Keys of a row that do not fit a cell; what matters of them has columns of its own."""


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """`BenchRow.to_dict()` or `BenchRefusal.to_dict()` as {column: number, text, bool or None}."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if key not in LEFT_OUT:
            _spread(found, key, value)
    if "verified" in row:
        found["verified_samples"] = row["verified"]["samples"]
        found["mismatches"] = row["verified"]["mismatches"]
        found["verified_against"] = row["verified"]["against"]
        found["warnings"] = " | ".join(row["energy"]["warnings"])
        statuses = {c["name"]: c["status"] for c in row["energy"]["coefficients"]}
        found["coefficients"] = " ".join(f"{name}:{status}" for name, status in statuses.items())
    return found


def _spread(found: dict[str, Any], key: str, value: Any) -> None:
    match value:
        case Mapping():
            for name, inner in value.items():
                _spread(found, f"{key}_{name}", inner)
        case list() | tuple():
            found[key] = " | ".join(map(str, value))
        case _:
            found[key] = value


def csv_text(rows: Iterable[Mapping[str, Any]], first: Sequence[str] = ()) -> str:
    r"""Flat rows as CSV; the columns of all rows in order of appearance, `first` before them.

    >>> csv_text([{"a": 1, "b": None}, {"a": True, "c": 0.5}])
    'a,b,c\n1,,\ntrue,,0.5\n'
    """
    kept = list(rows)
    names = list(dict.fromkeys([*first, *(name for row in kept for name in row)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in kept)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return cell(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
