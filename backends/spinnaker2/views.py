"""Pictures of a program: which processing elements of which chip are used, and how full."""

from __future__ import annotations

from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.program import Program
from snnstack.report.views import Core, CoreMap, View

COLUMNS = 16
"""Elements are drawn in rows by their number: their place on the die is not modelled."""


def views(program: Program) -> tuple[View, ...]:
    """The elements by chip, numbered as the routing tables number them."""
    limits = limits_of(program.board)
    chips = {chip: k for k, chip in enumerate(sorted({e.chip for e in program.elements}))}
    cores = tuple(
        Core(
            name=f"element {e.pe} of chip {e.chip[0]},{e.chip[1]}",
            chip=chips[e.chip],
            x=e.pe % COLUMNS,
            y=e.pe // COLUMNS,
            used={
                "neurons": (float(e.n), float(limits.neurons)),
                "data_bytes": (float(e.data_bytes), float(limits.data_bytes)),
            },
            holds={e.population: e.n},
        )
        for e in program.elements
    )
    rows = max(-(-limits.elements // COLUMNS), *(core.y + 1 for core in cores), 1)
    return (CoreMap("Processing elements in use", COLUMNS, rows, cores),)
