"""The process: what is imported, how it is interrupted, where its output goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calls import Refused

HEAVY = {"torch", "numba", "scipy", "h5py", "nir", "rich", "jinja2", "onnx"}
SNNSTACK = (sys.executable, "-c", "from snnstack.cli import main; main()")


def imported(code: str) -> set[str]:
    """Top-level names of all modules after `code`, its own output taken away."""
    shown = (
        "import contextlib, io, sys\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {code}\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", shown], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import snnstack",
        "import snnstack.cli; snnstack.cli.main(['--help'])",
        "import snnstack.cli; snnstack.cli.main(['bench', '--help'])",
        "import snnstack.cli; snnstack.cli.main(['--version'])",
        "import snnstack.cli; snnstack.cli.main(['boards', '--json'])",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert imported(code) & HEAVY == set()


def test_help_needs_no_numpy() -> None:
    assert "numpy" not in imported("import snnstack.cli; snnstack.cli.main(['--help'])")


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*SNNSTACK, "boards", "--json"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("boards", "--json"), ("boards",)])
def test_a_full_device_is_said_once(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*SNNSTACK, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (result.returncode, result.stderr) == (1, "error: No space left on device\n")


@pytest.fixture
def long_run(tmp_path: Path, program: Path) -> Iterator[tuple[str, ...]]:
    """Arguments of a verification that takes minutes."""
    np.savez_compressed(tmp_path / "long.npz", x=np.ones((3000, 500, 3), np.uint8))
    (tmp_path / "tmp").mkdir()
    yield ("verify", str(program), "--data", str(tmp_path / "long.npz"))


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 1, "interrupted: nothing was written"),
        (signal.SIGTERM, 128 + signal.SIGTERM, ""),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_interrupted_run_leaves_nothing_behind(
    long_run: tuple[str, ...], tmp_path: Path, number: int, status: int, message: str
) -> None:
    before = {p for p in tmp_path.rglob("*")}
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        [*SNNSTACK, *long_run], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        simulator = _wait_for_simulator(tmp_path / "tmp")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (status, "", message)
    assert {p for p in tmp_path.rglob("*")} == before
    assert not Path(f"/proc/{simulator}").exists()


def _wait_for_simulator(folder: Path) -> int:
    """The process id of the QEMU that runs inside `folder`."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                inside = (process / "cwd").resolve(strict=True).is_relative_to(folder)
                if inside and b"qemu-system" in (process / "cmdline").read_bytes():
                    return int(process.name)
            except OSError:
                continue
        time.sleep(0.05)
    raise TimeoutError("no QEMU was started")


@pytest.mark.parametrize("verb", ["compile", "bench", "emulate"])
def test_ctrl_c_writes_nothing(
    refused: Refused, verb: str, model: Path, data: Path, program: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snnstack.integers.quantise", interrupted)
    monkeypatch.setattr("snnstack.running.emulator", interrupted)
    before = sorted(tmp_path.rglob("*"))
    arguments = {
        "compile": ("compile", model, "--board", "microbit-v1", "-o", tmp_path / "p"),
        "bench": ("bench", model, "--board", "microbit-v1", "--data", data),
        "emulate": ("emulate", program, "--data", data, "-o", tmp_path / "t.npz"),
    }
    assert refused(*arguments[verb]).strip() == "interrupted: nothing was written"
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_after_writing_says_what_was_written(
    refused: Refused, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snnstack.cli.program.show_build", interrupted)
    message = refused("compile", model, "--board", "microbit-v1", "-o", tmp_path / "p")
    assert message.strip() == "interrupted: p was written"
    assert (tmp_path / "p" / "manifest.json").is_file()


def test_ctrl_c_in_the_middle_of_writing_removes_what_was_there(
    refused: Refused, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = Path.write_bytes, []

    def interrupted(self: Path, content: bytes) -> int:
        written.append(self)
        if len(written) > 3:
            raise KeyboardInterrupt
        return real(self, content)

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(Path, "write_bytes", interrupted)
    message = refused("compile", model, "--board", "microbit-v1", "-o", tmp_path / "p")
    assert message.strip() == "interrupted: nothing was written"
    assert sorted(tmp_path.rglob("*")) == before
