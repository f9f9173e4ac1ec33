"""Processes that are started are ended, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snnstack.errors import ToolError
from snnstack.frontends.nir import write
from snnstack.process import ENDING, _signals_wait, execute, launch, started
from tests.cli.calls import small

ROOT = Path(__file__).resolve().parents[2]
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C raises, also where these tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch, heard: None) -> list[subprocess.Popen[Any]]:
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


def test_a_signal_while_a_process_is_launched_leaves_none(
    children: list[subprocess.Popen[Any]],
) -> None:
    with pytest.raises(KeyboardInterrupt):
        launch(SLEEP)
    assert [child.returncode for child in children] == [-signal.SIGKILL]


@pytest.mark.parametrize("which", range(1, 7))
def test_a_signal_at_any_change_of_handlers_puts_all_of_them_back(
    monkeypatch: pytest.MonkeyPatch, heard: None, which: int
) -> None:
    """Three handlers are taken away and put back; a signal comes after each of these changes."""
    made: list[int] = []
    real, before = signal.signal, [signal.getsignal(number) for number in ENDING]
    real(signal.SIGTERM, signal.default_int_handler)
    real(signal.SIGHUP, signal.default_int_handler)
    mine = [signal.getsignal(number) for number in ENDING]

    def changed(number: int, handler: Any) -> Any:
        found = real(number, handler)
        made.append(number)
        if len(made) == which:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        return found

    try:
        with monkeypatch.context() as patch:
            patch.setattr(signal, "signal", changed)
            with pytest.raises(KeyboardInterrupt), _signals_wait():
                pass
        assert [signal.getsignal(number) for number in ENDING] == mine
    finally:
        for number, handler in zip(ENDING, before, strict=True):
            real(number, handler)


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


def alive(mark: str) -> list[int]:
    """Processes, other than zombies, whose environment has `mark`; what they start inherits it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"MARK={mark}".encode() in (place / "environ").read_bytes().split(b"\0")
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marked and state != "Z":
            found.append(int(place.name))
    return found


def comes(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether `condition` holds within some time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def named(number: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def killed(code: str, child: str, count: int, mark: str) -> None:
    """Python that runs `code` gets SIGKILL when `count` of `child` run: none is left."""
    path = os.pathsep.join(map(str, (ROOT, *sys.path)))
    environment = {**os.environ, "PYTHONPATH": path, "MARK": mark}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:

        def running() -> bool:
            children = [n for n in alive(mark) if n != parent.pid and child in named(n)]
            return parent.poll() is not None or len(children) >= count

        try:
            assert comes(running)
            assert parent.poll() is None, "it ended before it was killed"
        finally:
            parent.kill()
    assert comes(lambda: not alive(mark), 10), [named(n) for n in alive(mark)]


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@linux
def test_a_killed_process_leaves_nothing_that_it_started(tmp_path: Path) -> None:
    nested = "import subprocess; subprocess.run(['sleep', '61'])"
    code = (
        "import sys, time\n"
        "from snnstack.process import launch, started\n"
        f"argv = [sys.executable, '-c', {nested!r}]\n"
        "with started(argv), started(argv):\n"
        "    launch(argv)\n"
        "    time.sleep(60)\n"
    )
    killed(code, "sleep 61", 3, tmp_path.name)


@linux
def test_a_killed_process_leaves_no_reader_that_is_busy(tmp_path: Path) -> None:
    code = (
        "from snnstack.foreign.client import ask\n"
        "question = {'function': 'time:sleep', 'arguments': [60], 'limits': [60, 1000]}\n"
        "ask(question, 60.0, 1000)\n"
    )
    killed(code, "snnstack.foreign.worker", 1, tmp_path.name)


@linux
@pytest.mark.needs_qemu
def test_a_killed_verify_leaves_no_machine(tmp_path: Path) -> None:
    write(small(), tmp_path / "m.nir")
    code = (
        "import numpy as np, snnstack\n"
        f"program = snnstack.compile({str(tmp_path / 'm.nir')!r}, 'microbit-v1')\n"
        "x = np.ones((400, 100, 3), np.uint8)\n"
        "snnstack.verify(program, x)\n"
    )
    killed(code, "qemu-system", 1, tmp_path.name)


def test_a_watched_start_costs_little() -> None:
    quick = ["/bin/sh", "-c", ":"]

    def seconds(start: Callable[[], subprocess.Popen[Any]]) -> float:
        before = time.perf_counter()
        start().wait()
        return time.perf_counter() - before

    launch(quick).wait()  # the guard is there from now on
    extra = [
        seconds(lambda: launch(quick)) - seconds(lambda: subprocess.Popen(quick)) for _ in range(31)
    ]
    assert statistics.median(extra) < 0.005


def test_nothing_else_starts_processes() -> None:
    starting = re.compile(
        r"subprocess\.(Popen|run|call|check_\w+|getoutput|getstatusoutput)\s*\("
        r"|os\.(system|popen|fork|forkpty|exec\w*|spawn\w*|posix_spawn\w*)\s*\("
        r"|from subprocess import|create_subprocess|pty\.(fork|spawn)"
    )
    files = [
        path
        for folder in ("snnstack", "backends", "compilers", "emulators")
        for path in (ROOT / folder).rglob("*.py")
        if path.is_relative_to((ROOT / folder).resolve())
    ]
    assert len(files) > 200
    found = {p.relative_to(ROOT).as_posix() for p in files if starting.search(p.read_text())}
    assert found == {"snnstack/process.py"}
