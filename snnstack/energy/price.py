"""From counted events and a board's coefficients to components, with units checked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnstack.board import Board, Status
from snnstack.energy.model import Band, Component, Factor, Kind, Term
from snnstack.errors import TargetError, fail

MICROJOULES: Mapping[str, float] = MappingProxyType(
    {"fJ": 1e-9, "pJ": 1e-6, "nJ": 1e-3, "uJ": 1.0, "mJ": 1e3, "uW": 1.0, "mW": 1e3, "W": 1e6}
)
"""uJ in one unit; a power is priced per second."""


def factor(board: Board, name: str) -> Factor:
    """The coefficient `name` of `board`; `TargetError` if the board has none."""
    if name not in board.coefficients:
        known = ", ".join(board.coefficients) or "none"
        what = f"has no coefficient {name}"
        raise fail(TargetError, f"board {board.name}", what, f"it has: {known}")
    c = board.coefficients[name]
    return Factor(name, c.low, c.typical, c.high, c.unit, c.status, c.source)


def microjoules(of: Factor) -> float:
    """How many uJ one unit of `of` is, e.g. 1e-6 for "pJ/cycle"; `TargetError` if it is no energy.

    >>> microjoules(Factor("synop_pj", 1, 2, 3, "pJ/synop", "published", "a paper"))
    1e-06
    """
    unit = of.unit.partition("/")[0]
    if unit not in MICROJOULES:
        what = f"unit {of.unit!r} is neither an energy nor a power"
        raise fail(TargetError, f"coefficient {of.name}", what, f"use {', '.join(MICROJOULES)}")
    return MICROJOULES[unit]


def price(name: str, kind: Kind, quantity: float, cost: Factor, *ratios: Factor) -> Component:
    """`quantity` events (or seconds, for a power) at `cost` each, times any `ratios`."""
    return Component(name, kind, (Term(quantity * microjoules(cost), (cost, *ratios)),))


def fixed(name: str, kind: Kind, band: Band, status: Status, source: str) -> Component:
    """A component computed elsewhere (by a circuit solver, say): `band` in uJ, one unknown."""
    own = Factor(name, band.low, band.typical, band.high, "uJ", status, source)
    return Component(name, kind, (Term(1.0, (own,)),))
