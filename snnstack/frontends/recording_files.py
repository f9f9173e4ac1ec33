"""Sets of recordings in a file or folder: each with its class, and what is known of the sensor."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from snnstack.errors import DataError, fail
from snnstack.foreign import trusted, trusting
from snnstack.frontends import event_hdf5
from snnstack.frontends.aedat import read_aedat
from snnstack.frontends.event_fields import CODINGS, UNITS, Reading
from snnstack.frontends.event_files import READERS
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.recording_classes import chosen_split, classes_of, listed
from snnstack.frontends.spec import Spec, choice, whole

HDF5 = (".h5", ".hdf5")
SUFFIXES = (*READERS, *HDF5)
TEXT = (".csv", ".txt")
"""Lie beside recordings for other reasons too: read from a folder only if nothing else is there."""
NMNIST = Sensor(34, 34, 2)
GESTURES = Sensor(128, 128, 2)
LAST = 2**62
"""Microseconds: no recording is as long."""


@dataclass(frozen=True)
class Recording:
    """One sample: how to read it, and its class (None: unknown)."""

    name: str
    read: Callable[[], Events]
    label: int | None


@dataclass(frozen=True)
class RecordingSet:
    """Recordings in sorted order, and the sensor where the format tells it.

    `classes`: the names whose order gave the class numbers, where nothing else did.
    """

    recordings: Sequence[Recording]
    sensor: Sensor | None = None
    classes: tuple[str, ...] | None = None


def reading_of(spec: Spec) -> Reading:
    """What the options say of files that do not say it of themselves."""
    unit = choice(spec, "unit", tuple(UNITS), "us") if "unit" in spec.options else None
    columns = spec.options.get("columns")
    if columns is not None and not {"t", "x"} <= set(columns) <= set("txyp-"):
        hint = "a letter a column, - for one that is left out: columns=txyp"
        raise fail(DataError, spec.text, f"columns is {columns!r}", hint)
    given = "polarities" in spec.options
    coding = choice(spec, "polarities", tuple(CODINGS), "0,1") if given else None
    return Reading(unit, columns, coding, whole(spec, "first"), spec.options.get("chip"))


def found_at(path: Path, spec: Spec) -> RecordingSet:
    """The recordings in a file or folder.

    A folder holds one folder per class, or is a split of one (`split=`); class numbers are the
    folders' names where these are numbers, else their place in alphabetical order.
    """
    if path.is_file():
        return _in_file(path, spec)
    if not path.is_dir():
        raise fail(DataError, str(path), "there is no such file or folder", "path=FOLDER names it")
    path = chosen_split(path, spec)
    files = _files(path, spec)
    found = classes_of(files, path, spec)
    kind = files[0].suffix.lower()
    read = partial(_read, reading=reading_of(spec), trust=trusted())
    parts = [
        Recording(str(f), partial(read, f), label)
        for f, label in zip(files, found.labels, strict=True)
    ]
    many = any(os.path.isfile(_gestures(f)) for f in files)
    if many or (kind in HDF5 and len(files) == 1):
        parts = [part for f in files for part in _in_file(f, spec).recordings]
    return RecordingSet(parts, NMNIST if kind == ".bin" else None, found.names)


def _files(path: Path, spec: Spec) -> list[Path]:
    """The recordings below `path`, all of one kind."""
    suffix = spec.options.get("suffix")
    wanted = SUFFIXES if suffix is None else (f".{suffix.lstrip('.').lower()}",)
    files = [f for f in sorted(path.rglob("*")) if f.suffix.lower() in wanted and f.is_file()]
    files = [f for f in files if not _hidden(f.relative_to(path))]
    native = [f for f in files if f.suffix.lower() not in TEXT]
    files, trials = native or files, listed(path, spec)
    files = files if trials is None else [f for f in files if f.name in trials]
    if not files:
        hint = f"files that are read: {', '.join(SUFFIXES)}"
        raise fail(DataError, str(path), "holds no recordings", hint)
    kinds = Counter(f.suffix.lower() for f in files)
    if len(kinds) > 1:
        what = "holds " + " and ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
        raise fail(DataError, str(path), what, f"choose one kind: suffix={min(kinds)[1:]}")
    return files


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _read(path: Path, reading: Reading, trust: bool) -> Events:
    """`trust`: whether the user vouched for the set when it was opened."""
    suffix = path.suffix.lower()
    with trusting(trust):
        if suffix in HDF5:
            return event_hdf5.read_single(path, reading)
        return READERS[suffix](path, reading)


def _in_file(path: Path, spec: Spec) -> RecordingSet:
    suffix = path.suffix.lower()
    if suffix in HDF5:
        if event_hdf5.is_ragged(path):
            return _ragged(path)
    elif suffix == ".aedat" and os.path.isfile(_gestures(path)):
        return RecordingSet(_cut(path), GESTURES)
    elif suffix not in READERS:
        hint = f"files that are read: {', '.join(SUFFIXES)}"
        raise fail(DataError, str(path), f"unknown kind of recording {path.suffix!r}", hint)
    read = partial(_read, path, reading_of(spec), trusted())
    return RecordingSet([Recording(str(path), read, None)], NMNIST if suffix == ".bin" else None)


def _ragged(path: Path) -> RecordingSet:
    count, labels = event_hdf5.ragged_labels(path)
    file = event_hdf5.hdf5_file(path)
    parts = [
        Recording(
            f"{path}: recording {k}",
            partial(event_hdf5.read_ragged, file, k),
            None if labels is None else int(labels[k]),
        )
        for k in range(count)
    ]
    return RecordingSet(parts, Sensor(700, None, 1))


def _gestures(path: Path) -> Path:
    """DVS-Gesture: the table of class, start and end in microseconds beside a recording."""
    return path.with_name(f"{path.stem}_labels.csv")


def _cut(path: Path) -> list[Recording]:
    table = _gestures(path)
    rows = [
        line.split(",")
        for line in table.read_text(errors="replace").splitlines()[1:]
        if line.strip()
    ]
    try:
        cuts = [(int(kind), int(start), int(end)) for kind, start, end in rows]
    except ValueError as error:
        what = "is not a table of class, startTime_usec, endTime_usec"
        raise fail(DataError, str(table), what) from error
    return [
        Recording(f"{path}: gesture {k}", partial(_part, path, start, end), kind - 1)
        for k, (kind, start, end) in enumerate(cuts)
    ]


def _part(path: Path, start: int, end: int) -> Events:
    """The events from `start` on and before `end`, microseconds from `start`."""
    found = read_aedat(path)
    start, end = (min(max(time, -LAST), LAST) for time in (start, end))
    keep = (found.t >= start) & (found.t < end)
    y, p = (None if c is None else c[keep] for c in (found.y, found.p))
    return replace(found, t=found.t[keep] - start, x=found.x[keep], y=y, p=p)
