"""Read native event files: N-MNIST .bin, .aedat of all kinds, .npy. One recording a file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack import npz
from snnstack.errors import DataError, ToolError, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends.events import Events, Integers

OVERFLOW_ROW = 240
"""N-MNIST: an event in this row means that the clock has passed 2**13 us, and is no event."""
OVERFLOW_US = 2**13
POLARITY_EVENT = 1
"""AEDAT 3: the type of a packet of polarity events."""
PACKET = struct.Struct("<HHIIIIII")
"""AEDAT 3.1 packet header: type, source, size, offset of the time, overflows, capacity, number
of events, number of valid events."""


def read_nmnist(path: Path) -> Events:
    """40 bits an event, big endian: x 8, y 8, polarity 1, time in microseconds 23.

    Format: Orchard et al. 2015, as `read_mnist_file` of tonic reads it.
    """
    raw = np.frombuffer(_bytes(path), dtype=np.uint8)
    if len(raw) % 5:
        what = f"has {len(raw)} bytes, not a multiple of 5"
        raise fail(DataError, str(path), what, "the file is cut short or not of this format")
    x, y, third, fourth, fifth = raw.reshape(-1, 5).T.astype(np.int64)
    t = (third & 127) << 16 | fourth << 8 | fifth
    overflow = y == OVERFLOW_ROW
    t = t + OVERFLOW_US * np.cumsum(overflow)
    keep = ~overflow
    return Events(t[keep], x[keep], y[keep], (third >> 7)[keep])


def read_npy(path: Path) -> Events:
    """Events in a .npy: fields x, y, t, p (microseconds), or tonic's DVS-Gesture [n, 4] array.

    The latter has the columns x, y, polarity and time in milliseconds.
    """
    try:
        array = npz.read_npy(path)
    except (npz.NotArrays, OSError) as error:
        raise fail(DataError, str(path), f"cannot be read: {_reason(error)}") from error
    if array.dtype.names:
        return from_fields({name: array[name] for name in array.dtype.names}, str(path))
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        what = f"is a {array.dtype} array of shape {list(array.shape)}"
        raise fail(DataError, str(path), what, "events need fields x, y, t, p or four columns")
    milliseconds = array[:, 3].astype(np.float64) * 1000.0
    x, y, p = (_integers(array[:, k], name, str(path)) for k, name in enumerate("xyp"))
    return Events(_integers(milliseconds, "t", str(path)), x, y, p)


def from_fields(fields: Mapping[str, NDArray[Any]], where: str) -> Events:
    """Events from arrays called t, x and perhaps y and p (or polarity, timestamp and so on)."""
    found: dict[str, Integers] = {}
    for name, others in _ALIASES.items():
        match = next((key for key in others if key in fields), None)
        if match is not None:
            found[name] = _integers(np.asarray(fields[match]).ravel(), name, where)
    missing = [name for name in ("t", "x") if name not in found]
    if missing:
        what = f"holds {', '.join(fields) or 'nothing'}, but no {' and no '.join(missing)}"
        raise fail(DataError, where, what, "events need t and x, and may have y and p")
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{n} of {name}" for name, n in lengths.items())
        raise fail(DataError, where, f"has {text}", "every event needs all of them")
    if "p" in found:
        found["p"] = np.where(found["p"] > 0, 1, 0).astype(np.int64)
    return Events(found["t"], found["x"], found.get("y"), found.get("p"))


_ALIASES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "unit", "units", "address"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities"),
}


def _integers(values: NDArray[Any], name: str, where: str) -> Integers:
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.all(np.abs(values - whole) <= 1e-3):
            first = values[np.argmax(np.abs(values - whole) > 1e-3)]
            what = f"{name} has the value {first:g}, not a whole number"
            raise fail(DataError, where, what, "times are whole microseconds")
        return np.asarray(whole, dtype=np.int64)
    if values.dtype.kind not in "iub":
        raise fail(DataError, where, f"{name} holds {values.dtype}, not numbers")
    return np.asarray(values, dtype=np.int64)


def read_aedat(path: Path) -> Events:
    """AEDAT 2.0 (DVS128 addresses) or 3.1 (polarity packets), by the file's first line."""
    content = _bytes(path)
    version = content[:64].split(b"\n")[0].strip()
    body = _after_comments(content)
    if version.startswith(b"#!AER-DAT2"):
        return _aedat2(body, path)
    if version.startswith(b"#!AER-DAT3"):
        return _aedat3(body, path)
    if version.startswith(b"#!AER-DAT4"):
        return read_aedat4(path)
    raise fail(DataError, str(path), "does not begin with #!AER-DAT", "it is no .aedat file")


