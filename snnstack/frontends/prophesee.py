"""Recordings of Prophesee cameras: .dat of both versions, .raw in EVT 2, 2.1 and 3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.event_bytes import (
    all_bytes,
    header_lines,
    last_index,
    set_bits,
    unwrapped,
    words,
)
from snnstack.frontends.event_steps import Integers
from snnstack.frontends.events import Events, Sensor
from snnstack.frontends.evt3 import read_evt3

CHANGES = (0, 12)
"""Event types of a .dat: generic ones, and changes of contrast."""
OFF, ON, TIME_HIGH = 0x0, 0x1, 0x8
OTHER_WORDS = {0xA: "triggers", 0xE: "other words", 0xF: "other words"}
"""EVT 2: the upper four bits of words that are no events."""
TIME_BITS = 34
"""Of a time in EVT 2: 28 of the high word and 6 of the event's."""


def read_dat(path: Path) -> Events:
    """Pairs (time in us, address), little endian, after a header of % lines and two bytes.

    Address in version 2: x bits 0-13, y bits 14-27, polarity bit 28; before: x bits 0-8, y bits
    9-16, polarity bit 17. Format: Prophesee's documentation; the older one, its Matlab tools.
    """
    content = all_bytes(path)
    lines, start = header_lines(content, b"%")
    if not lines:
        raise fail(DataError, str(path), "does not begin with the % lines of a .dat file")
    if len(content) < start + 2:
        raise fail(DataError, str(path), "is cut short in its header")
    kind, width = content[start], content[start + 1]
    if kind not in CHANGES or width != 8:
        what = f"has events of type {kind} and {width} bytes"
        raise fail(DataError, str(path), what, "type 0 or 12 of 8 bytes is read")
    t, address = (
        words(content[start + 2 :], "<u4,<u4", path).view("<u4").reshape(-1, 2).T.astype(np.int64)
    )
    version = int(_said(lines, r"Version\s+(\d+)") or 1)
    if version >= 2:
        x, y, p = address & 0x3FFF, address >> 14 & 0x3FFF, address >> 28 & 1
    else:
        x, y, p = address & 0x1FF, address >> 9 & 0xFF, address >> 17 & 1
    return Events(unwrapped(t), x, y, p, _dat_sensor(lines))


def read_raw(path: Path) -> Events:
    """What a camera sent, in the encoding that the header names."""
    content = all_bytes(path)
    lines, start = header_lines(content, b"% ")
    form = (_said(lines, r"format\s+(\S+)") or "").upper()
    encoding = form.split(";")[0] or {"2.0": "EVT2", "2.1": "EVT21", "3.0": "EVT3"}.get(
        _said(lines, r"evt\s+(\S+)") or "", ""
    )
    body, sensor = content[start:], _raw_sensor(lines, form)
    if encoding == "EVT2":
        return _evt2(words(body, "<u4", path).astype(np.uint64), sensor, path)
    if encoding == "EVT21":
        return _evt21(words(body, "<u4,<u4", path), sensor, form, path)
    if encoding == "EVT3":
        return read_evt3(words(body, "<u2", path), sensor, path)
    what = f"has the encoding {encoding}" if encoding else "names no encoding in its header"
    raise fail(DataError, str(path), what, "EVT2, EVT21 and EVT3 are read")


def _said(lines: list[str], pattern: str) -> str | None:
    for line in lines:
        found = re.match(r"%\s*" + pattern + r"\s*$", line, re.IGNORECASE)
        if found:
            return found[1]
    return None


def _dat_sensor(lines: list[str]) -> Sensor | None:
    width, height = _said(lines, r"Width\s+(\d+)"), _said(lines, r"Height\s+(\d+)")
    return Sensor(int(width), int(height), 2) if width and height else None


def _raw_sensor(lines: list[str], form: str) -> Sensor | None:
    sizes = dict(part.split("=", 1) for part in form.split(";") if "=" in part)
    width, height = sizes.get("WIDTH", ""), sizes.get("HEIGHT", "")
    if width.isdecimal() and height.isdecimal():
        return Sensor(int(width), int(height), 2)
    shape = re.fullmatch(r"(\d+)x(\d+)", _said(lines, r"geometry\s+(\S+)") or "")
    return Sensor(int(shape[1]), int(shape[2]), 2) if shape else None


def _evt2(word: NDArray[np.uint64], sensor: Sensor | None, path: Path) -> Events:
    """32 bits: type 28-31; of events time 22-27, x 11-21, y 0-10; of times the upper 28 bits."""
    word_ = word.astype(np.int64)
    kind = word_ >> 28
    event, skipped, high = _kinds(kind, word_ & 0xFFFFFFF, path)
    found = word_[event]
    t = unwrapped(high << 6 | found >> 22 & 63, TIME_BITS)
    return Events(t, found >> 11 & 0x7FF, found & 0x7FF, kind[event], sensor, skipped)


def _evt21(pairs: NDArray[Any], sensor: Sensor | None, form: str, path: Path) -> Events:
    """64 bits: type 60-63, time 54-59, x 43-53, y 32-42, and 32 pixels from x on, bit by bit."""
    first, second = (pairs[f].astype(np.int64) for f in ("f0", "f1"))
    upper, lower = (first, second) if _upper_first(first, second, form, path) else (second, first)
    kind = upper >> 28
    event, skipped, high = _kinds(kind, upper & 0xFFFFFFF, path)
    found, valid = upper[event], lower[event]
    t = unwrapped(high << 6 | found >> 22 & 63, TIME_BITS)
    which, bit = set_bits(valid, 4)
    x = (found >> 11 & 0x7FF)[which] + bit
    return Events(t[which], x, (found & 0x7FF)[which], kind[event][which], sensor, skipped)


def _upper_first(first: Integers, second: Integers, form: str, path: Path) -> bool:
    """Whether the upper half of a word comes first: as the header says, else as its types say."""
    if "ENDIANNESS=LEGACY" in form:
        return True
    if "ENDIANNESS=LITTLE" in form:
        return False
    known = np.array([OFF, ON, TIME_HIGH, *OTHER_WORDS])
    fits = [bool(np.isin(half >> 28, known).all() and _has_time(half)) for half in (first, second)]
    if fits[0] == fits[1] and len(first):
        what = "is EVT21, but which half of a word comes first cannot be seen"
        raise fail(DataError, str(path), what, "the header says endianness=little or legacy")
    return fits[0]


def _has_time(half: Integers) -> bool:
    return bool(np.any(half >> 28 == TIME_HIGH))


def _kinds(
    kind: Integers, payload: Integers, path: Path
) -> tuple[NDArray[np.bool_], dict[str, int], Integers]:
    """Which words are events after the first time; other words, counted; events' upper times."""
    strange = ~np.isin(kind, [OFF, ON, TIME_HIGH, *OTHER_WORDS])
    if strange.any():
        at = int(np.argmax(strange))
        what = f"has a word of the unknown type {int(kind[at])} (word {at})"
        raise fail(DataError, str(path), what, "the file is damaged or not of this encoding")
    latest = last_index(kind == TIME_HIGH)
    change = (kind == OFF) | (kind == ON)
    event = change & (latest >= 0)
    skipped: dict[str, int] = {}
    for number, name in OTHER_WORDS.items():
        skipped[name] = skipped.get(name, 0) + int(np.count_nonzero(kind == number))
    skipped["events before the first time"] = int(np.count_nonzero(change & (latest < 0)))
    return event, {k: n for k, n in skipped.items() if n}, payload[latest[event]]
