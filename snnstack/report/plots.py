"""Accuracy and latency against energy: boards, and networks without spikes beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnstack.report import charts
from snnstack.report.document import Ann, Band, Row
from snnstack.report.pareto import Interval, mean_interval, share_interval

BOX = (52.0, 14.0, 388.0, 250.0)
"""Left, top, width and height of a plot."""


@dataclass(frozen=True)
class Mark:
    """A point: a board by its number, or the network without spikes on it.

    `quality` is 0 to 1, or None where it is not known, `known` where it lies with 90 %;
    energies in uJ.
    """

    number: int
    title: str
    colour: str
    shape: str
    spiking: bool
    energy: float
    band: tuple[float, float]
    quality: float | None
    known: Interval
    latency_ms: float
    latency_band: Interval


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
    known = [(100 * mark.known[0], 100 * mark.known[1]) for mark in judged]
    first = charts.scatter(good, bands, box=BOX, heights=known, most=100.0, pad=0.5)
    every = [mark.band for mark in marks]
    times = [mark.latency_band for mark in marks]
    second = charts.scatter(late, every, box=BOX, heights=times, y_log=True)
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
        yield Mark(number, row.board, *look, True, energy.total_uj.typical, band, *_quality(row),
                   row.latency_band_ms.typical, _ends(row.latency_band_ms))  # fmt: skip
        if row.ann is not None:
            yield _without_spikes(number, row, look, row.ann)


def _without_spikes(number: int, row: Row, look: tuple[str, str], ann: Ann) -> Mark:
    band = (ann.energy_interval_uj.low, ann.energy_interval_uj.high)
    known = share_interval(ann.accuracy or 0.0, row.samples)
    return Mark(number, f"{row.board}, without spikes", *look, False, ann.energy_uj.typical, band,
                ann.accuracy, known, ann.latency_ms, (ann.latency_ms, ann.latency_ms))  # fmt: skip


def _ends(band: Band) -> Interval:
    return band.low, band.high


def _quality(row: Row) -> tuple[float, Interval]:
    """What is drawn, and where it lies: by the samples, of drawn chips by the chips."""
    if row.chips is not None and len(row.chips.accuracies) > 1:
        chips = row.chips
        return chips.mean, mean_interval(chips.mean, chips.spread, len(chips.accuracies))
    found = row.accuracy if row.accuracy is not None else row.class_agreement
    found = found if row.chips is None else row.chips.mean
    return found or 0.0, share_interval(found or 0.0, row.samples)
