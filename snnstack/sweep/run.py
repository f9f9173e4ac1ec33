"""Run a sweep into a folder: what is finished is read, the rest is run, the table is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnstack.board import board_digest, file_content, load_board
from snnstack.errors import DataError, Problem, ToolError, fail, raise_if_any
from snnstack.files import write_file
from snnstack.foreign import trusted
from snnstack.frontends.spec import parse
from snnstack.outputs import Output, check_outputs
from snnstack.process import processors
from snnstack.report.flat import csv_text
from snnstack.sweep import workers
from snnstack.sweep.chips import COUNT, SEED, joined
from snnstack.sweep.journal import digest_of, key_of, opened
from snnstack.sweep.page import sweep_page
from snnstack.sweep.point import Job
from snnstack.sweep.spec import Point, Spec
from snnstack.target import statistical

GONE = "there is no such file"
CSV, PARQUET, PAGE = "results.csv", "results.parquet", "results.html"
CHIPS = "chips.csv"
"""Of sweeps with an axis `seed`: a row per point, over its chips."""


@dataclass(frozen=True)
class Outcome:
    """`rows` of all finished points in order of the grid; `failed`: (point, error) of the rest."""

    rows: tuple[dict[str, Any], ...]
    reused: int
    failed: tuple[tuple[Point, BaseException], ...]
    written: tuple[Path, ...]


def sweep(
    spec: Spec,
    folder: str | Path,
    *,
    processes: int | None = None,
    scheduler: str | None = None,
    parquet: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """All points of `spec` into `folder`: `results.csv` (and `.parquet`), and a page with plots;
    with an axis `seed` also `chips.csv`, mean and standard error over the chips of each point.

    Points that an earlier run into the same folder finished are not run again, whatever ended
    it. `processes`: how many points run side by side (None: one per processor); `scheduler`:
    the address of a Dask cluster instead. The tables do not depend on either.
    """
    if parquet:
        _parquet_module()
    folder = Path(folder)
    job, shared = _job(spec)
    tables = [Output(folder / name, (Path(name).suffix,)) for name in (CSV, CHIPS, PARQUET, PAGE)]
    check_outputs([Output(folder), *tables], [Path(place) for place in job.paths.values()])
    keyed = [(key_of(point, _asked(shared, point)), point) for point in spec.points()]
    failed: list[tuple[Point, BaseException]] = []
    with opened(folder) as journal:
        points = dict(keyed)
        left = [(key, point) for key, point in keyed if key not in journal.done]
        reused = len(keyed) - len(left)
        for key, outcome in _outcomes(job, left, processes, scheduler):
            if isinstance(outcome, BaseException):
                failed.append((points[key], outcome))
            else:
                journal.add(key, points[key], outcome)
            if progress is not None:
                progress(len(journal.done) - _extra(journal.done, points), len(keyed))
        rows = [p | {**journal.done[k], **p} for k, p in keyed if k in journal.done]
        analogue = {name for name, board in job.boards.items() if statistical(board.target)}
        written = _write(rows, spec, folder, parquet, analogue)
    return Outcome(tuple(rows), reused, tuple(failed), tuple(written))


def _extra(done: Mapping[str, Any], points: Mapping[str, Any]) -> int:
    """Finished points of the folder that belong to another grid."""
    return sum(key not in points for key in done)


def _outcomes(
    job: Job, left: Sequence[workers.Task], processes: int | None, scheduler: str | None
) -> Any:
    if not left:
        return iter(())
    if scheduler is not None:
        return workers.dask(job, left, scheduler)
    count = min(processes or processors(), len(left))
    return workers.here(job, left) if count == 1 else workers.processes(job, left, count)


def _job(spec: Spec) -> tuple[Job, dict[str, Any]]:
    """The job, and {"settings", "files"}: what the answers depend on besides the point."""
    named = [spec.data.partition("?")[0], (spec.calibrate or "").partition("?")[0]]
    named += map(str, spec.axes.get("model", (spec.fixed.get("model", ""),)))
    found = {name: Path(name) for name in named if name and os.path.exists(name)}
    models = spec.axes.get("model", (spec.fixed.get("model", ""),))
    gone = [Problem(m, GONE, "name a model file") for m in map(str, models) if m not in found]
    gone += [
        Problem(str(place), GONE, "name samples: docs/data.md")
        for place in map(_place, (spec.data, spec.calibrate))
        if place is not None and not os.path.exists(place)
    ]
    raise_if_any(DataError, gone)
    files = {name: str(path) for name, path in found.items() if path.is_file()}
    boards = {str(name): load_board(str(name)) for name in spec.axes["board"]}
    tables = _tables(spec)
    job = Job(
        spec.data, spec.calibrate, spec.samples, spec.verify_samples, files, trusted(), boards,
        tables,
    )  # fmt: skip
    settings = [spec.data, spec.calibrate, spec.samples, spec.verify_samples]
    digests = {name: digest_of(path) for name, path in found.items()}
    digests |= {name: board_digest(board) for name, board in boards.items()}
    return job, {"settings": settings, "files": digests, "tables": tables}


def _tables(spec: Spec) -> dict[str, Any]:
    """What is in the files that axes of the board name (`hardware.device`)."""
    values = {str(v) for k, axis in spec.axes.items() if k.startswith("hardware.") for v in axis}
    found = {value: file_content(value, Path()) for value in sorted(values)}
    return {value: table for value, table in found.items() if table != value}


def _place(data: str | None) -> Path | None:
    """The file or folder that samples are read from; None where the name of a set is given."""
    spec = None if data is None else parse(data)
    return None if spec is None or spec.kind == "tonic" else spec.path


def _asked(shared: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """Of the shared files those that this point reads, by content, not by name."""
    settings = list(shared["settings"])
    names = [settings[0].partition("?")[0], (settings[1] or "").partition("?")[0]]
    names += [str(point["model"]), str(point["board"])]
    digests = [shared["files"].get(name, "") for name in names]
    options = [(text or "").partition("?")[2] for text in settings[:2]]
    whole = [text if not d else "" for text, d in zip(settings[:2], digests, strict=False)]
    tables = {k: shared["tables"][str(v)] for k, v in point.items() if str(v) in shared["tables"]}
    asked = {"settings": [*options, *whole, *settings[2:]], "files": digests}
    return asked | ({"tables": tables} if tables else {})


def _write(
    rows: list[dict[str, Any]], spec: Spec, folder: Path, parquet: bool, analogue: set[str]
) -> list[Path]:
    """The tables of what is finished; nothing where nothing is."""
    if not rows:
        return []
    first = [*spec.fixed, *spec.axes, "status"]
    text = csv_text(rows, first)
    write_file(text.encode(), folder / CSV)
    points = joined(rows, [*spec.fixed, *spec.axes], analogue)
    write_file(sweep_page(rows, points, spec).encode(), folder / PAGE)
    written = [folder / CSV, folder / PAGE]
    if SEED in spec.axes and points:
        columns = [name for name in first if name != SEED]
        write_file(csv_text(points, [*columns, COUNT]).encode(), folder / CHIPS)
        written.append(folder / CHIPS)
    if parquet:
        write_file(_parquet(rows, first), folder / PARQUET)
        written.append(folder / PARQUET)
    return written


def _parquet_module() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        hint = "pip install 'snnstack[parquet]'"
        raise fail(ToolError, "--parquet", "pyarrow is not installed", hint) from error
    return pyarrow


def _parquet(rows: list[dict[str, Any]], first: list[str]) -> bytes:
    """A table with one column per name; where types are mixed, as text."""
    arrow = _parquet_module()
    names = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            values = [None if v is None else float(v) for v in values]
        elif len(kinds) > 1:
            values = [None if v is None else str(v) for v in values]
        columns[name] = arrow.array(values)
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(arrow.table(columns), sink, compression="zstd")
    return bytes(sink.getvalue())
