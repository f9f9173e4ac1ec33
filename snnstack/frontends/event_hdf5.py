"""Events in HDF5: Heidelberg digits (many recordings a file), or one recording a file.

Functions called `..._of` run in the process that reads foreign files, the others ask it.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends.event_fields import PLAIN, Reading, from_fields, from_table
from snnstack.frontends.events import Events
from snnstack.frontends.hdf5 import AGAIN, is_hdf5, opened, oversized, whole

GROUPS = ("events", "CD/events", "dvs/events", "TD", "/")
"""Where single recordings keep x, y, t, p; pixels count from 1 in TD, a struct of Matlab tools."""
TABLE = "table"
TOGETHER = 64
"""Recordings of a file that are read at once."""
BLOCK_BYTES = 2**24
"""And no more than this, but for one recording that is larger."""


def hdf5_file(path: Path) -> ForeignFile:
    """The file to ask; DataError for one that is no HDF5."""
    if not path.is_file():
        raise fail(DataError, str(path), "there is no such file")
    try:
        known = is_hdf5(path)
    except OSError as error:
        raise fail(DataError, str(path), f"cannot be read: {error.strerror}") from error
    if not known:
        what = "is cut short or no HDF5 file"
        raise fail(DataError, str(path), what, "check how it was copied")
    return ForeignFile(path, DataError)


def is_ragged(path: Path) -> bool:
    """Whether a file has the layout of the Heidelberg digits: spikes/times, spikes/units."""
    return bool(hdf5_file(path).read(is_ragged_of))


def is_ragged_of(path: str) -> bool:
    """`is_ragged` in the process that reads."""
    with opened(path, DataError) as file:
        spikes = file.get("spikes")
        return hasattr(spikes, "keys") and {"times", "units"} <= set(spikes)


def ragged_labels(path: Path) -> tuple[int, NDArray[np.int64] | None]:
    """(number of recordings, labels) of a Heidelberg file."""
    count, labels = hdf5_file(path).read(ragged_labels_of)
    if labels is not None and (np.ndim(labels) != 1 or np.asarray(labels).dtype.kind not in "iu"):
        raise fail(DataError, str(path), "labels are no list of class numbers")
    labels = None if labels is None else labels.astype(np.int64)
    if labels is not None and len(labels) != count:
        what = f"has {count} recordings but {len(labels)} labels"
        raise fail(DataError, str(path), what, "the file is damaged")
    return count, labels


def ragged_labels_of(path: str) -> tuple[int, Any]:
    """`ragged_labels` in the process that reads, as they are stored."""
    with opened(path, DataError) as file:
        labels = whole(file["labels"], path, DataError) if "labels" in file else None
        return len(file["spikes/times"]), labels


def read_ragged(file: ForeignFile, number: int) -> Events:
    """Recording `number`; times in seconds become whole microseconds, cut as tonic cuts them."""
    first = number - number % TOGETHER
    rest = _block(file, first, _changed(file.path))[number - first :]
    found = rest or file.read(ragged_of, number, 1)
    if not found:
        raise fail(DataError, str(file.path), f"has no recording {number} any more", AGAIN)
    times, units = found[0]
    if times.dtype.kind == "f":
        # float16 ends at 65504: multiplied in float64.
        times = np.floor(times.astype(np.float64) * 1e6)
    return from_fields({"t": times, "x": units}, f"{file.path}: recording {number}")


def _changed(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # the reader says what is wrong with it
        return 0


@lru_cache(maxsize=2)
def _block(file: ForeignFile, first: int, changed: int) -> list[tuple[Any, Any]]:
    """Recordings from `first` on, asked for at once: a question costs more than a recording.

    `changed`: when the file was, so that another one of the same name is read anew.
    """
    found: list[tuple[Any, Any]] = file.read(ragged_of, first, TOGETHER)
    return found


def ragged_of(path: str, first: int, count: int) -> list[tuple[Any, Any]]:
    """(times, units) of some recordings as they are stored, in the process that reads.

    As many of the `count` as there are and as `BLOCK_BYTES` holds, at least one.
    """
    found: list[tuple[Any, Any]] = []
    with opened(path, DataError) as file:
        times, units = file["spikes/times"], file["spikes/units"]
        room = BLOCK_BYTES
        for number in range(first, min(first + count, len(times))):
            found.append((np.asarray(times[number]), np.asarray(units[number])))
            room -= found[-1][0].nbytes + found[-1][1].nbytes
            if room < 0:
                break
    return found


def read_single(path: Path, reading: Reading = PLAIN) -> Events:
    """The events of a file that holds one recording."""
    place, fields = hdf5_file(path).read(fields_of, reading.columns is not None)
    if TABLE in fields:
        return from_table(fields[TABLE], reading.columns or "", str(path), reading)
    first = 1 if place == "TD" and reading.first is None else reading.first
    return from_fields(fields, str(path), replace(reading, first=first))


def fields_of(path: str, tables: bool = False) -> tuple[str, dict[str, Any]]:
    """(where, arrays of a single recording by name), in the process that reads.

    With `tables` an array without fields will do; it is called `TABLE`.
    """
    with opened(path, DataError) as file:
        for name in GROUPS:
            if name not in file:
                continue
            place = file[name]
            if not hasattr(place, "keys"):
                if place.dtype.names:
                    array = whole(place, path, DataError)
                    return name, {k: array[k] for k in array.dtype.names
                                  if array[k].dtype.kind in "biuf"}  # fmt: skip
                if tables and place.dtype.kind in "biuf":
                    return name, {TABLE: np.asarray(whole(place, path, DataError))}
                continue
            held = {k: v for k, v in place.items() if hasattr(v, "shape")}
            if {"x", "xs", "units"} & {k.lower() for k in held}:
                arrays = {k: np.asarray(whole(v, path, DataError)) for k, v in held.items()}
                return name, {k: a for k, a in arrays.items() if a.dtype.kind in "biufSU"}
        names = ", ".join(file) or "nothing"
    what = f"holds {names}, but no events with x and t"
    raise fail(DataError, path, what, "events/x, events/y, events/t, events/p are looked for")


def dense_of(path: str) -> tuple[list[int], str, Any]:
    """(shape, dtype of `x`, `y` or None) of samples [sample, ...], in the process that reads."""
    with opened(path, DataError) as file:
        x = file.get("x")
        if x is None or getattr(x, "shape", None) in (None, ()):
            names = ", ".join(file) or "nothing"
            hint = "x [sample, step, *input shape] and y [sample], or events: and a bin"
            raise fail(DataError, path, f"holds {names}, but no array x", hint)
        if x.dtype.kind not in "biuf":
            raise fail(DataError, path, f"x holds {x.dtype}, not numbers")
        if wrong := oversized(x, math.inf):
            raise fail(DataError, path, wrong, AGAIN)
        y = file.get("y")
        labels = np.asarray(whole(y, path, DataError)) if hasattr(y, "shape") else None
        return [int(n) for n in x.shape], x.dtype.str, labels


def rows_of(path: str, start: int, stop: int) -> Any:
    """Samples `start` to `stop` - 1 of `x`, in the process that reads."""
    with opened(path, DataError) as file:
        return np.asarray(file["x"][start:stop])
