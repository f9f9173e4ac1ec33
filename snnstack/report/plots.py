"""Accuracy and latency against energy: boards, and networks without spikes beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnstack.report import charts
from snnstack.report.document import Ann, Row

BOX = (52.0, 14.0, 388.0, 250.0)
"""Left, top, width and height of a plot."""


@dataclass(frozen=True)
class Mark:
    """A point: a board by its number, or the network without spikes on it.

    `quality` is 0 to 1, or None where it is not known; energies in uJ.
    """

    number: int
    title: str
    colour: str
    shape: str
    spiking: bool
    energy: float
    band: tuple[float, float]
    quality: float | None
    latency_ms: float


def plots(rows: Sequence[Row], style: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Accuracy (or agreement) and latency, each against energy."""
    if not rows:
        return []
    labelled = all(row.accuracy is not None for row in rows)
    marks = list(_marks(rows, style))
    judged = [mark for mark in marks if mark.quality is not None and (labelled or mark.spiking)]
    good = [(mark.energy, 100 * (mark.quality or 0.0)) for mark in judged]
    late = [(mark.energy, mark.latency_ms) for mark in marks]
    bands = [mark.band for mark in judged]
    first = charts.scatter(good, bands, box=BOX, most=100.0, pad=0.5)
    second = charts.scatter(late, [mark.band for mark in marks], box=BOX, y_log=True)
    of = "accuracy" if labelled else "agreement with the float network"
    return [
        _plot(first, f"{of}, %", "up and left is better", judged),
        _plot(second, "latency, ms", "down and left is better", marks),
    ]


def _plot(plot: dict[str, Any], label: str, hint: str, marks: list[Mark]) -> dict[str, Any]:
    labels = charts.placed(plot["points"], [str(mark.number) for mark in marks])
    return {**plot, "y_label": label, "hint": hint, "box": BOX, "marks": marks, "labels": labels}


def _marks(rows: Sequence[Row], style: Mapping[str, tuple[str, str]]) -> Iterator[Mark]:
    for number, row in enumerate(rows, 1):
        look, energy = style[row.target], row.energy
        band = (energy.interval_uj.low, energy.interval_uj.high)
        yield Mark(number, row.board, *look, True, energy.total_uj.typical, band, _quality(row),
                   row.latency_band_ms.typical)  # fmt: skip
        if row.ann is not None:
            yield _without_spikes(number, row.board, look, row.ann)


def _without_spikes(number: int, board: str, look: tuple[str, str], ann: Ann) -> Mark:
    band = (ann.energy_interval_uj.low, ann.energy_interval_uj.high)
    title = f"{board}, without spikes"
    return Mark(number, title, *look, False, ann.energy_uj.typical, band, ann.accuracy,
                ann.latency_ms)  # fmt: skip


def _quality(row: Row) -> float:
    if row.chips is not None:
        return row.chips.mean
    found = row.accuracy if row.accuracy is not None else row.class_agreement
    return found or 0.0
