"""One point of a sweep: build, emulate, price; a flat row of plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from snnstack.board import Board, Status, worst
from snnstack.building import Build, build_each
from snnstack.errors import DataError, SnnstackError, fail
from snnstack.foreign import trusting
from snnstack.frontends.data import Data
from snnstack.frontends.stream import Stream
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph
from snnstack.loading import discretised, load
from snnstack.measure import Choices, measure
from snnstack.passes.options import Options
from snnstack.report.bench import BenchRow
from snnstack.report.flat import flat
from snnstack.samples import judged_stream

LEFT_OUT = ("board", "target", "notes", "verified_against", "coefficients", "period_s")
"""Columns of a row that repeat the point, or say the same in every row."""


@dataclass(frozen=True)
class Job:
    """What all points share; `paths` says where files lie that were named otherwise.

    `trust`: whoever asked vouches for the files, wherever they are read. `boards`: every board
    of the grid with what its file names, under the name it was given; `tables`: the content of
    files that values of an axis name.
    """

    data: str
    calibrate: str | None
    samples: int | None
    verify_samples: int
    paths: Mapping[str, str]
    trust: bool = False
    boards: Mapping[str, Board] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, text: str) -> str:
        """Where the file `text` is here, with the options that follow it."""
        name, mark, rest = text.partition("?")
        return f"{self.paths.get(name, name)}{mark}{rest}"


def run_point(job: Job, point: Mapping[str, Any]) -> dict[str, Any]:
    """{"status": "ok", ...} or {"status": "refused", "why": ...} of one point.

    A point that the model, the board or a tool does not allow is a result; anything else is
    raised. The same point gives the same row, wherever and beside whatever it runs.
    """
    try:
        with trusting(job.trust):
            return {"status": "ok", **_measured(job, point)}
    except SnnstackError as error:
        return {"status": "refused", "why": " | ".join(map(str, error.problems))}


def _measured(job: Job, point: Mapping[str, Any]) -> dict[str, Any]:
    options = {k: point[k] for k in Options.__dataclass_fields__ if k in point}
    training = None if job.calibrate is None else job.at(job.calibrate)
    graph, steps = _loaded(job.at(str(point["model"])), tuple(sorted(options.items())), training)
    steps = _scaled(steps, float(point.get("threshold", 1.0)))
    test = _stream(job, job.data, steps, point).first(job.samples)
    fitted = test if job.calibrate is None else _stream(job, job.calibrate, steps, point)
    board = changed(job.boards[str(point["board"])], _read(job, point))
    (built,) = build_each(
        graph, steps, [board], fitted, point.get("granularity", "neuron"), point.get("weight_bits")
    )
    if not isinstance(built, Build):
        raise built.error
    choices = Choices(
        job.verify_samples, point.get("period"), figures=False, seed=point.get("seed")
    )
    (row,) = measure([built], steps, test, choices)
    if not isinstance(row, BenchRow):
        raise row.error
    found = flat(row.to_dict())
    return {name: value for name, value in found.items() if name not in LEFT_OUT}


def _read(job: Job, point: Mapping[str, Any]) -> dict[str, Any]:
    """The point with the content of the files that it names for the board."""
    return {k: job.tables.get(str(v), v) if "." in k else v for k, v in point.items()}


@lru_cache(maxsize=4)
def _loaded(
    path: str, options: tuple[tuple[str, Any], ...], training: str | None
) -> tuple[Graph, StepGraph]:
    graph = load(path, Options(**dict(options)), calibrate=training)
    return graph, discretised(graph)


def _scaled(steps: StepGraph, factor: float) -> StepGraph:
    """All thresholds times `factor`."""
    if factor == 1.0:
        return steps
    populations = tuple(
        p if p.threshold is None else p.with_lif(threshold=p.threshold * factor)
        for p in steps.populations
    )
    return steps.with_(populations=populations)


def _stream(job: Job, text: str, steps: StepGraph, point: Mapping[str, Any]) -> Stream:
    """The samples, cut to the point's number of steps."""
    found = judged_stream(job.at(text), steps)
    wanted = point.get("steps")
    if wanted is None:
        return found
    if wanted > found.steps:
        raise fail(DataError, text, f"has {found.steps} steps, the sweep asks for {wanted}")

    def reader(most: int) -> Iterator[Data]:
        for part in found.reader(most):
            yield replace(part, spikes=part.spikes.window(0, wanted))

    return replace(found, steps=wanted, reader=reader)


def changed(board: Board, point: Mapping[str, Any]) -> Board:
    """`board` with the point's own values; TargetError-like DataError for a key it lacks."""
    raw = msgspec.to_builtins(board)
    paths = [name for name in point if "." in name]
    for path in paths:
        _put(raw, path, point[path], board.name)
    if not paths:
        return board
    raw["status"] = _status(raw)
    try:
        return msgspec.convert(raw, Board)
    except msgspec.ValidationError as error:
        raise fail(DataError, f"board {board.name}", f"{', '.join(paths)}: {error}") from error


def _put(raw: dict[str, Any], path: str, value: Any, board: str) -> None:
    part, *keys = path.split(".")
    table = raw[part]
    for key in keys[:-1]:
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, dict) or keys[-1] not in table:
        known = ", ".join(raw[part]) or "nothing"
        what = f"has no {path}"
        raise fail(DataError, f"board {board}", what, f"{part} has: {known}")
    own = {"status": "estimated", "source": "set by a sweep"}
    match part:
        case "capacity":
            table[keys[-1]] |= {"value": value, **own}
        case "coefficients":
            table[keys[-1]] |= {"low": value, "typical": value, "high": value, **own}
        case _:
            table[keys[-1]] = value


def _status(raw: Mapping[str, Any]) -> Status:
    figures = [*raw["capacity"].values(), *raw["coefficients"].values()]
    return worst(f["status"] for f in (*figures, raw["clock"], raw["voltage"]))


def sources(job_files: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    """Write files into `folder`; {name they were given under: where they are now}."""
    found = {}
    for number, (name, content) in enumerate(sorted(job_files.items())):
        file = folder / f"{number}-{Path(name).name}"
        file.write_bytes(content)
        found[name] = str(file)
    return found
