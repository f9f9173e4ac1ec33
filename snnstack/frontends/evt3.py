"""EVT 3 of Prophesee: 16-bit words that change a state, decoded without a loop over words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.event_bytes import last_index, set_bits, unwrapped
from snnstack.frontends.event_steps import Integers
from snnstack.frontends.events import Events, Sensor

Y, X, BASE, VECTOR_12, VECTOR_8, LOW, HIGH = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
LENGTHS = {VECTOR_12: 12, VECTOR_8: 8}
OTHERS = {0x7: "other words", 0xA: "triggers", 0xE: "other words", 0xF: "other words"}
TIME_BITS = 24


def read_evt3(raw: NDArray[np.uint16], sensor: Sensor | None, path: Path) -> Events:
    """Events of the words' type (bits 12-15) and payload, by Prophesee's documentation of EVT 3.

    A y, a base of vectors (polarity bit 11, x bits 0-10) and a time hold until the next one; the
    lower 12 bits of a time are 0 after a new upper half until they come. A vector's bits are
    pixels from the base on, which moves on by 12 or 8.
    """
    word = raw.astype(np.int64)
    kind, payload = word >> 12, word & 0xFFF
    _check_known(kind, path)
    t, timed = _times(kind, payload)
    row = last_index(kind == Y)
    base = last_index(kind == BASE)
    vector = np.isin(kind, list(LENGTHS))
    ready = timed & (row >= 0)
    single, many = (kind == X) & ready, vector & ready & (base >= 0)
    lost = int(np.count_nonzero(((kind == X) & ~single) | (vector & ~many)))
    which, x, p = _pixels(kind, payload, single, many, base)
    order = np.argsort(which, kind="stable")
    which = which[order]
    y = payload[row[which]] & 0x7FF
    return Events(t[which], x[order], y, p[order], sensor, _skipped(kind, lost))


def _check_known(kind: Integers, path: Path) -> None:
    strange = ~np.isin(kind, [Y, X, BASE, LOW, HIGH, *LENGTHS, *OTHERS])
    if strange.any():
        at = int(np.argmax(strange))
        what = f"has a word of the unknown type {int(kind[at])} (word {at})"
        raise fail(DataError, str(path), what, "the file is damaged or not EVT 3")


def _times(kind: Integers, payload: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """The time of every word, and whether there has been an upper half before it.

    The clock turns over every 2**24 us; times only rise but for that.
    """
    high, low = last_index(kind == HIGH), last_index(kind == LOW)
    timed = high >= 0
    marks = np.flatnonzero(kind == HIGH)
    upper = np.zeros(len(kind), dtype=np.int64)
    turned = unwrapped(payload[marks], TIME_BITS - 12)
    upper[timed] = turned[np.searchsorted(marks, high[timed])]
    same = np.zeros(len(kind), dtype=np.bool_)
    if len(marks):
        # A repeated upper half leaves the lower one as it was.
        changed = np.concatenate([[True], np.diff(payload[marks]) != 0])
        since = marks[changed]
        begun = np.full(len(kind), -1, dtype=np.int64)
        begun[timed] = since[np.searchsorted(since, high[timed], side="right") - 1]
        same = (low >= 0) & (low > begun)
    lower = np.where(same, payload[np.maximum(low, 0)], 0) if len(kind) else payload
    return upper << 12 | lower, timed


def _pixels(
    kind: Integers,
    payload: Integers,
    single: NDArray[np.bool_],
    many: NDArray[np.bool_],
    base: Integers,
) -> tuple[Integers, Integers, Integers]:
    """(word, x, polarity) of every event: of single pixels, then of vectors."""
    lengths = np.zeros(len(kind), dtype=np.int64)
    for number, length in LENGTHS.items():
        lengths[kind == number] = length
    before = np.cumsum(lengths) - lengths
    alone, vectors = np.flatnonzero(single), np.flatnonzero(many)
    from_base = base[vectors]
    x0 = (payload[from_base] & 0x7FF) + before[vectors] - before[from_base]
    bits = np.where(kind[vectors] == VECTOR_8, payload[vectors] & 0xFF, payload[vectors])
    which, bit = set_bits(bits, 2)
    word = np.concatenate([alone, vectors[which]])
    x = np.concatenate([payload[alone] & 0x7FF, x0[which] + bit])
    p = np.concatenate([payload[alone] >> 11, (payload[from_base] >> 11)[which]])
    return word, x, p


def _skipped(kind: Integers, lost: int) -> dict[str, int]:
    skipped: dict[str, int] = {"events before the first time or row": lost}
    for number, name in OTHERS.items():
        skipped[name] = skipped.get(name, 0) + int(np.count_nonzero(kind == number))
    return {name: n for name, n in skipped.items() if n}