def read_aedat4(path: Path) -> Events:
    """AEDAT 4, of iniVation's DV: its events, microseconds from the first one.

    Decoded by the package `aedat`; ToolError without it.
    """
    if find_spec("aedat") is None:
        what = "is AEDAT 4, which the package aedat decodes; it is not installed"
        raise fail(ToolError, str(path), what, "pip install 'snnstack[aedat]'")
    fields = ForeignFile(path, DataError).read(aedat4_of)
    t = fields["t"].astype(np.int64)
    x, y, on = (fields[name].astype(np.int64) for name in ("x", "y", "on"))
    return Events(t - (t.min() if len(t) else 0), x, y, on)


def aedat4_of(path: str) -> dict[str, Any]:
    """{t, x, y, on} of an AEDAT 4 file as they are stored, in the process that reads."""
    import aedat

    try:
        parts = [packet["events"] for packet in aedat.Decoder(path) if "events" in packet]
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the decoder raises its own kinds, and panics
        raise fail(DataError, path, f"cannot be decoded: {_reason(error)}") from error
    if not parts:
        raise fail(DataError, path, "holds no events", "it may hold only frames")
    whole = np.concatenate(parts)
    return {name: whole[name] for name in ("t", "x", "y", "on")}


def _after_comments(content: bytes) -> bytes:
    """What follows the header lines; AEDAT 3 ends its header with an explicit line."""
    end = content.find(b"#!END-HEADER")
    if end >= 0:
        return content[content.find(b"\n", end) + 1 :]
    start = 0
    while content[start : start + 1] == b"#":
        newline = content.find(b"\n", start)
        if newline < 0:
            return b""
        start = newline + 1
    return content[start:]


def _aedat2(body: bytes, path: Path) -> Events:
    """Big-endian pairs (address, time in us); DVS128: y 7 bits, x 7 bits, polarity 1 bit.

    Format: the AEDAT 2.0 specification of iniVation; a set high half marks special events.
    """
    if len(body) % 8:
        what = f"has {len(body)} bytes of events, not a multiple of 8"
        raise fail(DataError, str(path), what, "the file is cut short")
    address, t = np.frombuffer(body, dtype=">u4").reshape(-1, 2).T.astype(np.int64)
    keep = address < 1 << 15
    address = address[keep]
    return Events(_unwrapped(t[keep]), (address >> 1) & 127, (address >> 8) & 127, address & 1)


def _unwrapped(t: Integers) -> Integers:
    """Times of a 32-bit clock that may have started again from 0."""
    passed = np.zeros(len(t), dtype=np.int64)
    if len(t) > 1:
        passed[1:] = np.cumsum(np.diff(t) < -(2**31))
    return t + (passed << 32)


def _aedat3(body: bytes, path: Path) -> Events:
    """Packets of polarity events: bit 0 valid, bit 1 polarity, y bits 2-16, x bits 17-31.

    Format: the AEDAT 3.1 specification of iniVation. Other packets are passed over.
    """
    parts: list[NDArray[np.int64]] = [np.zeros((0, 3), dtype=np.int64)]
    at = 0
    while at < len(body):
        if at + PACKET.size > len(body):
            raise fail(DataError, str(path), f"is cut short in a packet's header at byte {at}")
        kind, _, width, _, overflows, _, number, _ = PACKET.unpack_from(body, at)
        at += PACKET.size
        end = at + width * number
        if end > len(body):
            what = f"is cut short: a packet of {number} events needs {end - len(body)} bytes more"
            raise fail(DataError, str(path), what)
        if kind == POLARITY_EVENT:
            if width != 8:
                what = f"has polarity events of {width} bytes, not of 8"
                raise fail(DataError, str(path), what)
            pairs = np.frombuffer(body[at:end], dtype="<u4").reshape(-1, 2).astype(np.int64)
            columns = (pairs[:, 0], pairs[:, 1] + (overflows << 31), pairs[:, 0] & 1)
            parts.append(np.stack(columns, axis=1))
        at = end
    data, t, valid = np.concatenate(parts).T
    keep = valid == 1
    data = data[keep]
    return Events(t[keep], (data >> 17) & 0x7FFF, (data >> 2) & 0x7FFF, (data >> 1) & 1)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fail(DataError, str(path), f"cannot be read: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__


READERS: Mapping[str, Callable[[Path], Events]] = {
    ".bin": read_nmnist,
    ".npy": read_npy,
    ".aedat": read_aedat,
    ".aedat4": read_aedat4,
}
"""One recording per file, by suffix."""
