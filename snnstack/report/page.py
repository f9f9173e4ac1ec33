"""One self-contained HTML page about a benchmark: no script, no request, any screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from snnstack.foreign_text import visible
from snnstack.report import charts
from snnstack.report.document import Refusal, Row, rows_of
from snnstack.report.figures import board_figures
from snnstack.report.links import linked
from snnstack.report.numbers import MISSING, band, digits
from snnstack.report.plots import plots
from snnstack.report.readout import readout_said
from snnstack.report.shown import headline, ratio

KINDS = ("dynamic", "static", "io")


def page(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> str:
    """HTML from rows as `bench --json` prints them; DataError for rows that are not such."""
    found = rows_of([dict(row) for row in rows], "bench rows")
    return render(found, title)


def render(found: Sequence[Row | Refusal], title: str | None = None) -> str:
    """HTML of checked rows. The same rows give the same bytes."""
    rows = [one for one in found if isinstance(one, Row)]
    refused = [one for one in found if isinstance(one, Refusal)]
    name = str(rows[0].settings.get("name", "network")) if rows else "network"
    style = charts.styles(row.target for row in rows)
    html: str = (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title or name,
            rows=rows,
            heads=[headline(row) for row in rows],
            refused=refused,
            settings=_settings(rows[0].settings) if rows else [],
            style=style,
            energy=_energy(rows),
            plots=plots(rows, style),
            figures=[board_figures(row) for row in rows],
            kinds=KINDS,
        )
    )
    return html


@cache
def environment() -> Any:
    """The templates of all pages, with the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("snnstack.report", "templates")
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    made.filters |= {
        "short": charts.short,
        "digits": digits,
        "band": band,
        "percent": _percent,
        "linked": linked,
        "plain": lambda text: str(text).replace("_", " "),
    }
    made.globals |= {"marker": charts.shape_path, "ratio": ratio}
    return made


def _shown(value: Any) -> Any:
    """Text of users without characters that a page must not hold or that turn its direction."""
    return visible(value, keep="\n") if type(value) is str else value


def _percent(share: float | None, digits: int = 2) -> str:
    if share is None:
        return MISSING
    small = 0 < share < 0.005 and digits == 0
    return "< 1 %" if small else f"{100 * share:.{digits}f} %"


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the model was read: (name, value and where it comes from)."""
    origin = settings.get("origin")
    origin = origin if isinstance(origin, Mapping) else {}
    names = [n for n in ("dt", "integrator", "reset", "compare", "events") if n in settings]
    found = [(n, f"{settings[n]} ({origin.get(n, 'model')})") for n in names]
    return [*found, ("class", readout_said(settings))]


def _energy(rows: Sequence[Row]) -> dict[str, Any]:
    """The figure that compares totals: positions in percent along one logarithmic axis."""
    bands = [row.energy.total_uj for row in rows]
    others = [row.ann.energy_uj for row in rows if row.ann is not None]
    axis = charts.log_axis([v for b in (*bands, *others) for v in (b.low, b.typical, b.high)])
    return {"ticks": axis.ticks, "rows": [_energy_row(row, axis) for row in rows]}


def _energy_row(row: Row, axis: charts.Axis) -> dict[str, Any]:
    total, interval = row.energy.total_uj, row.energy.interval_uj
    whole = total.typical or 1.0
    parts = [
        (kind, 100 * getattr(row.energy, f"{kind}_uj").typical / whole)
        for kind in KINDS
        if getattr(row.energy, f"{kind}_uj").typical > 0
    ]
    return {
        "row": row,
        "low": 100 * axis.at(total.low),
        "high": 100 * axis.at(total.high),
        "from": 100 * axis.at(interval.low),
        "to": 100 * axis.at(interval.high),
        "at": 100 * axis.at(total.typical),
        "ann": None if row.ann is None else 100 * axis.at(row.ann.energy_uj.typical),
        "parts": parts,
    }
