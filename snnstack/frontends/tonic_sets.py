"""`tonic:NAME?path=FOLDER`: sets by the name tonic gives them, without downloading anything."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from snnstack.errors import DataError, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends.event_fields import from_fields
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.recording_classes import numbered
from snnstack.frontends.recording_files import HDF5, Recording, RecordingSet, found_at, reading_of
from snnstack.frontends.spec import Spec
from snnstack.frontends.tonic_reading import plain, recording_of, set_of, tonic_folder
from snnstack.notices import say

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
    folder, said = tonic_folder(path), plain(spec)
    found = folder.read(set_of, said)
    if not found["count"]:
        raise fail(DataError, str(path), f"holds no recordings of {spec.place}")
    if found["partial"]:
        what = f"holds {found['count']} recordings, not all of {spec.place}"
        say(str(path), what, "those that are there are read")
    labels, names = _labels(found["targets"], spec)
    parts = [
        Recording(f"{spec.text}: {k}", partial(_events, folder, said, k, spec), label)
        for k, label in enumerate(labels)
    ]
    sensor = found["sensor"]
    return RecordingSet(parts, None if sensor is None else Sensor(*sensor), names)


def _labels(
    targets: list[int | str | None], spec: Spec
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """The class of every recording, None where targets are no classes; names as in `Classes`."""
    names = [t for t in targets if isinstance(t, str)]
    if names and len(names) == len(targets):
        classes = numbered(names, set(names), spec)
        return list(classes.labels), classes.names
    return [t if isinstance(t, int) else None for t in targets], None


def _events(folder: ForeignFile, said: dict[str, Any], number: int, spec: Spec) -> Events:
    fields = folder.read(recording_of, said, number)
    return from_fields(dict(fields), f"{spec.text}: {number}", reading_of(spec))
