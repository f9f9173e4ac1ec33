"""Memory of a QEMU machine that this process writes input into and takes output from."""

from __future__ import annotations

import json
import mmap
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from snnstack.backends.mcu.qemu import CODE, HEAD, Machine
from snnstack.backends.mcu.qemu import Window as Place
from snnstack.errors import DataError, ToolError, fail

ANSWER_S = 30.0
"""How long QEMU may take to write out its memory."""


class Window(Protocol):
    """What `open_window` yields: `backing` and `options` are for the machine's command."""

    backing: str | None
    options: tuple[str, ...]
    descriptors: tuple[int, ...]
    half: int

    def take(self, count: int) -> bytes:
        """The first `count` bytes of the output."""

    def answer(self, piece: bytes) -> None:
        """Put `piece`, at most half a window, as input, and let the firmware go on."""


@contextmanager
def open_window(found: Machine, folder: Path, first: bytes) -> Iterator[Window]:
    """The machine's window with `first` as input; its files are made in `folder`."""
    if found.window.backing is not None:
        with _Mapped(found.window, folder / "memory.bin") as mapped:
            mapped.answer(first)
            yield mapped
    else:
        (folder / "window.bin").write_bytes(_answer(first).ljust(HEAD, b"\0") + first)
        with _Copied(found, folder) as copied:
            yield copied


def _answer(piece: bytes) -> bytes:
    return struct.pack("<I", 1 + len(piece))


class _Mapped:
    """A file that is the machine's main memory, of which this process maps the window."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()

    def __init__(self, place: Place, file: Path) -> None:
        assert place.backing is not None
        start, size = place.backing
        self.place, self.half = place, place.half
        self.backing: str | None = file.name
        with file.open("w+b") as memory:
            memory.truncate(size)
            self._map = mmap.mmap(memory.fileno(), place.bytes, offset=place.origin - start)

    def __enter__(self) -> _Mapped:
        return self

    def __exit__(self, *error: object) -> None:
        self._map.close()

    def take(self, count: int) -> bytes:
        start = CODE + HEAD + self.half
        return self._map[start : start + count]

    def answer(self, piece: bytes) -> None:
        self._map[CODE + HEAD : CODE + HEAD + len(piece)] = piece
        self._map[CODE : CODE + 4] = _answer(piece)  # last: the firmware waits for it


class _Copied:
    """Memory of a machine that no file can back: loaded at the start, copied out at the end."""

    backing: str | None = None

    def __init__(self, found: Machine, folder: Path) -> None:
        self.found, self.half, self.folder = found, found.window.half, folder
        self._line, other = socket.socketpair()
        self._line.settimeout(ANSWER_S)
        self._other = other
        self.descriptors: tuple[int, ...] = (other.fileno(),)
        self.options: tuple[str, ...] = (
            "-device",
            f"loader,file=window.bin,addr={found.window.state:#x},force-raw=on",
            "-chardev", f"socket,id=copy,fd={other.fileno()}", "-mon", "copy,mode=control",
        )  # fmt: skip

    def __enter__(self) -> _Copied:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()
        self._other.close()

    def take(self, count: int) -> bytes:
        start = self.found.window.data + self.half
        with self._line.makefile("rb") as answers:
            self._order("qmp_capabilities", {}, answers)
            arguments = {"val": start, "size": count, "filename": "taken.bin"}
            self._order("memsave", arguments, answers)
        return (self.folder / "taken.bin").read_bytes()

    def _order(self, command: str, arguments: dict[str, Any], answers: Any) -> None:
        """One order to QEMU (QMP), carried out when this returns."""
        order = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._line.sendall(order.encode())
            for line in answers:
                if b'"return"' in line:
                    return
                if b'"error"' in line:
                    break
        except OSError:
            pass
        raise fail(ToolError, self._where(), f"does not write out its memory ({command})")

    def answer(self, piece: bytes) -> None:
        what = f"the run's output is above the {self.found.window.half} bytes of its memory"
        raise fail(DataError, self._where(), what, "take fewer samples or steps at a time")

    def _where(self) -> str:
        return f"{self.found.binary} -M {self.found.name}"
