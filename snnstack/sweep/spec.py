"""What a sweep is: a model, samples, and the axes of a grid; from a TOML file or from options."""

from __future__ import annotations

import itertools
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from snnstack.board import load_board
from snnstack.errors import DataError, Problem, SnnstackError, fail, raise_if_any
from snnstack.typed_toml import plain_value

Value = str | int | float | bool
Point = dict[str, Value]
_T = TypeVar("_T")
MOST_POINTS = 1_000_000

AXES: Mapping[str, tuple[type, ...]] = {
    "model": (str,),
    "board": (str,),
    "weight_bits": (int,),
    "granularity": (str,),
    "threshold": (int, float),
    "steps": (int,),
    "seed": (int,),
    "dt": (int, float),
    "integrator": (str,),
    "reset": (str,),
    "compare": (str,),
    "events": (str,),
    "readout": (str,),
    "period": (int, float),
}
"""Axis: the types of its values. Any key of a board is one too: "hardware.wire_ohm"."""
BOARD_PARTS = ("hardware.", "capacity.", "coefficients.")
FILE_AXES = ("model", "board", "hardware.device")
"""Axes whose values may name files."""
WORDS = {
    "granularity": ("neuron", "population"),
    "integrator": ("euler", "exponential"),
    "reset": ("zero", "subtract"),
    "compare": ("gt", "ge"),
    "events": ("binary", "count"),
}
SETTINGS = ("model", "data", "calibrate", "samples", "verify_samples")
HINT = "see docs/sweep.md"


@dataclass(frozen=True)
class Spec:
    """`axes` in the order of the grid, the last one fastest. `where` names it in messages."""

    data: str
    axes: Mapping[str, tuple[Value, ...]]
    calibrate: str | None = None
    samples: int | None = None
    verify_samples: int = 0
    where: str = "sweep"
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def points(self) -> Iterator[Point]:
        """All points of the grid in order."""
        for values in itertools.product(*self.axes.values()):
            yield {**self.fixed, **dict(zip(self.axes, values, strict=True))}

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.axes.values())


