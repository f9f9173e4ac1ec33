"""`tonic:NAME?path=FOLDER`: sets by the name tonic gives them, without downloading anything."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, fail
from snnstack.frontends.event_fields import from_fields
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.recording_classes import numbered
from snnstack.frontends.recording_files import HDF5, Recording, RecordingSet, found_at, reading_of
from snnstack.frontends.spec import Spec
from snnstack.frontends.tonic_offline import opened_set

SENSORS = {
    "NMNIST": Sensor(34, 34, 2),
    "DVSGesture": Sensor(128, 128, 2),
    "SHD": Sensor(700, None, 1),
    "SSC": Sensor(700, None, 1),
}
"""Sets whose files are read here, so that a part of one will do and tonic is not needed."""


def tonic_set(spec: Spec) -> RecordingSet:
    """The set called `spec.place` in the folder `path`."""
    if "path" not in spec.options:
        what = "says no path"
        raise fail(DataError, spec.text, what, f"tonic:{spec.place}?path=FOLDER&bin=1ms")
    path = Path(spec.options["path"])
    if not path.exists():
        raise fail(DataError, str(path), "there is no such file or folder", "nothing is downloaded")
    if spec.place in SENSORS:
        found = _native(path, spec)
        return RecordingSet(found.recordings, SENSORS[spec.place], found.classes)
    return _by_tonic(path, spec)


def _native(path: Path, spec: Spec) -> RecordingSet:
    inner = path / spec.place
    path = inner if path.is_dir() and inner.is_dir() else path
    if path.is_dir() and spec.place in ("SHD", "SSC"):
        path = _heidelberg(path, spec)
    return found_at(path, spec)


def _heidelberg(path: Path, spec: Spec) -> Path:
    """The file of the wanted split, such as shd_test.h5."""
    files = sorted(f for f in path.iterdir() if f.suffix in HDF5)
    split = spec.options.get("split")
    chosen = [f for f in files if split is None or f.stem.endswith(split)]
    if len(chosen) != 1:
        names = ", ".join(f.name for f in files) or "no HDF5 file"
        hint = "choose one: split=test" if files else "unpack the set's .h5.zip there"
        raise fail(DataError, str(path), f"holds {names}", hint)
    return chosen[0]


def _by_tonic(path: Path, spec: Spec) -> RecordingSet:
    found = opened_set(path, spec)
    if not len(found):
        raise fail(DataError, str(path), f"holds no recordings of {spec.place}")
    labels, names = _labels(found, spec)
    parts = [
        Recording(f"{spec.text}: {k}", partial(_events, found, k, spec), labels[k])
        for k in range(len(found))
    ]
    return RecordingSet(parts, _sensor(found), names)


def _sensor(found: Any) -> Sensor | None:
    """What tonic says of the sensor: None where recordings are of any size."""
    size = getattr(found, "sensor_size", None)
    if size is None:
        return None
    width, height, polarities = (*(int(n) for n in size), 1)[:3]
    line = "y" not in (getattr(found, "ordering", None) or ("y",))
    return Sensor(width, None if line else height, polarities)


def _labels(found: Any, spec: Spec) -> tuple[list[int | None], tuple[str, ...] | None]:
    """The class of every recording, None where targets are no classes; names as in `Classes`."""
    targets = getattr(found, "targets", None)
    if targets is None or len(targets) != len(found):
        targets = getattr(found, "label_data", None)
    if targets is None or len(targets) != len(found):
        kept = _target(found, 0)
        known = isinstance(kept, (int, str, np.integer))
        targets = [_target(found, k) for k in range(len(found))] if known else [None] * len(found)
    if all(isinstance(t, str) for t in targets) and not any(map(os.path.isfile, targets)):
        classes = numbered(list(targets), set(targets), spec)
        return list(classes.labels), classes.names
    return [int(t) if isinstance(t, (int, np.integer)) else None for t in targets], None


def _target(found: Any, number: int) -> Any:
    try:
        return found[number][1]
    except Exception:  # what is wrong with a recording is said when it is read
        return None


def _events(found: Any, number: int, spec: Spec) -> Events:
    """Recording `number`: its events, or, of several cameras and signals, the first events."""
    where = f"{spec.text}: {number}"
    try:
        sample = found[number][0]
    except Exception as error:  # tonic and what it uses raise whatever they stumble over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "the file is damaged, or is not what tonic takes it for"
        raise fail(DataError, where, f"cannot be read by tonic: {reason}", hint) from error
    parts = sample if isinstance(sample, (tuple, list)) else [sample]
    for part in parts:
        names = getattr(getattr(part, "dtype", None), "names", None)
        if names:
            fields = {name: np.array(part[name]) for name in names}
            events = from_fields(fields, where, reading_of(spec))
            return events
    raise fail(DataError, where, "holds no events", "the set has other kinds of samples")
