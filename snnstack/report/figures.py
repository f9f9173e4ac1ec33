"""Figures of one board for a page: rasters, membranes, conversion, placement, memory, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from snnstack.quant.losses import warnings_of
from snnstack.report import charts
from snnstack.report.document import Row
from snnstack.report.document_figures import (
    Conversion,
    CoreMap,
    Example,
    Matrix,
    MemoryMap,
)
from snnstack.report.image import heat_map

RASTER = (560.0, 60.0)
MEMBRANE = (560.0, 54.0)
MOST_CHIPS = 12
"""Chips of a placement that are drawn; the rest is counted."""
CELL = 16.0


def board_figures(row: Row) -> dict[str, Any]:
    """Everything the board's section draws, as positions."""
    views = row.figures.views
    return {
        "warnings": tuple(str(problem) for problem in warnings_of(row.settings)),
        "example": None if row.figures.example is None else _example(row.figures.example),
        "conversion": None
        if row.figures.conversion is None
        else _conversion(row.figures.conversion),
        "cores": [_cores(view) for view in views if isinstance(view, CoreMap)],
        "memories": [_memory(view) for view in views if isinstance(view, MemoryMap)],
        "matrices": [_matrix(view) for view in views if isinstance(view, Matrix)],
    }


def _example(example: Example) -> dict[str, Any]:
    rasters = [
        {
            "raster": r,
            "path": charts.raster_path(
                [e for e in r.events if e[0] < r.steps and e[1] < r.shown], r.steps, r.shown, RASTER
            ),
        }
        for r in example.rasters
    ]
    return {
        "sample": example.sample,
        "rasters": rasters,
        "membranes": [_membrane(m) for m in example.membranes],
        "raster_size": RASTER,
        "membrane_size": MEMBRANE,
    }


def _membrane(membrane: Any) -> dict[str, Any]:
    path, low, high = charts.line_path(membrane.values, MEMBRANE)
    dx = MEMBRANE[0] / max(len(membrane.values), 1)
    fired = [(t + 0.5) * dx for t in membrane.spikes if t < len(membrane.values)]
    return {"membrane": membrane, "path": path, "low": low, "high": high, "fired": fired}


def _conversion(conversion: Conversion) -> dict[str, Any]:
    """Accuracy after each layer, from the float network on; and the rows of a table."""
    steps = [("float", conversion.accuracy_float)]
    steps += [(layer.name, layer.accuracy) for layer in conversion.layers]
    known = [(name, 100 * value) for name, value in steps if value is not None]
    axis = charts.linear_axis([value for _, value in known], most=100.0, pad=0.5)
    count = max(len(known) - 1, 1)
    points = [(52 + 380 * k / count, 12 + 110 * (1 - axis.at(v))) for k, (_, v) in enumerate(known)]
    return {
        "report": conversion,
        "named": [
            (*place, name, value) for place, (name, value) in zip(points, known, strict=True)
        ],
        "line": "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else "",
        "ticks": [(12 + 110 * (1 - p), label) for p, label in axis.ticks],
        "most": max([max(layer.spikes, layer.spikes_float) for layer in conversion.layers] or [1]),
    }


def _cores(view: CoreMap) -> dict[str, Any]:
    ordered = sorted(view.cores, key=lambda core: (core.chip, core.y, core.x))
    chips = [(chip, list(cores)) for chip, cores in groupby(ordered, key=lambda core: core.chip)]
    return {
        "view": view,
        "width": view.columns * CELL,
        "height": view.rows * CELL,
        "chips": [
            {"chip": chip, "cores": [_core(core, view) for core in cores]}
            for chip, cores in chips[:MOST_CHIPS]
        ],
        "more": max(0, len(chips) - MOST_CHIPS),
        "in_use": len(view.cores),
        "mean": sum(core.load for core in view.cores) / max(len(view.cores), 1),
        "fullest": max((core.load for core in view.cores), default=0.0),
        "table": ordered[:24],
    }


def _core(core: Any, view: CoreMap) -> dict[str, Any]:
    return {
        "x": min(core.x, view.columns - 1) * CELL,
        "y": min(core.y, view.rows - 1) * CELL,
        "level": min(4, int(5 * max(core.load, 0.0))),
        "percent": round(100 * core.load),
        "title": _core_title(core),
    }


def _core_title(core: Any) -> str:
    holds = ", ".join(f"{name} {count:g}" for name, count in core.holds.items())
    used = ", ".join(f"{k.replace('_', ' ')} {u:g}/{a:g}" for k, (u, a) in core.used.items())
    return f"{core.name}: {holds or 'nothing'}; {used}"


def _memory(view: MemoryMap) -> dict[str, Any]:
    used = sum(part.bytes for part in view.parts)
    return {
        "view": view,
        "used": used,
        "share": used / view.capacity,
        "parts": [
            {"name": p.name, "bytes": p.bytes, "share": 100 * p.bytes / max(used, 1), "fill": k % 6}
            for k, p in enumerate(view.parts)
        ],
    }


def _matrix(view: Matrix) -> dict[str, Any]:
    uri, low, high = heat_map(_even(view.values))
    return {"view": view, "uri": uri, "low": low, "high": high}


def _even(values: Sequence[Sequence[float]]) -> list[list[float]]:
    """Rows of one length."""
    width = max((len(row) for row in values), default=0)
    return [[*row, *([float("nan")] * (width - len(row)))] for row in values]