def read_spec(path: Path) -> Spec:
    """The sweep in a TOML file; paths in it are relative to the file."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise fail(DataError, str(path), what, HINT)
    try:
        raw = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fail(DataError, str(path), f"is not TOML: {error}", HINT) from error
    return at_folder(make_spec(raw, str(path)), path.parent)


def make_spec(raw: Mapping[str, Any], where: str) -> Spec:
    """A checked sweep from {"model", "data", ..., "grid": {axis: values}}."""
    grid = raw.get("grid", {})
    raise_if_any(DataError, _problems(raw, grid, where))
    model = raw.get("model")
    fixed = {} if model is None else {"model": model}
    given = {k: raw[k] for k in ("data", "calibrate", "samples", "verify_samples") if k in raw}
    return Spec(**given, axes=_axes(grid), where=where, fixed=fixed)


def _axes(grid: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    """Nested tables become dotted names; a single value becomes a list of one."""
    found: dict[str, tuple[Value, ...]] = {}
    for name, values in grid.items():
        if isinstance(values, Mapping):
            found |= {f"{name}.{inner}": v for inner, v in _axes(values).items()}
        else:
            found[name] = tuple(values) if isinstance(values, list | tuple) else (values,)
    return found


def _problems(raw: Mapping[str, Any], grid: Any, where: str) -> Iterator[Problem]:
    for key in raw:
        if key not in (*SETTINGS, "grid"):
            yield Problem(f"{where}: {key}", f"unknown; known: {', '.join((*SETTINGS, 'grid'))}")
    for key in ("model", "data", "calibrate"):
        if key in raw and not (isinstance(raw[key], str) and raw[key]):
            yield Problem(f"{where}: {key}", f"expected text, got {raw[key]!r}")
    for key, least in (("samples", 1), ("verify_samples", 0)):
        value = raw.get(key, least)
        if type(value) is not int or value < least:
            yield Problem(f"{where}: {key}", f"expected a whole number from {least}, got {value!r}")
    if "data" not in raw:
        yield Problem(f"{where}: data", "is missing")
    if not isinstance(grid, Mapping):
        yield Problem(f"{where}: grid", f"expected a table of axes, got {grid!r}")
        return
    axes = _axes(grid)
    if ("model" in raw) == ("model" in axes):
        yield Problem(f"{where}: model", "must be given once, alone or as an axis")
    if "board" not in axes:
        yield Problem(f"{where}: grid.board", "is missing")
    if math.prod(len(values) for values in axes.values()) > MOST_POINTS:
        yield Problem(f"{where}: grid", f"has more than {MOST_POINTS} points")
    for name, values in axes.items():
        yield from _axis_problems(name, values, where)


def _axis_problems(name: str, values: Sequence[Any], where: str) -> Iterator[Problem]:
    place = f"{where}: grid.{name}"
    if name not in AXES and not name.startswith(BOARD_PARTS):
        known = ", ".join((*AXES, *(f"{part}NAME" for part in BOARD_PARTS)))
        yield Problem(place, f"unknown axis; known: {known}")
        return
    if not values:
        yield Problem(place, "has no values")
    if len({(type(v), v) for v in values if isinstance(v, Value)}) < len(values):
        yield Problem(place, "has a value twice, or one that is no number or text")
    for value in values:
        yield from _value_problems(place, name, value)
    if name == "board":
        yield from _board_problems(values)


def _value_problems(place: str, name: str, value: Any) -> Iterator[Problem]:
    wanted = AXES.get(name, (int, float, str, bool))
    finite = not isinstance(value, float) or math.isfinite(value)
    if type(value) not in wanted or not finite:
        kinds = " or ".join(kind.__name__ for kind in wanted)
        yield Problem(place, f"expected {kinds}, got {value!r}")
    elif name in WORDS and value not in WORDS[name]:
        yield Problem(place, f"expected one of {', '.join(WORDS[name])}, got {value!r}")
    elif name in ("threshold", "dt", "period", "steps", "weight_bits") and not value > 0:
        yield Problem(place, f"expected a number above 0, got {value!r}")
    elif name == "seed" and value < 0:
        yield Problem(place, f"expected a number from 0, got {value!r}")


def _board_problems(values: Sequence[Any]) -> Iterator[Problem]:
    for value in values:
        if isinstance(value, str) and not value.endswith(".toml"):
            try:
                load_board(value)
            except SnnstackError as error:
                yield from error.problems


def at_folder(spec: Spec, folder: Path) -> Spec:
    """`spec` with the files that lie in `folder` named from here."""

    def placed(text: _T) -> _T:
        if not isinstance(text, str):
            return text
        name, mark, rest = text.partition("?")
        there = folder / name
        return f"{there}{mark}{rest}" if name and os.path.exists(there) else text  # type: ignore[return-value]

    axes = {
        name: tuple(map(placed, values)) if name in FILE_AXES else values
        for name, values in spec.axes.items()
    }
    fixed = {name: placed(value) for name, value in spec.fixed.items()}
    return replace(
        spec, data=placed(spec.data), calibrate=placed(spec.calibrate), axes=axes, fixed=fixed
    )


def parse_axis(text: str) -> tuple[str, list[Value]]:
    """`name=v1,v2` or `name=first..last` as an axis.

    >>> parse_axis("weight_bits=8,4"), parse_axis("seed=0..3")
    (('weight_bits', [8, 4]), ('seed', [0, 1, 2, 3]))
    >>> parse_axis("threshold=0.5,1")
    ('threshold', [0.5, 1])
    """
    name, mark, values = text.partition("=")
    if not mark or not name or not values:
        raise fail(DataError, f"--vary {text}", "is not NAME=VALUE,VALUE", HINT)
    span = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", values)
    if span:
        first, last = int(span[1]), int(span[2])
        if not 0 <= last - first < MOST_POINTS:
            raise fail(DataError, f"--vary {text}", "is an empty or a far too long range", HINT)
        return name, list(range(first, last + 1))
    return name, [plain_value(part) for part in values.split(",")]
