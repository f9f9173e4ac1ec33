"""AEDAT 3: packets of one kind of event each, of which those of polarity events are read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.event_bytes import header_lines
from snnstack.frontends.events import Events

POLARITY_EVENT = 1
PACKET = struct.Struct("<HHIIIIII")
"""Packet header: type, source, size, offset of the time, overflows, capacity, number of events,
number of valid events."""
MOST_OVERFLOWS = 2**20
"""Of a clock of 2**31 us: more than 70 years."""
KINDS = {0: "special events", 2: "frames", 3: "inertial samples", 4: "inertial samples"}
"""Types of other packets, by the AEDAT 3.1 specification of iniVation."""


def read_packets(content: bytes, path: Path) -> Events:
    """Polarity events: bit 0 valid, bit 1 polarity, y bits 2-16, x bits 17-31; time 32 bits.

    Format: the AEDAT 3.1 specification of iniVation. y counts from the top. Other packets and
    events that are marked as not valid are counted.
    """
    body = content[_start(content, path) :]
    parts: list[NDArray[np.int64]] = [np.zeros((0, 2), dtype=np.int64)]
    skipped: dict[str, int] = {}
    at = 0
    while at < len(body):
        kind, width, overflows, number, end = _packet(body, at, path)
        at += PACKET.size
        if kind == POLARITY_EVENT:
            pairs = np.frombuffer(body[at : at + width * number], dtype="<u4")
            columns = pairs.reshape(-1, 2).astype(np.int64)
            columns[:, 1] += overflows << 31
            parts.append(columns)
        else:
            name = KINDS.get(kind & 0x7FFF, f"events of type {kind}")
            skipped[name] = skipped.get(name, 0) + number
        at = end
    data, t = np.concatenate(parts).T
    keep = data & 1 == 1
    invalid = int(np.count_nonzero(~keep))
    skipped |= {"invalid events": invalid} if invalid else {}
    data = data[keep]
    x, y, p = data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, data >> 1 & 1
    return Events(t[keep], x, y, p, None, skipped)


def _packet(body: bytes, at: int, path: Path) -> tuple[int, int, int, int, int]:
    """(type, bytes of an event, overflows, events, where it ends) of the packet at `at`."""
    if at + PACKET.size > len(body):
        raise fail(DataError, str(path), f"is cut short in a packet's header at byte {at}")
    kind, _, width, _, overflows, capacity, number, _ = PACKET.unpack_from(body, at)
    end = at + PACKET.size + width * max(capacity, number)
    if end > len(body):
        what = f"is cut short: a packet of {number} events needs {end - len(body)} bytes more"
        raise fail(DataError, str(path), what)
    if overflows > MOST_OVERFLOWS:
        raise fail(
            DataError, str(path), f"is damaged: a packet's clock overflowed {overflows} times"
        )
    if kind == POLARITY_EVENT and width != 8:
        raise fail(DataError, str(path), f"has polarity events of {width} bytes, not of 8")
    return kind, width, overflows, number, end


def _start(content: bytes, path: Path) -> int:
    """Where the packets begin; DataError for compressed ones."""
    end = content.find(b"#!END-HEADER")
    start = content.find(b"\n", end) + 1 if end >= 0 else header_lines(content, b"#")[1]
    if end >= 0 and not start:
        raise fail(DataError, str(path), "is cut short in its header")
    lines = content[:start].decode("latin-1").splitlines()
    for line in lines:
        form = line.partition("#Format:")[2].strip()
        if form and form.upper() != "RAW":
            what = f"has packets of the format {form}, only RAW is read"
            raise fail(DataError, str(path), what, "convert it with DV or jAER")
    return start
