"""AEDAT 1 and 2 of jAER: addresses whose bits the chip gives a meaning; dispatch to 3 and 4."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snnstack.errors import DataError, fail
from snnstack.frontends.aedat_packets import read_packets
from snnstack.frontends.aedat_stream import read_aedat4
from snnstack.frontends.event_bytes import all_bytes, header_lines, unwrapped, words
from snnstack.frontends.event_fields import PLAIN, Reading
from snnstack.frontends.event_steps import Integers
from snnstack.frontends.events import Events, Sensor

DVS128, DAVIS = "DVS128", "DAVIS"
SIZES = {
    "dvs128": (128, 128),
    "tmpdiff128": (128, 128),
    "davis128": (128, 128),
    "davis208": (208, 192),
    "davis240": (240, 180),
    "sbret10": (240, 180),
    "davis346": (346, 260),
    "davis640": (640, 480),
}
"""Width and height of chips by how their class in jAER begins, in small letters."""
KNOWN = "DVS128, DAVIS128, DAVIS208, DAVIS240, DAVIS346, DAVIS640"
NO_CHIP = "the file names no chip, DVS128 is taken; chip= says another"


@dataclass(frozen=True)
class Chip:
    """A family of addresses, and the sensor."""

    family: str
    width: int
    height: int


def read_aedat(path: Path, reading: Reading = PLAIN) -> Events:
    """AEDAT of every version, by the file's first line."""
    content = all_bytes(path)
    version = content[:64].split(b"\n")[0].strip()
    if version.startswith((b"#!AER-DAT1", b"#!AER-DAT2")):
        return _addresses(content, path, reading)
    if version.startswith(b"#!AER-DAT3"):
        return read_packets(content, path)
    if version.startswith(b"#!AER-DAT4"):
        return read_aedat4(path)
    raise fail(DataError, str(path), "does not begin with #!AER-DAT", "it is no .aedat file")


def chip_called(name: str, path: Path) -> Chip:
    """The chip of that name, with or without its Java package; DataError for unknown ones."""
    own = name.rsplit(".", 1)[-1].strip().lower()
    found = next((key for key in SIZES if own.startswith(key)), None)
    if found is None or "color" in own:
        what = f"is a recording of the chip {name}, whose addresses are not known here"
        raise fail(DataError, str(path), what, f"known: {KNOWN}; chip= says another")
    family = DVS128 if found in ("dvs128", "tmpdiff128") else DAVIS
    return Chip(family, *SIZES[found])


def _addresses(content: bytes, path: Path, reading: Reading) -> Events:
    """Big-endian (address, time in us): of 16 and 32 bits in version 1, of 32 and 32 in 2."""
    lines, start = header_lines(content, b"#")
    named = [m[1] for line in lines if (m := re.search(r"AEChip:\s*(\S+)", line, re.IGNORECASE))]
    name = reading.chip or (named[0] if named else None)
    chip = chip_called(name or DVS128, path)
    if content.startswith(b"#!AER-DAT1"):
        pairs = words(content[start:], ">u2,>u4", path)
        address, t = (pairs[field].astype(np.int64) for field in ("f0", "f1"))
    else:
        address, t = (
            words(content[start:], ">u4,>u4", path).view(">u4").reshape(-1, 2).T.astype(np.int64)
        )
    events = (_dvs128 if chip.family == DVS128 else _davis)(address, unwrapped(t), chip)
    if name is None:
        _check_unnamed(events, len(address), path)
        return replace(events, assumed=NO_CHIP)
    return events


def _check_unnamed(events: Events, addresses: int, path: Path) -> None:
    """A DVS128 has few special events; a file of nothing else is of another chip."""
    special = events.skipped.get("special events", 0)
    if special > len(events.t):
        what = f"names no chip, and {special} of {addresses} addresses are none of a DVS128"
        raise fail(DataError, str(path), what, f"chip= says which: {KNOWN}")


def _dvs128(address: Integers, t: Integers, chip: Chip) -> Events:
    """Y bits 8-14, x bits 1-7 from the right edge, bit 0 clear for on; 15 and above are special.

    As `DVS128.Extractor` of jAER has it; y is taken as it is.
    """
    keep = address < 1 << 15
    address = address[keep]
    x, y = chip.width - 1 - (address >> 1 & 127), address >> 8 & 127
    skipped = _counts({"special events": int(np.count_nonzero(~keep))})
    return Events(t[keep], x, y, 1 - (address & 1), Sensor(128, 128, 2), skipped)


def _davis(address: Integers, t: Integers, chip: Chip) -> Events:
    """Y bits 22-30, x bits 12-21 from the right edge, bit 11 set for on; bit 31: a frame's sample.

    As `DavisChip` of jAER has it, where bits 10 and 11 tell inertial samples (11) from frames,
    and an external event (01) from pixels. jAER's y counts from the bottom, ours, as that of
    `read_davis_346` in tonic, from the top.
    """
    kind = address >> 10 & 3
    sample = address >> 31 == 1
    inertial, external = sample & (kind == 3), ~sample & (kind == 1)
    keep = ~sample & ~external
    found = address[keep]
    x, y = chip.width - 1 - (found >> 12 & 1023), chip.height - 1 - (found >> 22 & 511)
    skipped = _counts(
        {
            "frame samples": int(np.count_nonzero(sample & ~inertial)),
            "inertial samples": int(np.count_nonzero(inertial)),
            "external events": int(np.count_nonzero(external)),
        }
    )
    return Events(t[keep], x, y, found >> 11 & 1, Sensor(chip.width, chip.height, 2), skipped)


def _counts(found: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in found.items() if n}
