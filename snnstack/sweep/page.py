"""The plots of a sweep on one self-contained page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from snnstack.report import charts
from snnstack.report.page import environment
from snnstack.sweep.spec import Spec

BOX = (52.0, 14.0, 388.0, 220.0)
MOST_POINTS = 5000
"""Points of the scatter; of more, every n-th is drawn."""
RESULTS = (("accuracy", "accuracy, %", 100.0), ("energy_uj_typical", "energy, uJ", 1.0))


def sweep_page(rows: Sequence[Mapping[str, Any]], spec: Spec) -> str:
    """HTML: accuracy against energy of all points, and both along every axis."""
    good = [row for row in rows if row["status"] == "ok"]
    style = charts.styles(str(row["board"]) for row in rows)
    html: str = environment().get_template("sweep.html.j2").render(
        title="Sweep", total=len(spec), finished=len(rows), refused=len(rows) - len(good),
        axes=spec.axes, style=style, scatter=_scatter(good, style),
        lines=[line for name in spec.axes if name != "board" for line in _lines(good, spec, name)],
        why=_why(rows),
    )  # fmt: skip
    return html


def _why(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Reasons of refusals with how many points they stopped."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["status"] != "ok":
            counts[str(row["why"])] += 1
    return sorted(counts.items(), key=lambda item: -item[1])[:20]


def _quality(row: Mapping[str, Any]) -> float:
    found = row.get("accuracy")
    return float(row.get("class_agreement") or 0.0) if found is None else float(found)


def _scatter(
    rows: Sequence[Mapping[str, Any]], style: Mapping[str, tuple[str, str]]
) -> dict[str, Any] | None:
    every = -(-len(rows) // MOST_POINTS) or 1
    shown = rows[::every]
    if not shown:
        return None
    points = [(float(row["energy_uj_typical"]), 100 * _quality(row)) for row in shown]
    found = charts.scatter(points, [(x, x) for x, _ in points], box=BOX, most=100.0, pad=0.5)
    styles = [style[str(row["board"])] for row in shown]
    return {**found, "styles": styles, "box": BOX, "names": [str(row["board"]) for row in shown]}


def _lines(rows: Sequence[Mapping[str, Any]], spec: Spec, axis: str) -> list[dict[str, Any]]:
    """Means along one axis, a line per board with the range of all other axes around it."""
    if len(spec.axes[axis]) < 2:
        return []
    return [
        plot
        for key, label, factor in RESULTS
        if (plot := _line_plot(rows, spec.axes[axis], axis, key, label, factor)) is not None
    ]


def _line_plot(
    rows: Sequence[Mapping[str, Any]], values: Sequence[Any], axis: str, key: str, label: str,
    factor: float,
) -> dict[str, Any] | None:  # fmt: skip
    groups: dict[tuple[str, Any], list[float]] = defaultdict(list)
    for row in rows:
        if row.get(key) is not None:
            groups[str(row["board"]), row[axis]].append(factor * float(row[key]))
    if not groups:
        return None
    found = [v for group in groups.values() for v in group]
    energy = key.startswith("energy")
    y = charts.log_axis(found) if energy else charts.linear_axis(found, most=100.0, pad=0.5)
    step = BOX[2] / max(len(values) - 1, 1)
    places = {value: BOX[0] + k * step for k, value in enumerate(values)}
    boards = dict.fromkeys(board for board, _ in groups)
    return {
        "axis": axis, "label": label, "box": BOX,
        "x_ticks": [(places[v], str(v)) for v in values[:: -(-len(values) // 10)]],
        "y_ticks": [(BOX[1] + (1 - p) * BOX[3], text) for p, text in y.ticks],
        "lines": [(board, *_board_line(board, groups, places, y)) for board in boards],
    }  # fmt: skip


def _board_line(
    board: str, groups: Mapping[tuple[str, Any], list[float]], places: Mapping[Any, float],
    y: charts.Axis,
) -> tuple[str, list[tuple[float, float, float, float]]]:  # fmt: skip
    """A path through the means, and (x, mean, lowest, highest) of each value, in positions."""

    def up(value: float) -> float:
        return BOX[1] + (1 - y.at(value)) * BOX[3]

    marks = [
        (x, up(sum(group) / len(group)), up(min(group)), up(max(group)))
        for value, x in places.items()
        if (group := groups.get((board, value)))
    ]
    line = "L".join(f"{x:.1f} {mean:.1f}" for x, mean, _, _ in marks)
    return f"M{line}" if line else "", marks
