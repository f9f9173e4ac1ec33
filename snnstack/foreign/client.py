"""The one reading process of this one: started when it is needed, ended when it misbehaves."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snnstack.errors import ToolError, fail
from snnstack.foreign.wire import packed, unpacked
from snnstack.process import kill_group, launch

START = "import sys; sys.path[:] = {path!r}; from snnstack.foreign.worker import main; main()"
PIPE = 2**20
"""Bytes that wait between the processes, where the system allows it."""


class Gone(Exception):
    """The process ended without an answer; `status` as `subprocess` has it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Late(Exception):
    """No answer in time."""


class Worker:
    """A reading process. After any exception it has ended."""

    def __init__(self, preload: Sequence[str]) -> None:
        """Starts it; ToolError where the system does not let us."""
        code, pipe = START.format(path=_module_path()), subprocess.PIPE
        argv = [sys.executable, "-S", "-c", code, *preload]
        try:
            self.process = launch(
                argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0,
                env=_environment(),
            )  # fmt: skip
        except (OSError, ValueError) as error:
            what = f"the process that reads files cannot be started: {error}"
            raise fail(ToolError, "reader", what, "--trust reads them without one") from error
        source, sink = self.process.stdout, self.process.stdin
        assert source is not None and sink is not None
        self.source, self.sink = source, sink
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import fcntl

            fcntl.fcntl(source.fileno(), fcntl.F_SETPIPE_SZ, PIPE)

    def ask(self, question: dict[str, Any], patience: float, most: int) -> Any:
        """The answer, of at most `most` bytes. `Gone`, `Late`, or ValueError for nonsense."""
        until = time.monotonic() + patience
        try:
            self._send(b"".join(packed(question)))
            return unpacked(lambda size: self._exactly(size, until), most)
        except (BrokenPipeError, EOFError):
            raise Gone(self._status()) from None
        except BaseException:
            self.end()
            raise

    def _send(self, message: bytes) -> None:
        view = memoryview(message)
        while view:
            view = view[os.write(self.sink.fileno(), view) :]

    def _exactly(self, size: int, until: float) -> bytearray:
        found = bytearray(size)
        view, at = memoryview(found), 0
        waiting = select.poll()
        waiting.register(self.source, select.POLLIN | select.POLLHUP)
        while at < size:
            if not waiting.poll(max(0.0, 1e3 * (until - time.monotonic()))):
                raise Late
            count = os.readv(self.source.fileno(), [view[at:]])
            if not count:
                raise EOFError
            at += count
        return found

    def _status(self) -> int:
        """How the process ended; it has closed its answers, so it is about to."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.end()
        return self.process.returncode

    def end(self) -> None:
        """Nothing of it is left."""
        kill_group(self.process)
        self.source.close()
        with contextlib.suppress(OSError):
            self.sink.close()

    def forget(self) -> None:
        """In a forked child: the process is another's, and goes on."""
        self.process.returncode = 0
        self.source.close()
        with contextlib.suppress(OSError):
            self.sink.close()


def _module_path() -> list[str]:
    """Where this process finds modules, but never the folder it happens to be in."""
    own = str(Path(__file__).resolve().parents[2])
    return list(dict.fromkeys([own, *(str(Path(p)) for p in sys.path if p)]))


def _environment() -> dict[str, str]:
    """That of this process; Python's own settings and HDF5's plug-ins stay outside."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    no_plugins = {"HDF5_PLUGIN_PRELOAD": "::", "HDF5_PLUGIN_PATH": os.devnull}
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return kept | no_plugins | one_thread


class _Current:
    """The process in use, and who may talk to it: one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.worker: Worker | None = None

    def end(self) -> None:
        if self.worker is not None:
            self.worker.end()
            self.worker = None

    def forget(self) -> None:
        if self.worker is not None:
            self.worker.forget()
        self.lock, self.worker = threading.Lock(), None


_CURRENT = _Current()
atexit.register(_CURRENT.end)
os.register_at_fork(after_in_child=_CURRENT.forget)


def prepare(*modules: str) -> None:
    """Start the process now if there is none, so that it is ready when something is to be read."""
    with _CURRENT.lock:
        if _CURRENT.worker is None:
            _CURRENT.worker = Worker(modules)


def ask(question: dict[str, Any], patience: float, most: int) -> Any:
    """The answer of the process; `Gone`, `Late` or ValueError, and then there is no process."""
    with _CURRENT.lock, _cleared():
        if _CURRENT.worker is not None:
            try:
                return _CURRENT.worker.ask(question, patience, most)
            except Gone as gone:
                # A process that nobody asked for a while has ended by itself, without a fault.
                if gone.status:
                    raise
        _CURRENT.worker = Worker(())
        return _CURRENT.worker.ask(question, patience, most)


@contextlib.contextmanager
def _cleared() -> Iterator[None]:
    try:
        yield
    except BaseException:
        _CURRENT.end()
        raise
