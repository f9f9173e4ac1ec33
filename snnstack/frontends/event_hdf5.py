"""Events in HDF5: Heidelberg digits (many recordings a file), or one recording a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.event_files import from_fields
from snnstack.frontends.events import Events

GROUPS = ("events", "CD/events", "dvs/events", "/")
"""Where single recordings keep x, y, t, p."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, read-only; DataError for one that is no HDF5."""
    import h5py

    if not path.is_file():
        raise fail(DataError, str(path), "there is no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = "is cut short or no HDF5 file"
        raise fail(DataError, str(path), what, "check how it was copied") from error
    with file:
        yield file


def is_ragged(file: Any) -> bool:
    """Whether a file has the layout of the Heidelberg digits: spikes/times, spikes/units."""
    return "spikes" in file and {"times", "units"} <= set(file["spikes"])


def ragged_labels(path: Path) -> tuple[int, NDArray[np.int64] | None]:
    """(number of recordings, labels) of a Heidelberg file."""
    with opened(path) as file:
        count = len(file["spikes/times"])
        labels = np.asarray(file["labels"]).astype(np.int64) if "labels" in file else None
    if labels is not None and len(labels) != count:
        what = f"has {count} recordings but {len(labels)} labels"
        raise fail(DataError, str(path), what, "the file is damaged")
    return count, labels


def read_ragged(path: Path, number: int) -> Events:
    """Recording `number`; times in seconds become whole microseconds, cut as tonic cuts them."""
    with opened(path) as file:
        times = np.asarray(file["spikes/times"][number])
        units = np.asarray(file["spikes/units"][number])
    if times.dtype.kind == "f":
        # float16 ends at 65504: multiplied in float64.
        times = np.floor(times.astype(np.float64) * 1e6)
    return from_fields({"t": times, "x": units}, f"{path}: recording {number}")


def read_single(path: Path) -> Events:
    """The events of a file that holds one recording."""
    with opened(path) as file:
        for name in GROUPS:
            if name not in file:
                continue
            place = file[name]
            if not hasattr(place, "keys"):
                array = np.asarray(place)
                if array.dtype.names:
                    return from_fields({k: array[k] for k in array.dtype.names}, str(path))
                continue
            fields = {k: np.asarray(v) for k, v in place.items() if hasattr(v, "shape")}
            if {"x", "xs", "units"} & set(fields):
                return from_fields(fields, str(path))
        names = ", ".join(file) or "nothing"
    what = f"holds {names}, but no events with x and t"
    raise fail(DataError, str(path), what, "events/x, events/y, events/t, events/p are looked for")
