"""Processes: how many there is room for, and tools in their own, none of which outlives this one.

What this process starts is ended with it however it ends, `kill -9` and the kernel's want of
memory included: a shell of a few kilobytes, started before the first tool, is told by a pipe which
process groups live. The pipe's end is the end of this process; the shell then kills what is left.
"""

from __future__ import annotations

import atexit
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

GUARD = """
trap '' INT TERM HUP
live=
while read -r sign group; do
  left=
  for one in $live; do [ "$one" = "$group" ] || left="$left $one"; done
  live=$left
  if [ "$sign" = + ]; then live="$live $group"; fi
done
for one in $live; do kill -KILL "-$one"; done
"""
"""Reads `+ GROUP` and `- GROUP`, a line each, until nobody can write any more."""
SHELL = "/bin/sh"
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
    where = Path(argv[0]).name
    try:
        done = completed(argv, timeout_s=timeout_s, cwd=cwd)
    except subprocess.TimeoutExpired as error:
        raise fail(ToolError, where, f"did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        what = f"failed with status {done.returncode}: {last_lines(done.stderr or done.stdout)}"
        raise fail(ToolError, where, what)
    return done.stdout


def completed(
    argv: Sequence[str], *, timeout_s: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A command's status and what it printed; `subprocess.TimeoutExpired` if it hangs."""
    pipe = subprocess.PIPE
    with started(
        argv, cwd=cwd, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:  # fmt: skip
        output, errors = process.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


@contextmanager
def started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process in a session of its own, without input; nothing of it is left afterwards.

    `options` are those of `subprocess.Popen`. What still runs at the end is killed, with all it
    started, also where a signal comes while the process is being made.
    """
    process = None
    try:
        with _signals_wait():  # until it has a name here
            process = launch(argv, stdin=subprocess.DEVNULL, **options)
        yield process
    finally:
        if process is not None:
            with process:
                kill_group(process)


def launch(argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """A process in a session of its own that this one's end, whatever its cause, ends as well.

    The one place where this program starts processes. The caller ends it with `kill_group`.
    """
    process: subprocess.Popen[Any] | None = None
    try:
        with _signals_wait():
            _GUARD.ready()
            process = subprocess.Popen(argv, start_new_session=True, **options)
            _GUARD.tell("+", process.pid)
    except BaseException:  # a signal that waited: nobody would know of the process
        if process is not None:
            with process:
                kill_group(process)
        raise
    return process


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that end this process act at the end of the block: in it, a child could be lost.

    Each handler is put back on every way out, also where another signal comes meanwhile. Blocks
    can stand within each other; in other threads no handler runs, and there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    with contextlib.ExitStack() as undo:
        undo.callback(_act_on, caught)
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):
                undo.callback(signal.signal, number, handler)
                signal.signal(number, lambda came, frame: caught.append(came))
        yield


def _act_on(caught: list[int]) -> None:
    for number in caught:
        signal.raise_signal(number)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End what `launch` or `started` made, and all it started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _GUARD.tell("-", process.pid)


class _Guard:
    """The shell that outlives this process by a moment, and the pipe to it."""

    def __init__(self) -> None:
        self.lock, self.pid, self.pipe = threading.Lock(), 0, -1

    def ready(self) -> None:
        """Start it if it is not there; without a shell, nothing watches."""
        with self.lock:
            if self.pipe >= 0 or not os.path.exists(SHELL):
                return
            source, self.pipe = os.pipe()
            nowhere = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
            actions = [(os.POSIX_SPAWN_DUP2, source, 0), *nowhere]
            argv = [SHELL, "-c", GUARD]
            self.pid = os.posix_spawn(SHELL, argv, {}, file_actions=actions, setpgroup=0)
            os.close(source)

    def tell(self, sign: str, group: int) -> None:
        """One line; shorter than what a pipe takes in one piece, so threads do not mix."""
        if self.pipe >= 0:
            with contextlib.suppress(OSError):
                os.write(self.pipe, f"{sign} {group}\n".encode())

    def end(self) -> None:
        """At the end of this process: whatever it still knows is killed now."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)

    def forget(self) -> None:
        """In a forked child: the guard is another's, and must not wait for this one's end."""
        if self.pipe >= 0:
            os.close(self.pipe)
        self.lock, self.pid, self.pipe = threading.Lock(), 0, -1


_GUARD = _Guard()
atexit.register(_GUARD.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GUARD.forget)


def end_with_parent() -> None:
    """In a worker of `multiprocessing`: when the process that made it is gone, so is this one."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


def last_lines(text: str, count: int = 12) -> str:
    """The end of a tool's output, as one short text."""
    return "\n".join(text.strip().splitlines()[-count:]) or "no output"
