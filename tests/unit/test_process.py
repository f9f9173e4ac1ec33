"""Processes that are started are ended, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from snnstack.errors import ToolError
from snnstack.process import execute, started

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[Any]]:
    """Every process that is made; while it is made, this one gets SIGINT."""
    made: list[subprocess.Popen[Any]] = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # here Python would run its handler

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    return made


def test_a_signal_while_a_process_is_made_ends_it_too(
    children: list[subprocess.Popen[Any]],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), started(SLEEP):
        pytest.fail("the signal must come first")
    assert [child.returncode for child in children] == [-signal.SIGKILL]
    assert signal.getsignal(signal.SIGINT) is before


def gone(number: int) -> bool:
    """Whether a process ends within 10 s; a killed one does so only when it is next scheduled."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{number}/stat").read_text().split()[2] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({list(SLEEP)!r})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with (
        pytest.raises(RuntimeError),
        started((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True) as process,
    ):
        grandchild = int(process.stdout.readline())
        raise RuntimeError
    assert process.returncode == -signal.SIGKILL
    assert gone(grandchild)


def test_a_tool_that_hangs_is_named() -> None:
    with pytest.raises(ToolError) as error:
        execute(SLEEP, timeout_s=0.2)
    assert str(error.value) == f"{Path(sys.executable).name}: did not end within 0.2 s"
