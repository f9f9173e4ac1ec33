"""`tonic:NAME?path=FOLDER`: sets by the name tonic gives them, without downloading anything."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, ToolError, fail
from snnstack.frontends.event_files import from_fields
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.recordings import HDF5, Recording, RecordingSet, found_at
from snnstack.frontends.spec import Spec

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
        return RecordingSet(_native(path, spec).recordings, SENSORS[spec.place])
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
    try:
        import tonic.datasets
    except ImportError as error:
        hint = "pip install 'snnstack[data]'"
        raise fail(ToolError, "tonic", f"is needed for {spec.place}", hint) from error
    kind: Any = getattr(tonic.datasets, spec.place, None)
    if not isinstance(kind, type):
        names = sorted(n for n in vars(tonic.datasets) if n[:1].isupper())
        what = f"tonic has no set {spec.place!r}"
        raise fail(DataError, spec.text, what, f"there are: {', '.join(names)}")
    found = _offline(kind, path, spec)
    width, height, polarities = (*getattr(kind, "sensor_size"), 1)[:3]  # noqa: B009
    sensor = Sensor(int(width), int(height), int(polarities))
    labels = getattr(found, "targets", [None] * len(found))
    parts = [
        Recording(f"{spec.text}: {k}", partial(_events, found, k, spec.text), _label(labels[k]))
        for k in range(len(found))
    ]
    return RecordingSet(parts, sensor)


def _offline(kind: Any, path: Path, spec: Spec) -> Any:
    """The set as tonic finds it in `path`; DataError instead of a download."""

    def download(self: Any) -> None:
        what = f"does not hold all of {spec.place} as tonic wants it"
        raise fail(DataError, str(path), what, "nothing is downloaded; unpack the whole set there")

    split = spec.options.get("split")
    offline = type(kind.__name__, (kind,), {"download": download})
    options = {} if split is None else {"train": split == "train"}
    try:
        return offline(str(path), **options)
    except TypeError as error:
        what = f"{spec.place} has no split {split!r}"
        raise fail(DataError, spec.text, what, "leave split out") from error
    except (OSError, ValueError) as error:
        what = f"tonic cannot open {spec.place}: {str(error).splitlines()[0]}"
        raise fail(DataError, str(path), what, "unpack the whole set there") from error


def _events(found: Any, number: int, where: str) -> Events:
    events = found[number][0]
    return from_fields({name: np.array(events[name]) for name in events.dtype.names}, where)


def _label(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, np.integer)) else None
