"""Events as text: one a line, columns named by a first line or by the option `columns`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from snnstack.errors import DataError, SnnstackError, fail
from snnstack.frontends.event_bytes import all_bytes
from snnstack.frontends.event_fields import FIELDS, PLAIN, Reading, from_fields
from snnstack.frontends.events import Events

SEPARATOR = re.compile(r"[,;\s]+")


def read_text(path: Path, reading: Reading = PLAIN) -> Events:
    """Lines of numbers between commas, semicolons or blanks; # begins a comment.

    Whole numbers are read as such, times of any length without loss; a column with a point in it
    is real (times in seconds need unit=s).
    """
    lines = [line.partition("#")[0].strip() for line in _text(path).splitlines()]
    numbered = [(k + 1, line) for k, line in enumerate(lines) if line]
    if not numbered:
        raise fail(DataError, str(path), "holds no events")
    names = [name.lower().strip('"') for name in SEPARATOR.split(numbered[0][1])]
    if set(names) & FIELDS:
        numbered = numbered[1:]
    elif reading.columns is not None:
        names = list(reading.columns)
    else:
        hint = "columns=txyp says their order, or a first line t,x,y,p"
        raise fail(DataError, str(path), "has columns without names", hint)
    rows = [(number, SEPARATOR.split(line)) for number, line in numbered]
    for number, row in rows:
        if len(row) != len(names):
            raise _uneven(path, number, len(row), len(names))
    columns = zip(*(row for _, row in rows), strict=True) if rows else ((),) * len(names)
    fields = {name: _column(values, name, path) for name, values in zip(names, columns, strict=True)
              if name in FIELDS}  # fmt: skip
    return from_fields(fields, str(path), reading)


def _text(path: Path) -> str:
    try:
        return all_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fail(DataError, str(path), "is no text") from error


def _uneven(path: Path, number: int, found: int, wanted: int) -> SnnstackError:
    return fail(DataError, str(path), f"line {number} has {found} columns, not {wanted}")


def _column(values: tuple[str, ...], name: str, path: Path) -> np.ndarray[tuple[int], np.dtype]:
    try:
        return np.array([int(value) for value in values], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except ValueError as error:
        wrong = next(value for value in values if not _is_number(value))
        raise fail(DataError, str(path), f"{name} has the value {wrong!r}, no number") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
