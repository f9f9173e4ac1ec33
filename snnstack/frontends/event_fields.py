"""Columns of events under the names that people give them, as `Events`: times, polarities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.event_steps import Integers
from snnstack.frontends.events import Events

UNITS = {"ns": (1, 1000), "us": (1, 1), "ms": (1000, 1), "s": (1_000_000, 1)}
"""Microseconds of a unit of time, as a fraction."""
CODINGS: Mapping[str, tuple[int, int]] = {"0,1": (0, 1), "-1,1": (-1, 1), "1,2": (1, 2)}
"""How off and on are written."""
ALIASES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "t_us"),
    "x": ("x", "xs", "unit", "units", "address", "addr", "x_pos"),
    "y": ("y", "ys", "y_pos"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
LARGEST = 2**61
"""Of any number here, so that differences and sums of two fit into 64 bits."""
FIELDS = frozenset(name for names in ALIASES.values() for name in names)


@dataclass(frozen=True)
class Reading:
    """What a file does not say of itself, by option.

    `unit` of times (None: the format's, else us), `columns` of a plain table such as "txyp",
    `coding` of polarities (a key of `CODINGS`, None: seen from the values), `first`: the number
    of the first row and column, `chip`: of an AEDAT 1 or 2 file that names none.
    """

    unit: str | None = None
    columns: str | None = None
    coding: str | None = None
    first: int | None = None
    chip: str | None = None


PLAIN = Reading()


def from_fields(fields: Mapping[str, NDArray[Any]], where: str, reading: Reading = PLAIN) -> Events:
    """Events from arrays called t, x and perhaps y and p (or polarity, timestamp and so on)."""
    found: dict[str, Integers] = {}
    lower = {name.lower(): values for name, values in fields.items()}
    for name, others in ALIASES.items():
        match = next((key for key in others if key in lower), None)
        if match is not None:
            values = np.asarray(lower[match]).ravel()
            found[name] = _column(values, name, where, reading)
    missing = [name for name in ("t", "x") if name not in found]
    if missing:
        what = f"holds {', '.join(fields) or 'nothing'}, but no {' and no '.join(missing)}"
        raise fail(DataError, where, what, "events need t and x, and may have y and p")
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{n} of {name}" for name, n in lengths.items())
        raise fail(DataError, where, f"has {text}", "every event needs all of them")
    coding = ""
    if "p" in found:
        found["p"], coding = on_off(found["p"], where, reading.coding)
    return Events(found["t"], found["x"], found.get("y"), found.get("p"), coding=coding)


def from_table(table: NDArray[Any], order: str, where: str, reading: Reading) -> Events:
    """Events from the columns of `table` [event, column]; `order` names them, such as "txyp"."""
    if table.ndim != 2 or table.shape[1] < len(order):
        what = f"is a {table.dtype} array of shape {list(table.shape)}"
        raise fail(DataError, where, what, f"columns={order} names {len(order)} columns")
    return from_fields({name: table[:, k] for k, name in enumerate(order)}, where, reading)


def on_off(p: Integers, where: str, coding: str | None = None) -> tuple[Integers, str]:
    """Polarities 0 (off) and 1 (on), and how they were written; DataError for other values."""
    values = np.unique(p)
    fits = [name for name, pair in CODINGS.items() if set(values.tolist()) <= set(pair)]
    if (coding is not None and coding not in fits) or not fits:
        shown = ", ".join(str(v) for v in values[:6]) + (" ..." if len(values) > 6 else "")
        what = f"has the polarities {shown}"
        wanted = "0 and 1, -1 and 1, or 1 and 2" if coding is None else coding.replace(",", " and ")
        raise fail(DataError, where, what, f"off and on are {wanted}")
    seen = coding or fits[0]
    said = "one" if len(fits) > 1 and len(values) and coding is None else seen
    return (p == CODINGS[seen][1]).astype(np.int64), said


def _column(values: NDArray[Any], name: str, where: str, reading: Reading) -> Integers:
    if name == "t":
        return microseconds_of(values, reading.unit or "us", where)
    found = whole_numbers(values, name, where)
    if name in ("x", "y") and reading.first:
        if len(found) and int(found.min()) < reading.first:
            what = f"has {name} {int(found.min())}, but numbers from {reading.first}"
            raise fail(DataError, where, what, "first=0 takes x and y as they are")
        return found - reading.first
    return found


def microseconds_of(values: NDArray[Any], unit: str, where: str) -> Integers:
    """Times in `unit` as whole microseconds: real numbers are rounded, nanoseconds cut."""
    times, per = UNITS[unit]
    if unit == "us":
        return whole_numbers(values, "t", where)
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):  # what becomes infinite is refused
            values = np.rint(values.astype(np.float64) * times / per)
        return whole_numbers(values, "t", where)
    whole = whole_numbers(values, "t", where)
    if len(whole) and max(abs(int(whole.min())), abs(int(whole.max()))) >= LARGEST // times:
        raise fail(DataError, where, f"t has {int(whole.max())} {unit}", "what is the unit?")
    return whole * times // per


def whole_numbers(values: NDArray[Any], name: str, where: str) -> Integers:
    """int64 of whole numbers of any type; DataError for others."""
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):  # of what is infinite, and refused, or has too many bits
            values = values.astype(np.float64)  # LARGEST is none of the numbers of 16 bits
            whole = np.rint(values)
            wrong = ~((np.abs(values - whole) <= 1e-3) & (np.abs(values) < LARGEST))
        if wrong.any():
            what = f"{name} has the value {values[np.argmax(wrong)]:g}, not a whole number"
            hint = "times are whole microseconds"
            raise fail(DataError, where, what, hint + ("; unit=s" if name == "t" else ""))
        return np.asarray(whole, dtype=np.int64)
    if values.dtype.kind not in "iub":
        raise fail(DataError, where, f"{name} holds {values.dtype}, not numbers")
    if values.dtype.kind != "b" and len(values):
        least, most = int(values.min()), int(values.max())
        if max(-least, most) >= LARGEST:
            what = f"{name} has the value {most if most >= LARGEST else least}"
            raise fail(DataError, where, what, "what is the unit?" if name == "t" else "")
    return np.asarray(values, dtype=np.int64)
