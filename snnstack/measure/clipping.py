"""What the converters of a target clipped in the runs of a program, summed over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.report.clipping import Clipped
from snnstack.target import backend, offered
from snnstack.trace import Counts


class ClippedSums:
    """Sums of what runs count, by name; `found` is what of it clipped."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, int]] = {}

    def add(self, counts: Mapping[str, Counts]) -> None:
        """One more run."""
        for name, own in counts.items():
            row = self.rows.setdefault(name, {})
            for key, values in own.other.items():
                row[key] = row.get(key, 0) + int(values.sum())

    def found(self, program: Any) -> tuple[Clipped, ...]:
        """By tile, of a program whose target has converters."""
        return clipped_of(program, self.rows)


def clipped_of(program: Any, rows: Mapping[str, Mapping[str, int]]) -> tuple[Clipped, ...]:
    """What a target's converters clipped, from sums of a run's counts; none where it has none."""
    own = offered(backend(program.target), "clipped")
    return () if own is None else tuple(own(program, rows))
