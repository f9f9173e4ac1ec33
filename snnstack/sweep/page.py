"""The plots of a sweep on one self-contained page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from snnstack.report import charts
from snnstack.report.page import environment
from snnstack.report.pareto import Interval, mean_interval, share_interval
from snnstack.sweep.chips import ERROR, SEED
from snnstack.sweep.spec import Spec

Row = Mapping[str, Any]
BOX = (52.0, 14.0, 388.0, 220.0)
MOST_POINTS = 5000
"""Points of the scatter; of more, every n-th is drawn."""
RESULTS = (("accuracy", "accuracy, %", 100.0), ("energy_uj_typical", "energy, uJ", 1.0))


def sweep_page(rows: Sequence[Row], points: Sequence[Row], spec: Spec) -> str:
    """HTML: accuracy against energy of all `points`, and both along every axis.

    `rows` are those of the table, `points` the same with their chips joined
    (`snnstack.sweep.chips`).
    """
    style = charts.styles(str(row["board"]) for row in rows)
    html: str = environment().get_template("sweep.html.j2").render(
        title="Sweep", total=len(spec), finished=len(rows),
        refused=sum(row["status"] != "ok" for row in rows), chips=SEED in spec.axes,
        axes=spec.axes, style=style, scatter=_scatter(points, style),
        lines=[
            line
            for name in spec.axes
            if name not in ("board", SEED)
            for line in _lines(points, spec, name)
        ],
        why=_why(rows),
    )  # fmt: skip
    return html


def _why(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Reasons of refusals with how many points they stopped."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["status"] != "ok":
            counts[str(row["why"])] += 1
    return sorted(counts.items(), key=lambda item: -item[1])[:20]


def _quality(row: Row) -> float:
    return float(row.get(_judged_by(row)) or 0.0)


def _judged_by(row: Row) -> str:
    return "class_agreement" if row.get("accuracy") is None else "accuracy"


def _known(row: Row) -> Interval:
    """Where the quality lies, in percent: of chips by their standard error, else by samples."""
    share, error = _quality(row), row.get(_judged_by(row) + ERROR)
    if error is None:
        low, high = share_interval(share, int(row.get("samples") or 0))
    else:
        low, high = mean_interval(share, float(error), 1)
    return 100 * low, 100 * high


def _band(row: Row) -> Interval:
    return float(row["energy_interval_uj_low"]), float(row["energy_interval_uj_high"])


def _scatter(rows: Sequence[Row], style: Mapping[str, tuple[str, str]]) -> dict[str, Any] | None:
    every = -(-len(rows) // MOST_POINTS) or 1
    shown = rows[::every]
    if not shown:
        return None
    points = [(float(row["energy_uj_typical"]), 100 * _quality(row)) for row in shown]
    known = [_known(row) for row in shown]
    found = charts.scatter(
        points, [_band(row) for row in shown], box=BOX, heights=known, most=100.0, pad=0.5
    )
    styles = [style[str(row["board"])] for row in shown]
    return {**found, "styles": styles, "box": BOX, "names": [str(row["board"]) for row in shown]}


def _lines(rows: Sequence[Row], spec: Spec, axis: str) -> list[dict[str, Any]]:
    """Means along one axis, a line per board with the range of all other axes around it."""
    if len(spec.axes[axis]) < 2:
        return []
    return [
        plot
        for key, label, factor in RESULTS
        if (plot := _line_plot(rows, spec.axes[axis], axis, key, label, factor)) is not None
    ]


def _line_plot(
    rows: Sequence[Row], values: Sequence[Any], axis: str, key: str, label: str,
    factor: float,
) -> dict[str, Any] | None:  # fmt: skip
    groups: dict[tuple[str, Any], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row.get(key) is not None:
            pair = (factor * float(row[key]), factor * float(row.get(key + ERROR) or 0.0))
            groups[str(row["board"]), row[axis]].append(pair)
    if not groups:
        return None
    found = [v + way * e for group in groups.values() for v, e in group for way in (-1, 0, 1)]
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
    board: str, groups: Mapping[tuple[str, Any], list[tuple[float, float]]],
    places: Mapping[Any, float], y: charts.Axis,
) -> tuple[str, list[tuple[float, float, float, float]]]:  # fmt: skip
    """A path through the means, and (x, mean, low, high) of each value, in positions.

    Low and high: of several points their means' extremes; of one point its standard error.
    """

    def up(value: float) -> float:
        return BOX[1] + (1 - y.at(value)) * BOX[3]

    marks = [
        (x, up(sum(v for v, _ in group) / len(group)), up(_ends(group)[0]), up(_ends(group)[1]))
        for value, x in places.items()
        if (group := groups.get((board, value)))
    ]
    line = "L".join(f"{x:.1f} {mean:.1f}" for x, mean, _, _ in marks)
    return f"M{line}" if line else "", marks


def _ends(group: Sequence[tuple[float, float]]) -> Interval:
    if len(group) == 1:
        ((value, error),) = group
        return value - error, value + error
    return min(v for v, _ in group), max(v for v, _ in group)
