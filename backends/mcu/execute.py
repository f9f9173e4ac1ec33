"""An image in QEMU, which reaches nothing here but a console that is read and a window of memory.

The protocol of the console stands in the emitted `qemu/host.h`. Whatever comes over it is data of
a stranger: its length is bounded, and a request that makes no sense ends the run.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from snnstack.backends.mcu.qemu import Machine, require, sandbox
from snnstack.backends.mcu.window import Window, open_window
from snnstack.errors import DataError, SnnstackError, ToolError, fail
from snnstack.process import last_lines, started

TEXT_BYTES = 16 * 1024 * 1024
"""Console output above which a run is ended."""
_LOG = "qemu.log"
_REQUEST = re.compile(rb"[\x01\x02]([0-9a-f]{8})|\x03|\x04([0-9])")
_LENGTHS = {1: 9, 2: 9, 3: 1, 4: 2}
_CONTROL = re.compile(rb"[\x01-\x04]")

Shown = Callable[[str], None]


@dataclass(frozen=True)
class Ran:
    """What an image printed, and the output it wrote into its window."""

    text: str
    output: bytes


def execute_qemu(
    found: Machine,
    elf: Path,
    timeout_s: float,
    shown: Shown | None = None,
    *,
    data: bytes = b"",
    room: int = 0,
    counted: bool = True,
    more: Sequence[str] = (),
) -> Ran:
    """Run an image, whose folder must be one of its own, until it ends with status 0.

    `data`: what it may read; `room`: bytes that it may write. `shown` is called with all console
    text so far whenever there is more. `counted`: as for `Machine.argv`; `more`: its options.
    Raises `ToolError` if QEMU is missing, on a fault, a timeout or another status, `DataError` if
    the machine's memory is too small for `data`.
    """
    require(found)
    half, where = found.window.half, f"{found.binary} -M {found.name}"
    if found.window.backing is None and len(data) > half:
        what = f"the run's input has {len(data)} bytes, its memory takes {half}"
        raise fail(DataError, where, what, "take fewer samples or steps at a time")
    pieces = iter([data[k : k + half] for k in range(0, len(data), half)])
    with open_window(found, elf.parent, next(pieces, b"")) as window:
        argv = [*found.argv(elf.name, window.backing, counted=counted), *window.options, *more]
        desk = _Desk(where, window, pieces, room, shown)
        with (elf.parent / _LOG).open("wb") as log, started(
            [*argv, *sandbox(found.binary)], cwd=elf.parent, stdout=subprocess.PIPE, stderr=log,
            pass_fds=window.descriptors,
        ) as process:  # fmt: skip
            in_time = _serve(process, desk, timeout_s)
            if desk.status is None and in_time:
                desk.status = process.wait() or -1
    if desk.status == 0:
        return Ran(desk.text, b"".join(desk.output))
    raise _failure(desk, elf.parent / _LOG, timeout_s)


def _failure(desk: _Desk, log: Path, timeout_s: float) -> SnnstackError:
    """Why there is no result, with the end of what was said."""
    # A network card that is not connected is no news.
    lines = log.read_text(errors="replace")[-4000:].splitlines()
    said = "\n".join(line for line in lines if ": warning: nic " not in line)
    printed = desk.text[-2000:].rstrip() + "\n" + said
    end = f"last output: {last_lines(printed)}"
    if desk.status is None:
        return fail(ToolError, desk.where, f"did not end within {timeout_s:g} s; {end}")
    if desk.status < 0:
        return fail(ToolError, desk.where, f"ended before the firmware said so; {end}")
    return fail(ToolError, desk.where, f"failed with status {desk.status}; {end}")


class _Desk:
    """Reads the console, answers its requests and keeps what came."""

    def __init__(
        self, where: str, window: Window, pieces: Iterator[bytes], room: int, shown: Shown | None
    ) -> None:
        self.where, self.window, self.pieces, self.shown = where, window, pieces, shown
        self.text, self.output = "", list[bytes]()
        self.status: int | None = None
        self._room, self._rest = room, b""

    def hear(self, more: bytes) -> None:
        """What came next over the console."""
        rest, before = self._rest + more, len(self.text)
        while self.status is None and (control := _CONTROL.search(rest)):
            self._say(rest[: control.start()])
            rest = rest[control.start() :]
            length = _LENGTHS[rest[0]]
            if len(rest) < length:
                break
            self._do(rest[:length])
            rest = rest[length:]
        else:
            self._say(rest)
            rest = b""
        self._rest = rest
        if self.shown is not None and len(self.text) > before:
            self.shown(self.text)

    def _say(self, text: bytes) -> None:
        self.text += text.decode(errors="replace")
        if len(self.text) > TEXT_BYTES:
            raise fail(ToolError, self.where, f"printed more than {TEXT_BYTES} bytes")

    def _do(self, request: bytes) -> None:
        match = _REQUEST.fullmatch(request)
        if match is None:
            what = f"asked for {request!r}, which is no request"
            raise fail(ToolError, self.where, what)
        if request[0] == 4:
            self.status = int(match[2])
        elif request[0] == 3:
            self.window.answer(next(self.pieces, b""))
        else:
            self._take(int(match[1], 16))
            if request[0] == 2:
                self.window.answer(b"")

    def _take(self, count: int) -> None:
        """Bytes of the output, no more than the run may write and the window holds."""
        most = min(self._room, self.window.half)
        if count > most:
            raise fail(ToolError, self.where, f"wrote {count} bytes where {most} can be")
        self._room -= count
        self.output.append(self.window.take(count))


def _serve(process: subprocess.Popen[bytes], desk: _Desk, timeout_s: float) -> bool:
    """Hear the console until the firmware or QEMU ends; whether that was in time."""
    assert process.stdout is not None
    pipe, end = process.stdout.fileno(), time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0 and selector.select(timeout=left):
            more = os.read(pipe, 65536)
            if not more:
                return True
            desk.hear(more)
            if desk.status is not None:
                return True
    return False
