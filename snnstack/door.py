"""What a caller gave, checked once: the values inside are then what their types say."""

from __future__ import annotations

import math
import operator
import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from snnstack.errors import SnnstackError, TargetError, fail

LONGEST_NAME = 255
"""Bytes of one part of a path, on every file system in use."""
LONGEST_PATH = 4095
SHOWN = 60
"""Characters of a value that a message repeats."""
_T = TypeVar("_T")


def shown(value: Any) -> str:
    """A value in a message: its `repr`, cut, without line ends."""
    try:
        text = repr(value)
    except Exception:  # whatever a foreign __repr__ raises
        text = object.__repr__(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def path(value: Any, where: str, kind: type[SnnstackError] = TargetError) -> Path:
    """A file name as a `Path`; `kind` for what can be none on any disk."""
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        what = f"is {type(value).__name__} {shown(value)}"
        raise fail(kind, where, what, "give the name of a file as text or Path")
    if not text:
        raise fail(kind, where, "is an empty file name", "name a file")
    if "\0" in text:
        raise fail(kind, where, f"is {shown(text)}", "a file name has no NUL in it")
    longest = max(map(len, map(os.fsencode, text.split(os.sep))))
    if longest > LONGEST_NAME or len(os.fsencode(text)) > LONGEST_PATH:
        what = f"is {shown(text)} of {len(text)} characters"
        raise fail(kind, where, what, f"a file name has at most {LONGEST_NAME}")
    return Path(value)


def instance(value: Any, wanted: type[_T], where: str, hint: str) -> _T:
    """`value` if it is a `wanted`; else TargetError with what it is."""
    if not isinstance(value, wanted):
        what = f"is {type(value).__name__} {shown(value)}, not a {wanted.__name__}"
        raise fail(TargetError, where, what, hint)
    return value


MOST = 2**63 - 1
"""No count, number of a chip or width is larger."""


def whole(value: Any, where: str, least: int, most: int = MOST) -> int | None:
    """A whole number from `least`, or None where nothing is said; True and 1.0 are none."""
    try:
        found = None if value is None else operator.index(value)
    except TypeError:
        found = least - 1
    if found is not None and (not least <= found <= most or isinstance(value, bool)):
        what = f"is {shown(value)}"
        room = f"{least} to {most}" if most < found <= MOST else f"{least} or more"
        raise fail(TargetError, where, what, f"a whole number, {room}")
    return found


def positive(value: Any, where: str, unit: str, most: float = sys.float_info.max) -> float | None:
    """A finite number above 0, or None where nothing is said."""
    if value is None:
        return None
    try:
        found = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not 0 < found <= most:
        room = f"above 0 and up to {most:g}" if most < found < math.inf else "above 0"
        raise fail(TargetError, where, f"is {shown(value)}", f"{unit}, {room}")
    return found


def one_of(value: Any, known: Collection[str], where: str) -> None:
    """TargetError unless `value` is one of the words."""
    if not (isinstance(value, str) and value in known):
        raise fail(TargetError, where, f"is {shown(value)}", f"one of: {', '.join(known)}")


def pairs(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    """(population, variable) pairs; TargetError for what else is given."""
    hint = 'give pairs such as [("fc1", "v")]'
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise fail(TargetError, where, f"is {shown(value)}", hint)
    found = tuple(value)
    for one in found:
        two = isinstance(one, tuple | list) and len(one) == 2
        if not two or not all(isinstance(part, str) for part in one):
            raise fail(TargetError, where, f"holds {shown(one)}", hint)
    return tuple((one[0], one[1]) for one in found)
