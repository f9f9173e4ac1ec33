"""From a linked ELF file to what is written to a board: Intel HEX and UF2."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.errors import ToolError, fail

_LOAD = 1
_HEX_RECORD = 16
_UF2_PAYLOAD = 256
_UF2_START = (0x0A324655, 0x9E5D5157)
_UF2_END = 0x0AB16F30
_UF2_FAMILY = 0x2000
_BLOCK_BYTES = 256


@dataclass(frozen=True)
class Segment:
    """`data` stands at `address` in the board's flash."""

    address: int
    data: bytes


def segments(elf: bytes, board: McuHardware) -> tuple[Segment, ...]:
    """What a program's ELF file puts into flash, ascending, with the board's boot block if any.

    Raises `ToolError` if the file is not a 32-bit little-endian ELF file, is cut off, or loads
    nothing.
    """
    if elf[:6] != b"\x7fELF\x01\x01":
        raise fail(ToolError, "image", "is not a 32-bit little-endian ELF file")
    try:
        found = _loaded(elf, board.flash_origin)
    except struct.error:
        raise fail(ToolError, "image", "is cut off: its headers lead outside of it") from None
    if not found:
        raise fail(ToolError, "image", "has nothing to load")
    if board.boot_block == "rp2350":
        start = board.flash_origin - _BLOCK_BYTES
        found.append(Segment(start, rp2350_block(board.flash_origin)))
    return tuple(sorted(found, key=lambda segment: segment.address))


def _loaded(elf: bytes, origin: int) -> list[Segment]:
    """The segments from `origin` on; struct.error where a header lies outside of the file."""
    offset = struct.unpack_from("<I", elf, 28)[0]
    size, count = struct.unpack_from("<2H", elf, 42)
    found = []
    for k in range(count):
        kind, at, _, address, stored, *_ = struct.unpack_from("<8I", elf, offset + k * size)
        # A linker may begin the first segment at a page, with its own headers in front.
        before = max(0, origin - address)
        if kind == _LOAD and stored > before:
            if at + stored > len(elf):
                raise struct.error("a segment ends after the file")
            found.append(Segment(address + before, elf[at + before : at + stored]))
    return found


def rp2350_block(vectors: int) -> bytes:
    """An image definition for the RP2350's boot ROM: secure Arm code, vector table at `vectors`.

    Items of a block loop as in section 5.9 of the RP2350 data sheet; not tried on a board.
    """
    image_type, vector_table, last = 0x1021_0142, 0x0000_0203, 0x0000_03FF
    words = (0xFFFF_DED3, image_type, vector_table, vectors, last, 0, 0xAB12_3579)
    return struct.pack(f"<{len(words)}I", *words)


def intel_hex(parts: Sequence[Segment]) -> bytes:
    """Intel HEX with 32-bit addresses.

    >>> print(intel_hex([Segment(0x08000000, b"ab")]).decode(), end="")
    :020000040800F2
    :0200000061623B
    :00000001FF
    """
    lines, high = [], -1
    for address, data in _pieces(parts, _HEX_RECORD):
        if address >> 16 != high:
            high = address >> 16
            lines.append(_record(0, 4, high.to_bytes(2, "big")))
        lines.append(_record(address & 0xFFFF, 0, data))
    return "\n".join([*lines, _record(0, 1, b""), ""]).encode()


def uf2(parts: Sequence[Segment], family: int) -> bytes:
    """UF2 blocks of 256 bytes each, padded with zeros to whole pages, for the chip `family`."""
    pages: dict[int, bytearray] = {}
    for address, data in _pieces(parts, 1 << 30, _UF2_PAYLOAD):
        page = address & -_UF2_PAYLOAD
        start = address - page
        pages.setdefault(page, bytearray(_UF2_PAYLOAD))[start : start + len(data)] = data
    blocks = []
    for number, (page, content) in enumerate(sorted(pages.items())):
        head = (*_UF2_START, _UF2_FAMILY, page, _UF2_PAYLOAD, number, len(pages), family)
        blocks.append(struct.pack("<8I", *head) + bytes(content).ljust(476, b"\0"))
    return b"".join(block + struct.pack("<I", _UF2_END) for block in blocks)


def _pieces(
    parts: Iterable[Segment], most: int, page: int = 0x10000
) -> Iterable[tuple[int, bytes]]:
    """(address, data) of at most `most` bytes that never cross a multiple of `page`."""
    for part in parts:
        at = 0
        while at < len(part.data):
            address = part.address + at
            length = min(most, page - address % page, len(part.data) - at)
            yield address, part.data[at : at + length]
            at += length


def _record(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}"
