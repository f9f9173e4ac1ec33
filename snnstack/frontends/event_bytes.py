"""What readers of binary recordings share: the bytes, headers of comment lines, wrapped clocks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail

LARGEST_FILE = 2**31
"""Bytes of one recording, which is held in memory while it is read."""


def all_bytes(path: Path) -> bytes:
    """The file; DataError where it cannot be read or is larger than `LARGEST_FILE`."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                what = f"has {size} bytes, at most {LARGEST_FILE}"
                raise fail(DataError, str(path), what, "cut the recording into parts")
            return file.read()
    except OSError as error:
        raise fail(DataError, str(path), f"cannot be read: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line of what an exception says."""
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__


def header_lines(content: bytes, mark: bytes) -> tuple[list[str], int]:
    """The lines at the beginning that begin with `mark`, and where the rest begins."""
    lines: list[str] = []
    start = 0
    while content[start : start + len(mark)] == mark:
        newline = content.find(b"\n", start)
        if newline < 0:
            return lines, len(content)
        lines.append(content[start:newline].decode("latin-1").strip())
        start = newline + 1
    return lines, start


def words(body: bytes, kind: str, path: Path) -> NDArray[Any]:
    """The body as an array of `kind`; DataError if it does not end with a whole word."""
    size = np.dtype(kind).itemsize
    if len(body) % size:
        what = f"has {len(body)} bytes of events, not a multiple of {size}"
        raise fail(DataError, str(path), what, "the file is cut short")
    return np.frombuffer(body, dtype=kind)


def unwrapped(t: NDArray[np.int64], bits: int = 32) -> NDArray[np.int64]:
    """Times of a clock of `bits` bits that may have started again from 0.

    Neighbours lie less than half the clock's range apart, in either direction: an event a
    little out of order beside the wrap is on the right side of it.
    """
    if len(t) < 2:
        return t
    turns = np.zeros(len(t), dtype=np.int64)
    turns[1:] = -np.cumsum(np.rint(np.diff(t) / 2.0**bits).astype(np.int64))
    return t + (turns << bits)


def last_index(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every position the last one up to it at which `where` holds; -1 before the first."""
    index = np.where(where, np.arange(len(where)), -1)
    return np.asarray(np.maximum.accumulate(index) if len(index) else index, dtype=np.int64)


def set_bits(masks: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(number of the mask, number of the bit) of every set bit of masks of `width` bytes."""
    octets = masks.astype(f"<u{width}").view(np.uint8).reshape(-1, width)
    which, bit = np.nonzero(np.unpackbits(octets, axis=1, bitorder="little"))
    return which, bit
