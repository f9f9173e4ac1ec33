"""`DATA` as text: `[KIND:]PLACE[?key=value&key=value]`, with options that are checked by name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path

from snnstack import door
from snnstack.errors import DataError, Problem, fail, raise_if_any

KINDS = ("tonic", "events")
"""What may stand before the colon; without it the file or folder says what it is."""
LONGEST = 2**61
"""Microseconds of a time that is given."""
_UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}
_TIME = re.compile(r"^(\d+(?:\.\d+)?)(us|ms|s)$")


@dataclass(frozen=True)
class Spec:
    """One `DATA`: `kind` ("" for a plain file or folder), `place` and its options as text."""

    text: str
    kind: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The place as a path."""
        return Path(self.place)


def parse(text: str) -> Spec:
    """The parts of `text`; a file that is called just so is taken as it is.

    >>> parse("tonic:NMNIST?path=recordings&bin=1ms").options
    {'path': 'recordings', 'bin': '1ms'}
    """
    if os.path.exists(text):  # of a text that can be no name as well
        return Spec(text, "", text)
    place, _, query = text.partition("?")
    kind, colon, rest = place.partition(":")
    found = Spec(text, kind, rest) if colon and kind in KINDS else Spec(text, "", place)
    options = _options(text, query)
    for name in filter(None, (found.place, options.get("path"))):
        door.path(name, "DATA", DataError)
    return replace(found, options=options)


def _options(text: str, query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    problems = []
    for part in query.split("&") if query else []:
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            problems.append(Problem(text, f"{part!r} is not key=value", "?key=value&key=value"))
        elif key in found:
            problems.append(Problem(text, f"{key} is given twice", "give it once"))
        found[key] = value
    raise_if_any(DataError, problems)
    return found


def places(text: str) -> tuple[Path, ...]:
    """The files and folders that `text` may name, also where it is no `DATA` at all.

    With files that are read because they lie beside another: labels, and tables of gestures.

    >>> [path.name for path in places("tonic:NMNIST?path=recordings&bin=1ms")]
    ['recordings']
    """
    try:
        spec = parse(text)
    except (DataError, OSError, ValueError):  # too long for a name, or with a NUL in it
        return (Path(text),)
    found = [] if spec.kind == "tonic" else [spec.path]
    found += [Path(spec.options["path"])] if "path" in spec.options else []
    for path in [path for path in found if path.name]:
        found.append(path.with_name(f"{path.stem}_labels.csv"))
        found.append(path.with_name(path.name.replace("images-idx3", "labels-idx1")))
    return tuple(dict.fromkeys(found)) if spec.kind != "tonic" else tuple(found[:1])


def known_options(spec: Spec, known: tuple[str, ...]) -> None:
    """DataError for every option that is not in `known`."""
    problems = []
    for key in spec.options:
        if key not in known:
            near = get_close_matches(key, known) or sorted(known)
            hint = f"options here: {', '.join(near)}" if near else "no options are known here"
            problems.append(Problem(spec.text, f"unknown option {key!r}", hint))
    raise_if_any(DataError, problems)


def whole(spec: Spec, key: str, default: int | None = None, least: int = 0) -> int | None:
    """Option `key` as a whole number, at least `least`."""
    text = spec.options.get(key)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < least:
        what = f"{key} is {text!r}"
        raise fail(DataError, spec.text, what, f"a whole number, {least} or more")
    return int(text)


def real(spec: Spec, key: str, default: float | None = None) -> float | None:
    """Option `key` as a finite number."""
    text = spec.options.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise fail(DataError, spec.text, f"{key} is {text!r}", "a finite number")
    return value


def microseconds(spec: Spec, key: str, default: int | None = None) -> int | None:
    """Option `key`, such as `1ms`, `250us` or `0.5s`, as whole microseconds."""
    text = spec.options.get(key)
    if text is None:
        return default
    found = _TIME.match(text)
    if found is None:
        raise fail(DataError, spec.text, f"{key} is {text!r}", "a time with its unit, such as 1ms")
    exact = Fraction(found[1]) * _UNITS[found[2]]
    if exact.denominator != 1:
        raise fail(DataError, spec.text, f"{key} is {text!r}", "whole microseconds are needed")
    if exact >= LONGEST:
        raise fail(DataError, spec.text, f"{key} is {text!r}", f"below {LONGEST} us")
    return int(exact)


def choice(spec: Spec, key: str, known: tuple[str, ...], default: str) -> str:
    """Option `key`, one of `known`."""
    text = spec.options.get(key, default)
    if text not in known:
        raise fail(DataError, spec.text, f"{key} is {text!r}", f"one of: {', '.join(known)}")
    return text


def numbers(spec: Spec, key: str, count: int, separators: str = ",") -> tuple[int, ...] | None:
    """Option `key` as `count` whole numbers, such as `crop=0,0,34,34` or `size=34x34`."""
    text = spec.options.get(key)
    if text is None:
        return None
    parts = re.split(f"[{re.escape(separators)}]", text)
    if len(parts) != count or not all(part.isdecimal() for part in parts):
        example = separators[0].join(["1"] * count)
        raise fail(DataError, spec.text, f"{key} is {text!r}", f"{count} numbers: {example}")
    return tuple(int(part) for part in parts)
