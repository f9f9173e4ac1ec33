"""Read native event files by suffix: one recording a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack import npz
from snnstack.errors import DataError, fail
from snnstack.frontends.aedat import read_aedat
from snnstack.frontends.aedat_stream import read_aedat4
from snnstack.frontends.event_bytes import all_bytes, reason
from snnstack.frontends.event_fields import (
    FIELDS,
    PLAIN,
    Reading,
    from_fields,
    from_table,
    microseconds_of,
    on_off,
    whole_numbers,
)
from snnstack.frontends.event_matlab import read_mat
from snnstack.frontends.event_text import read_text
from snnstack.frontends.events import Events
from snnstack.frontends.prophesee import read_dat, read_raw

__all__ = ["READERS", "read_aedat", "read_aedat4", "read_nmnist", "read_npy", "read_npz"]

MOST_ARRAYS = 8
"""Of an .npz without arrays of the usual names: one of them is to be a table of events."""
OVERFLOW_ROW = 240
"""N-MNIST: an event in this row means that the clock has passed 2**13 us, and is no event."""
OVERFLOW_US = 2**13
GESTURE = "four columns are taken as x, y, polarity, milliseconds; columns= says others"


def read_nmnist(path: Path) -> Events:
    """40 bits an event, big endian: x 8, y 8, polarity 1, time in microseconds 23.

    Format: Orchard et al. 2015, as `read_mnist_file` of tonic reads it.
    """
    raw = np.frombuffer(all_bytes(path), dtype=np.uint8)
    if len(raw) % 5:
        what = f"has {len(raw)} bytes, not a multiple of 5"
        raise fail(DataError, str(path), what, "the file is cut short or not of this format")
    x, y, third, fourth, fifth = raw.reshape(-1, 5).T.astype(np.int64)
    t = (third & 127) << 16 | fourth << 8 | fifth
    overflow = y == OVERFLOW_ROW
    t = t + OVERFLOW_US * np.cumsum(overflow)
    keep = ~overflow
    return Events(t[keep], x[keep], y[keep], (third >> 7)[keep])


def read_npy(path: Path, reading: Reading = PLAIN) -> Events:
    """Events in a .npy: fields x, y, t, p, columns as `reading` says, or tonic's DVS-Gesture.

    The latter is [n, 4] with x, y, polarity and time in milliseconds.
    """
    try:
        array = npz.read_npy(path)
    except (npz.NotArrays, OSError) as error:
        raise fail(DataError, str(path), f"cannot be read: {reason(error)}") from error
    return _of_array(array, str(path), reading)


def _of_array(array: NDArray[Any], where: str, reading: Reading) -> Events:
    if array.dtype.names:
        fields = {name: array[name] for name in array.dtype.names}
        return from_fields(fields, where, reading)
    if reading.columns is not None:
        return from_table(array, reading.columns, where, reading)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        what = f"is a {array.dtype} array of shape {list(array.shape)}"
        raise fail(DataError, where, what, "events need fields x, y, t, p or four columns")
    x, y = (whole_numbers(array[:, k], name, where) for k, name in enumerate("xy"))
    p, coding = on_off(whole_numbers(array[:, 2], "p", where), where, reading.coding)
    t = microseconds_of(array[:, 3].astype(np.float64), reading.unit or "ms", where)
    return Events(t, x, y, p, coding=coding, assumed=GESTURE)


def read_npz(path: Path, reading: Reading = PLAIN) -> Events:
    """Events in an .npz: arrays t, x, y, p, or one array with such fields or columns.

    Names may carry a prefix, such as `events_t`.
    """
    try:
        listed = npz.names_in(path)
        names = {name.lower().rpartition("_")[2]: name for name in listed}
        wanted = [name for key, name in names.items() if key in FIELDS] or listed[:MOST_ARRAYS]
        arrays = npz.read_npz(path, wanted)
    except (npz.NotArrays, OSError) as error:
        raise fail(DataError, str(path), f"cannot be read: {reason(error)}") from error
    fields = {key: arrays[name] for key, name in names.items() if key in FIELDS}
    tables = [a for a in arrays.values() if a.dtype.names or a.ndim == 2]
    if not fields and len(tables) == 1:
        return _of_array(tables[0], str(path), reading)
    if not fields:
        what = f"holds {', '.join(listed) or 'nothing'}, but no events"
        raise fail(DataError, str(path), what, "arrays t, x, y, p, or one array with such fields")
    return from_fields(fields, str(path), reading)


def _plain(read: Callable[[Path], Events]) -> Callable[[Path, Reading], Events]:
    """A reader of a format that says all of itself."""
    return lambda path, reading: read(path)


READERS: Mapping[str, Callable[[Path, Reading], Events]] = {
    ".bin": _plain(read_nmnist),
    ".npy": read_npy,
    ".aedat": read_aedat,
    ".aedat4": _plain(read_aedat4),
    ".dat": _plain(read_dat),
    ".raw": _plain(read_raw),
    ".npz": read_npz,
    ".mat": read_mat,
    ".csv": read_text,
    ".txt": read_text,
}
"""One recording per file, by suffix."""
