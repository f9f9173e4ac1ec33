"""The host's side of `include/<net>_link.h`: one request, one answer, every answer checked."""

from __future__ import annotations

import os
import select
import struct
import termios
import time
import tty
import zlib
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.events import input_bytes, probe_mask, words_in_memory
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.packaging import program_id
from snnstack.backends.mcu.program import Program
from snnstack.errors import ToolError, fail
from snnstack.trace import Spikes

BAUD = 115200
TRIES = 3
"""Times a request whose checksum arrived wrong is sent."""
_HELLO = b"SNN1"


class Link:
    """A serial line, raw and without flow control; a context manager.

    `port`: a device such as /dev/ttyACM0. `ToolError` if it cannot be opened.
    """

    def __init__(self, port: str, *, timeout_s: float = 10.0) -> None:
        self.port, self.timeout_s = port, timeout_s
        try:
            self._file = os.open(port, os.O_RDWR | os.O_NOCTTY)
            self._raw()
        except (OSError, termios.error) as error:
            what = f"cannot be opened: {error.args[-1]}"
            hint = "connect the board; on Linux your user must be in the group dialout"
            raise fail(ToolError, f"port {port}", what, hint) from error

    def _raw(self) -> None:
        tty.setraw(self._file)
        mode = termios.tcgetattr(self._file)
        mode[4] = mode[5] = termios.B115200
        termios.tcsetattr(self._file, termios.TCSANOW, mode)
        termios.tcflush(self._file, termios.TCIOFLUSH)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        os.close(self._file)

    def send(self, data: bytes) -> None:
        """All of `data`."""
        while data:
            data = data[os.write(self._file, data) :]

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; `ToolError` if they do not come in time."""
        found, end = b"", time.monotonic() + self.timeout_s
        while len(found) < count:
            ready = select.select([self._file], [], [], max(0.0, end - time.monotonic()))[0]
            try:
                more = os.read(self._file, count - len(found)) if ready else b""
            except OSError:  # a port that was pulled, or a closed pseudo-terminal
                more = b""
            if not more:
                what = f"answered {len(found)} of {count} bytes within {self.timeout_s:g} s"
                hint = "does the board run the emitted Device sketch, at 115200 baud?"
                raise fail(ToolError, f"port {self.port}", what, hint)
            found += more
        return found


def exchange(
    link: Link,
    program: Program,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]],
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """The content of a trace.bin (see `events`), one step after the other from the board."""
    _greet(link, program)
    masks = [probe_mask(layer, probes) for layer in program.layers]
    _ask(link, b"P" + np.array(masks, dtype="<u4").tobytes(), "K")
    session = _Session(link, program, masks)
    elements, per_step = words_in_memory(program, spikes)
    steps = np.split(elements, np.cumsum(per_step)[:-1])
    parts: list[bytes] = []
    for sample in range(spikes.batch):
        _ask(link, b"R", "K")
        cycles = np.zeros(1 + len(program.layers), dtype="<i8")
        for step in range(spikes.steps):
            body, spent = session.step(steps[sample * spikes.steps + step])
            parts.append(body)
            cycles += spent
        parts.append(cycles.tobytes())
        if progress is not None:
            progress(sample + 1, spikes.batch)
    return b"".join(parts)


def _greet(link: Link, program: Program) -> None:
    """`ToolError` unless the board runs exactly this program."""
    link.send(b"H")
    hello = link.receive(16)
    if hello[:4] != _HELLO:
        what = f"answered {hello[:4]!r}, expected {_HELLO!r}"
        raise fail(ToolError, f"port {link.port}", what, "load the emitted Device sketch")
    found, layers, width = struct.unpack("<3I", hello[4:])
    wanted = program_id(emit(program))
    if (found, layers) != (wanted, len(program.layers)):
        what = f"the board runs program {found:08x}, expected {wanted:08x}"
        raise fail(ToolError, f"port {link.port}", what, "load the Device sketch of this directory")
    if width != input_bytes(program):
        what = f"the board's events have {width} bytes, expected {input_bytes(program)}"
        raise fail(ToolError, f"port {link.port}", what, "load the Device sketch of this directory")


def _ask(link: Link, request: bytes, expected: str) -> None:
    link.send(request)
    answer = link.receive(1).decode("ascii", "replace")
    if answer != expected:
        what = f"answered {answer!r} to {request[:1].decode()!r}, expected {expected!r}"
        raise fail(ToolError, f"port {link.port}", what)


class _Session:
    """Steps of one program over one link."""

    def __init__(self, link: Link, program: Program, masks: list[int]) -> None:
        self.link, self.program, self.masks = link, program, masks
        self.event = plan(program).event_bits // 8

    def step(self, events: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]:
        """(what trace.bin holds of the step, cycles of the parts)."""
        body = (
            struct.pack("<I", len(events))
            + events.astype(f"<u{input_bytes(self.program)}").tobytes()
        )
        request = b"S" + body + struct.pack("<I", zlib.crc32(body))
        for _ in range(TRIES):
            self.link.send(request)
            answer = self.link.receive(1)
            if answer == b"K":
                return self._answer()
            if answer == b"N":
                what = f"a step has {len(events)} events, more than the board's buffer holds"
                hint = "make `events` in the Device sketch larger"
                raise fail(ToolError, f"port {self.link.port}", what, hint)
        what = f"the checksum of a step was wrong {TRIES} times"
        raise fail(ToolError, f"port {self.link.port}", what, "check the cable and the baud rate")

    def _answer(self) -> tuple[bytes, NDArray[np.int64]]:
        parts = []
        for layer, mask in zip(self.program.layers, self.masks, strict=True):
            count = self.link.receive(4)
            fired = struct.unpack("<I", count)[0]
            if fired > layer.n:
                what = f"{layer.name} sent {fired} spikes, it has {layer.n} neurons"
                raise fail(ToolError, f"port {self.link.port}", what)
            states = mask.bit_count()
            each = self.event + 2 * bool(layer.payload)
            parts.append(count + self.link.receive(fired * each + states * 4 * layer.n))
        body = b"".join(parts)
        cycles = self.link.receive(4 * (1 + len(self.masks)))
        if struct.unpack("<I", self.link.receive(4))[0] != zlib.crc32(body + cycles):
            what = "the checksum of an answer is wrong"
            raise fail(ToolError, f"port {self.link.port}", what, "check the cable, run again")
        return body, np.frombuffer(cycles, dtype="<u4").astype(np.int64)
