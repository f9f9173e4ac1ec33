"""Processes: how many there is room for, and a tool in one of its own, bounded in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snnstack.errors import ToolError, fail


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
    with subprocess.Popen(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            kill_group(process)
            raise fail(ToolError, where, f"did not end within {timeout_s:g} s") from error
        except BaseException:
            kill_group(process)
            raise
    if process.returncode != 0:
        what = f"failed with status {process.returncode}: {last_lines(errors or output)}"
        raise fail(ToolError, where, what)
    return output


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process started in a session of its own, and all it started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_lines(text: str, count: int = 12) -> str:
    """The end of a tool's output, as one short text."""
    return "\n".join(text.strip().splitlines()[-count:]) or "no output"
