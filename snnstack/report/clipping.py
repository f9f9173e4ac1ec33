"""Numbers that did not fit where they are held: counted by place, and warned about.

Conversions outside of their converter's range, registers that wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snnstack.errors import Problem

WARN_SHARE = 1e-3
"""Share of a tile's conversions above which clipping is a warning; the rest is only counted."""
MOST_WARNINGS = 8
"""Tiles that are named, the worst first."""


@dataclass(frozen=True)
class Clipped:
    """Of one tile: `clipped` of `conversions` got their converter's first or last code.

    `remedy`: what the user can do about it on this target. `what` happened to them, where it is
    something else; a share above `least` is a warning.
    """

    where: str
    clipped: int
    conversions: int
    remedy: str
    what: str = "conversions clipped"
    least: float = WARN_SHARE

    @property
    def share(self) -> float:
        """Of the conversions, 0 to 1."""
        return self.clipped / self.conversions if self.conversions else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {k: v for k, v in asdict(self).items() if k != "least"} | {"share": self.share}


def warnings_of(found: Sequence[Clipped]) -> tuple[Problem, ...]:
    """A warning for each tile that clips more than its share, the worst first."""
    much = sorted((c for c in found if c.share > c.least), key=lambda c: -c.share)
    said = [Problem(c.where, _numbers(c.clipped, c.conversions, c.what), c.remedy) for c in much]
    rest = said[MOST_WARNINGS:]
    if not rest:
        return tuple(said)
    more = Problem("converters", f"{len(rest)} more tiles clip", "--json lists all tiles")
    return (*said[:MOST_WARNINGS], more)


def summary(found: Sequence[Clipped]) -> str:
    """All tiles in one line; "" where nothing clipped."""
    clipped = sum(c.clipped for c in found)
    return _numbers(clipped, sum(c.conversions for c in found), found[0].what) if clipped else ""


def clipping_dict(found: Sequence[Clipped]) -> dict[str, Any]:
    """For `--json`: by tile, and of all tiles together; null where no chip was drawn."""
    clipped, of = sum(c.clipped for c in found), sum(c.conversions for c in found)
    return {
        "clipped": [one.to_dict() for one in found],
        "clipped_conversions": clipped if found else None,
        "clipped_share": clipped / of if of else None,
    }


def _numbers(clipped: int, conversions: int, what: str) -> str:
    share = 100 * clipped / conversions
    return f"{clipped:,} of {conversions:,} {what} ({share:.3g} %)"
