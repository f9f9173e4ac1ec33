"""Recordings as their formats' public specifications have them, written word by word.

Nothing here shares code with the readers: loops, one event at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

Event = tuple[int, int, int, int]
"""(t in us, x, y, p)"""


def some(n: int, width: int, height: int, last: int = 50_000, seed: int = 0) -> list[Event]:
    """Random events in the order of time."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, last, n))
    x, y, p = rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)
    return [tuple(map(int, row)) for row in zip(t, x, y, p, strict=True)]  # type: ignore[misc]


def aedat2(pairs: Iterable[tuple[int, int]], chip: str = "", version: str = "2.0") -> bytes:
    """A jAER file of (address, time in us)."""
    head = f"#!AER-DAT{version}\r\n# This is a raw AE data file - do not edit\r\n"
    head += f"# AEChip: {chip}\r\n" if chip else ""
    form = ">HI" if version.startswith("1") else ">II"
    return head.encode() + b"".join(struct.pack(form, a, t & 0xFFFFFFFF) for a, t in pairs)


def dvs128_address(x: int, y: int, p: int) -> int:
    """jAER's DVS128: x counts from the right, bit 0 is set for off."""
    return y << 8 | (127 - x) << 1 | (1 - p)


def davis_address(x: int, y: int, p: int, width: int, height: int) -> int:
    """jAER's DAVIS for a pixel counted from the upper left corner."""
    return (height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11


def dat(events: Sequence[Event], version: int = 2, size: tuple[int, int] | None = None) -> bytes:
    """Prophesee's .dat."""
    head = f"% Data file containing CD events\n% Date 2020-09-14 14:18:29\n% Version {version}\n"
    head += f"% Width {size[0]}\n% Height {size[1]}\n" if size else ""
    body = bytes([12 if version >= 2 else 0, 8])
    for t, x, y, p in events:
        word = x | y << 14 | p << 28 if version >= 2 else x | y << 9 | p << 17
        body += struct.pack("<II", t & 0xFFFFFFFF, word)
    return head.encode() + body


def evt2(events: Sequence[Event], head: str = "% evt 2.0\n% end\n") -> bytes:
    """EVT 2: a time word whenever its 28 bits change, and a trigger among them."""
    body, high = b"", -1
    for t, x, y, p in events:
        if t >> 6 != high:
            high = t >> 6
            body += struct.pack("<I", 0x8 << 28 | high & 0xFFFFFFF)
        body += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
    return head.encode() + body + struct.pack("<I", 0xA << 28 | 1)


def evt21(groups: Sequence[tuple[int, int, int, int, int]], head: str, legacy: bool) -> bytes:
    """EVT 2.1 of (t, x, y, p, mask of 32 pixels from x on)."""

    def word(upper: int, lower: int) -> bytes:
        return struct.pack("<II", *((upper, lower) if legacy else (lower, upper)))

    body, high = b"", -1
    for t, x, y, p, mask in groups:
        if t >> 6 != high:
            high = t >> 6
            body += word(0x8 << 28 | high & 0xFFFFFFF, 0)
        body += word(p << 28 | (t & 63) << 22 | x << 11 | y, mask)
    return head.encode() + body


class Evt3:
    """EVT 3, word by word; `events` are what the words mean."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.events: list[Event] = []
        self.high = self.low = self.y = -1

    def at(self, t: int) -> None:
        """The clock reads `t`."""
        high, low = t >> 12 & 0xFFF, t & 0xFFF
        if high != self.high:
            self.words.append(0x8 << 12 | high)
            self.high, self.low = high, 0
        if low != self.low:
            self.words.append(0x6 << 12 | low)
            self.low = low

    def row(self, y: int) -> None:
        """Events are of row `y`."""
        if y != self.y:
            self.words.append(y)
            self.y = y

    def pixel(self, t: int, x: int, y: int, p: int) -> None:
        """One event."""
        self.at(t)
        self.row(y)
        self.words.append(0x2 << 12 | p << 11 | x)
        self.events.append((t, x, y, p))

    def vector(self, t: int, x: int, y: int, p: int, masks: Sequence[tuple[int, int]]) -> None:
        """Vectors of (length 12 or 8, mask), one behind the other from `x` on."""
        self.at(t)
        self.row(y)
        self.words.append(0x3 << 12 | p << 11 | x)
        for length, mask in masks:
            self.words.append((0x4 if length == 12 else 0x5) << 12 | mask)
            self.events += [(t, x + k, y, p) for k in range(length) if mask >> k & 1]
            x += length

    def bytes(self, head: str = "% format EVT3;height=720;width=1280\n% end\n") -> bytes:
        """The file."""
        return head.encode() + struct.pack(f"<{len(self.words)}H", *self.words)
