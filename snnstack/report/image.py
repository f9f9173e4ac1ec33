"""A matrix as a PNG in a data URI: no request leaves the page. Darker is less."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence

CIVIDIS = (
    (0, 34, 78), (33, 61, 109), (85, 91, 109), (123, 121, 120), (165, 152, 116), (209, 185, 93),
    (254, 232, 56),
)  # fmt: skip
"""Points of the map cividis (Nunez et al. 2018): lightness grows evenly, hue is safe to confuse."""


def heat_map(values: Sequence[Sequence[float]]) -> tuple[str, float, float]:
    """(data URI of a PNG with one pixel per value, smallest, largest finite value)."""
    finite = [v for row in values for v in row if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    span = high - low or 1.0
    rows = [
        b"\0" + b"".join(_pixel((v - low) / span if math.isfinite(v) else 0.0) for v in row)
        for row in values
    ]
    width = len(values[0]) if values else 0
    return png(width, len(values), b"".join(rows)), low, high


def _pixel(share: float) -> bytes:
    place = min(max(share, 0.0), 1.0) * (len(CIVIDIS) - 1)
    k = min(int(place), len(CIVIDIS) - 2)
    part = place - k
    pairs = zip(CIVIDIS[k], CIVIDIS[k + 1], strict=True)
    return bytes(round(a + part * (b - a)) for a, b in pairs)


def png(width: int, height: int, rows: bytes) -> str:
    """Rows of 8-bit RGB, each after a filter byte 0."""
    head = struct.pack(">IIBBBBB", max(width, 1), max(height, 1), 8, 2, 0, 0, 0)
    content = rows or b"\0\0\0\0"
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(content, 9)), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()
