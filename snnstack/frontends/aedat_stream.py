"""AEDAT 4 of iniVation's DV, decoded by the package `aedat`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, ToolError, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends.event_bytes import reason
from snnstack.frontends.events import Events, Sensor


def read_aedat4(path: Path) -> Events:
    """AEDAT 4, of iniVation's DV: its events, microseconds from the first one.

    Decoded by the package `aedat`; ToolError without it. Of several streams of events the first
    is read, as tonic reads them.
    """
    if find_spec("aedat") is None:
        what = "is AEDAT 4, which the package aedat decodes; it is not installed"
        raise fail(ToolError, str(path), what, "pip install 'snnstack[aedat]'")
    fields, others, size = ForeignFile(path, DataError).read(aedat4_of)
    t, x, y, on = (fields[name].astype(np.int64) for name in ("t", "x", "y", "on"))
    sensor = Sensor(size[0], size[1], 2) if len(size) == 2 else None
    return Events(t - (t.min() if len(t) else 0), x, y, on, sensor, others)


def aedat4_of(path: str) -> tuple[dict[str, Any], dict[str, int], list[int]]:
    """({t, x, y, on} as they are stored, what else there is by number, [width, height] or []).

    In the process that reads.
    """
    import aedat

    try:
        streams = aedat.Decoder(path).id_to_stream()
        wanted = min((k for k, s in streams.items() if s.get("type") == "events"), default=None)
        parts, others = _packets(aedat.Decoder(path), wanted)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the decoder raises its own kinds, and panics
        raise fail(DataError, path, f"cannot be decoded: {reason(error)}") from error
    if not parts:
        raise fail(DataError, path, "holds no events", "it may hold only frames")
    whole = np.concatenate(parts)
    stream = {} if wanted is None else streams[wanted]
    size = [int(stream[axis]) for axis in ("width", "height") if stream.get(axis)]
    return {name: whole[name] for name in ("t", "x", "y", "on")}, others, size[:2]


def _packets(packets: Any, wanted: int | None) -> tuple[list[Any], dict[str, int]]:
    """The arrays of the stream that is wanted, and what else there is, counted."""
    parts, others = [], dict[str, int]()
    for packet in packets:
        if "events" in packet and packet.get("stream_id", wanted) == wanted:
            parts.append(packet["events"])
            continue
        for name, kind in (("events", "events of other streams"), ("frame", "frames"),
                           ("imus", "inertial samples"), ("triggers", "triggers")):  # fmt: skip
            if name in packet:
                n = 1 if name == "frame" else len(packet[name])
                others[kind] = others.get(kind, 0) + n
    return parts, others
