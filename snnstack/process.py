"""Processes: how many there is room for, and a tool in one of its own, bounded in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snnstack.errors import ToolError, fail

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals on which this process unwinds."""


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def execute(argv: Sequence[str], *, timeout_s: float, cwd: Path | None = None) -> str:
    """Standard output of a command; `ToolError` with its last lines if it fails or hangs.

    On a timeout, or when this process is interrupted, its whole process group is killed.
    """
    where, pipe = Path(argv[0]).name, subprocess.PIPE
    with started(
        argv, cwd=cwd, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise fail(ToolError, where, f"did not end within {timeout_s:g} s") from error
    printed: str = output
    if process.returncode != 0:
        what = f"failed with status {process.returncode}: {last_lines(errors or output)}"
        raise fail(ToolError, where, what)
    return printed


@contextmanager
def started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process in a session of its own, without input; nothing of it is left afterwards.

    `options` are those of `subprocess.Popen`. What still runs at the end is killed, with all it
    started, also where a signal comes while the process is being made.
    """
    process = None
    try:
        with _signals_wait():
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, start_new_session=True, **options
            )
        yield process
    finally:
        if process is not None:
            with process:
                kill_group(process)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that end this process act at the end of the block: in it, a child could be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in handlers.items():
        if handler not in (None, signal.SIG_IGN):
            signal.signal(number, lambda came, frame: caught.append(came))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler not in (None, signal.SIG_IGN):
                signal.signal(number, handler)
        for number in caught:
            signal.raise_signal(number)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process started in a session of its own, and all it started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_lines(text: str, count: int = 12) -> str:
    """The end of a tool's output, as one short text."""
    return "\n".join(text.strip().splitlines()[-count:]) or "no output"
