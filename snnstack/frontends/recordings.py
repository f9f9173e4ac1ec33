"""Sets of recordings: where they lie, what class each has, and how they become a `Stream`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from snnstack.errors import DataError, fail
from snnstack.foreign import trusted, trusting
from snnstack.frontends import event_hdf5
from snnstack.frontends.data import Data
from snnstack.frontends.event_files import READERS, read_aedat
from snnstack.frontends.events import (
    POLARITIES,
    Binning,
    Events,
    Sensor,
    binned,
    duration_steps,
    shape_of,
)
from snnstack.frontends.spec import (
    Spec,
    choice,
    known_options,
    microseconds,
    numbers,
    whole,
)
from snnstack.frontends.stream import Stream, joined
from snnstack.ir.step import StepInput, size
from snnstack.trace import Spikes

OPTIONS = (
    "bin",
    "clip",
    "crop",
    "downsample",
    "origin",
    "polarity",
    "shuffle",
    "size",
    "split",
    "start",
    "steps",
)
"""Of every kind of recording."""
HDF5 = (".h5", ".hdf5")
SPLITS = ("train", "test", "valid")
SUFFIXES = (*READERS, *HDF5)
NMNIST = Sensor(34, 34, 2)


@dataclass(frozen=True)
class Recording:
    """One sample: how to read it, and its class (None: unknown)."""

    name: str
    read: Callable[[], Events]
    label: int | None


@dataclass(frozen=True)
class RecordingSet:
    """Recordings in sorted order, and the sensor where the format tells it."""

    recordings: Sequence[Recording]
    sensor: Sensor | None = None


def found_at(path: Path, spec: Spec) -> RecordingSet:
    """The recordings in a file or folder.

    A folder holds one folder per class, or is a split of one (`split=`); class numbers are the
    folders' names where these are numbers, else their place in alphabetical order.
    """
    if path.is_file():
        return _in_file(path)
    if not path.is_dir():
        raise fail(DataError, str(path), "there is no such file or folder", "path=FOLDER names it")
    path = _split(path, spec)
    files = sorted(f for f in path.rglob("*") if f.suffix in SUFFIXES and f.is_file())
    if not files:
        hint = f"files that are read: {', '.join(SUFFIXES)}"
        raise fail(DataError, str(path), "holds no recordings", hint)
    labels = _labels(files, path)
    kind = files[0].suffix
    parts = [
        Recording(str(f), partial(_read, f, trusted()), label)
        for f, label in zip(files, labels, strict=True)
    ]
    many = any(_gestures(f).is_file() for f in files)
    if many or (kind in HDF5 and len(files) == 1):
        parts = [part for f in files for part in _in_file(f).recordings]
    return RecordingSet(parts, NMNIST if kind == ".bin" else None)


def _split(path: Path, spec: Spec) -> Path:
    """The folder of the wanted split, where there are folders for splits."""
    folders = {f.name.lower(): f for f in path.iterdir() if f.is_dir()}
    present = {s: f for s in SPLITS for name, f in folders.items() if name.endswith(s)}
    wanted = spec.options.get("split")
    if wanted is not None and wanted not in SPLITS:
        raise fail(DataError, spec.text, f"split is {wanted!r}", f"one of: {', '.join(SPLITS)}")
    if wanted is None and len(present) > 1:
        what = f"has the splits {', '.join(present)}"
        raise fail(DataError, str(path), what, "choose one: split=test")
    if wanted is not None and present:
        if wanted not in present:
            what = f"has no split {wanted!r}, only {', '.join(present)}"
            raise fail(DataError, str(path), what, "choose another split")
        return present[wanted]
    return next(iter(present.values()), path)


def _labels(files: list[Path], root: Path) -> list[int | None]:
    """The class of every file, from the folder below `root`, or from a number as file name."""
    tops = [f.relative_to(root).parts for f in files]
    if all(len(parts) == 1 for parts in tops):
        return [None] * len(files)
    if all(f.stem.isdecimal() and f.suffix == ".npy" for f in files):
        return [int(f.stem) for f in files]  # tonic's DVS-Gesture: user folder, class as file
    names = sorted({parts[0] for parts in tops})
    numeric = all(name.isdecimal() for name in names)
    numbers_ = {name: int(name) if numeric else k for k, name in enumerate(names)}
    return [numbers_[parts[0]] for parts in tops]


def _read(path: Path, trust: bool) -> Events:
    """`trust`: whether the user vouched for the set when it was opened."""
    with trusting(trust):
        return event_hdf5.read_single(path) if path.suffix in HDF5 else READERS[path.suffix](path)


def _in_file(path: Path) -> RecordingSet:
    if path.suffix in HDF5:
        if event_hdf5.is_ragged(path):
            return _ragged(path)
    elif path.suffix == ".aedat" and _gestures(path).is_file():
        return RecordingSet(_cut(path), Sensor(128, 128, 2))
    elif path.suffix not in READERS:
        hint = f"files that are read: {', '.join(SUFFIXES)}"
        raise fail(DataError, str(path), f"unknown kind of recording {path.suffix!r}", hint)
    one = Recording(str(path), partial(_read, path, trusted()), None)
    return RecordingSet([one], NMNIST if path.suffix == ".bin" else None)


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
    rows = [line.split(",") for line in table.read_text().splitlines()[1:] if line.strip()]
    try:
        cuts = [(int(kind), int(start), int(end)) for kind, start, end in rows]
    except ValueError as error:
        what = "is not a table of class, startTime_usec, endTime_usec"
        raise fail(DataError, str(table), what) from error

    def part(start: int, end: int) -> Events:
        whole_ = read_aedat(path)
        keep = (whole_.t >= start) & (whole_.t < end)
        columns = (whole_.x, whole_.y, whole_.p)
        x, y, p = (None if c is None else c[keep] for c in columns)
        assert x is not None
        return Events(whole_.t[keep] - start, x, y, p)

    return [
        Recording(f"{path}: gesture {k}", partial(part, start, end), kind - 1)
        for k, (kind, start, end) in enumerate(cuts)
    ]


def binning_of(spec: Spec) -> Binning:
    """The binning that the options say."""
    if "bin" not in spec.options:
        raise fail(DataError, spec.text, "says no bin", "bin=1ms is the length of a step")
    bin_us = microseconds(spec, "bin")
    if not bin_us:
        raise fail(DataError, spec.text, "bin is 0", "a step takes 1 us or more")
    crop = numbers(spec, "crop", 4)
    if crop is not None and 0 in crop[2:]:
        raise fail(DataError, spec.text, "crop is empty", "crop=x,y,width,height")
    polarity = choice(spec, "polarity", POLARITIES, "both")
    return Binning(
        bin_us=bin_us,
        steps=whole(spec, "steps", least=1),
        start_us=microseconds(spec, "start", 0) or 0,
        from_first=choice(spec, "origin", ("zero", "first"), "zero") == "first",
        crop=None if crop is None else (crop[0], crop[1], crop[2], crop[3]),
        downsample=whole(spec, "downsample", 1, least=1) or 1,
        polarity=next(p for p in POLARITIES if p == polarity),
        clip=whole(spec, "clip", least=1),
    )


def stream_of(found: RecordingSet, spec: Spec, port: StepInput) -> Stream:
    """The recordings as samples for `port`; DataError where the shapes do not fit.

    Samples are shuffled by `shuffle=SEED` (default 0), so that the first ones are of all
    classes; `shuffle=no` keeps the sorted order.
    """
    known_options(spec, (*OPTIONS, "path"))
    binning = binning_of(spec)
    recordings = _ordered(found.recordings, spec)
    sensor = _sensor(found, recordings[0], spec, port)
    shape = shape_of(sensor, binning)
    if size(shape) != size(port.shape):
        what = f"steps have the shape {list(shape)}, input {port.name!r} needs {list(port.shape)}"
        raise fail(DataError, spec.text, what, "size, crop, downsample and polarity change it")
    steps = binning.steps or max(duration_steps(r.read(), binning) for r in recordings)
    if not steps:
        raise fail(DataError, spec.text, "holds no events", "is `start` behind the last one?")

    def reader(most: int) -> Iterator[Data]:
        for start in range(0, len(recordings), most):
            part = recordings[start : start + most]
            yield joined([_sample(r, sensor, binning, steps, port) for r in part], spec.text)

    return Stream(spec.text, port, len(recordings), steps, reader)


def _ordered(recordings: Sequence[Recording], spec: Spec) -> list[Recording]:
    if not recordings:
        raise fail(DataError, spec.text, "holds no recordings")
    if spec.options.get("shuffle") == "no":
        return list(recordings)
    seed = whole(spec, "shuffle", 0)
    order = np.random.default_rng(seed).permutation(len(recordings))
    return [recordings[k] for k in order]


def _sensor(found: RecordingSet, first: Recording, spec: Spec, port: StepInput) -> Sensor:
    """By option, by the format, or that of the input where nothing else changes the shape."""
    polarities = 2 if found.sensor is None else found.sensor.polarities
    if found.sensor is None and first.read().p is None:
        polarities = 1
    if "x" in spec.options.get("size", ""):
        width, height = numbers(spec, "size", 2, "x") or (0, 0)
        return Sensor(width, height, polarities)
    line = whole(spec, "size", least=1)
    if line is not None:
        return Sensor(line, None, polarities)
    if found.sensor is not None:
        return found.sensor
    changed = {"crop", "downsample"} & set(spec.options)
    if not changed and len(port.shape) in (1, 3):
        rows = port.shape[1] if len(port.shape) == 3 else None
        return Sensor(port.shape[-1], rows, polarities)
    what = "the size of the sensor is not known"
    raise fail(DataError, spec.text, what, "size=WIDTHxHEIGHT, such as size=128x128")


def _sample(
    recording: Recording, sensor: Sensor, binning: Binning, steps: int, port: StepInput
) -> Data:
    spikes = binned(recording.read(), sensor, binning, steps, recording.name)
    if port.max_count == 1 and spikes.counts is not None:
        what = f"has up to {spikes.counts.max()} events of an element in a step"
        hint = "input is 'binary': clip=1, a shorter bin, or compile with --events count"
        raise fail(DataError, recording.name, what, hint)
    fitted = Spikes(port.shape, 1, spikes.steps, spikes.indptr, spikes.indices, spikes.counts)
    labels = None if recording.label is None else np.array([recording.label], dtype=np.int64)
    return Data(fitted, labels, recording.name)
