"""Runs samples on the board itself and brings spikes, states and cycles back to be compared.

Two ways: through a debug probe, where the same test program that runs in QEMU reads and writes
the files of this computer (semihosting); or over a serial line to a board that serves the
protocol of `include/<net>_link.h`, for example the emitted Arduino sketch *Device*.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from snnstack.backends.mcu.emit import emit, environment, first_line
from snnstack.backends.mcu.events import decode, encode, largest_step
from snnstack.backends.mcu.flash import choose, failed, not_installed
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.hardware_types import Runner
from snnstack.backends.mcu.image import intel_hex, segments
from snnstack.backends.mcu.link import Link, exchange
from snnstack.backends.mcu.packaging import package_files
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import board_sources, check_run, library_sources
from snnstack.backends.mcu.toolchain import build, find
from snnstack.board import Board
from snnstack.errors import TargetError, ToolError, fail
from snnstack.files import write_directory
from snnstack.process import last_lines, started
from snnstack.target import Way
from snnstack.trace import Counts, Spikes, Trace

Progress = Callable[[int, int], None]
SAMPLE_DONE = "done\n"
"""What the test program prints after each sample."""
GRACE_S = 2.0
"""How long a probe's tool may take to end after the last sample."""


def run_on_board(
    program: Program,
    spikes: Spikes,
    board: str,
    *,
    probes: Sequence[tuple[str, str]] = (),
    port: str | None = None,
    tool: str | None = None,
    toolchain: str | None = None,
    timeout_s: float = 600.0,
    progress: Progress | None = None,
) -> Trace:
    """What the board does with `spikes`, from a fresh state per sample, as `run` returns it.

    `board` must be the program's own. With `port` (a serial device) the board runs firmware of
    its own that serves the link; otherwise `tool` (pyocd or openocd) loads a test program.
    `counts` hold "cycles" per layer, 0 where the firmware does not count.

    Raises `TargetError` for another board or tool, `DataError` if the spikes do not fit,
    `ToolError` if a tool or the board is missing, fails or does not answer in time.
    """
    if board != program.board.name:
        what = f"the program was compiled for {program.board.name}"
        hint = f"compile the model again with --board {board}"
        raise fail(TargetError, f"board {board}", what, hint)
    check_run(program, spikes, probes)
    if port is not None:
        return _over_serial(program, spikes, probes, port, timeout_s, progress)
    return _over_probe(program, spikes, probes, tool, toolchain, timeout_s, progress)


def describe(program: Program, port: str | None = None, tool: str | None = None) -> str:
    """E.g. "NUCLEO-… through openocd", for a report."""
    way = f"over {port}" if port else f"through {_probe(program.board, tool).tool}"
    return f"{program.board.title} {way}"


def run_on(
    program: Program,
    spikes: Spikes,
    on: str,
    way: Way,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Trace:
    """`run_on_board` as the seam calls it; a network address is not how these are reached."""
    if way.address is not None:
        what = f"is not reached over the network: --address {way.address}"
        raise fail(TargetError, f"board {on}", what, "use --port, or a debug probe")
    return run_on_board(
        program, spikes, on, probes=probes, port=way.port, tool=way.runner, progress=progress
    )


def describe_on(program: Program, way: Way) -> str:
    """`describe` as the seam calls it."""
    return describe(program, way.port, way.runner)


def _over_serial(
    program: Program, spikes: Spikes, probes: Sequence[tuple[str, str]], port: str,
    timeout_s: float, progress: Progress | None,
) -> Trace:  # fmt: skip
    with Link(port, timeout_s=min(timeout_s, 10.0)) as link:
        data = exchange(link, program, spikes, probes, progress)
    return _in_cycles(decode(program, spikes, probes, np.frombuffer(data, dtype=np.uint8)))


def _probe(board: Board, tool: str | None) -> Runner:
    """The board's runner that can serve files to the target."""
    able = [r for r in hardware(board).runners if r.tool in ("pyocd", "openocd")]
    if tool is None and able:
        names = {runner.tool for runner in able}
        first = choose(board)
        return first if first.tool in names else able[0]
    runner = choose(board, tool)
    if runner.tool not in ("pyocd", "openocd"):
        what = f"runner {runner.tool} cannot read results back"
        hint = "use --runner pyocd or openocd, or --port of a board that runs the Device sketch"
        raise fail(TargetError, f"board {board.name}", what, hint)
    return runner


def probe_command(board: Board, elf: Path, tool: str | None = None) -> tuple[str, ...]:
    """The command that loads `elf`, starts it and serves its files from the elf's folder."""
    runner, image = _probe(board, tool), elf.with_suffix(".hex").name
    if runner.tool == "pyocd":
        return ("pyocd", "run", "--no-wait", "--target", runner.target, image)
    files = [part for name in runner.config for part in ("-f", name)]
    # OpenOCD gives RISC-V targets the command under the same name.
    steps = ("init", "reset halt", f"program {{{image}}} verify", "reset halt",
             "arm semihosting enable", "resume")  # fmt: skip
    return ("openocd", *files, *(part for step in steps for part in ("-c", step)))


def device_image(
    program: Program, folder: Path, defines: Sequence[str] = (), toolchain: str | None = None
) -> Path:
    """The test program of `run`, linked for the board, its timer that of the silicon."""
    board = hardware(program.board)
    compiler = find(board, toolchain)
    project = emit(program)
    packaged = package_files(program, project)
    timer = environment().get_template("device_timer.h.j2")
    text = timer.render(banner_line=first_line(program, project), net=program.c_name)
    write_directory(project | packaged | {"test/timer.h": text.encode()}, folder)
    sources = [*library_sources(program), *board_sources(board), "test/harness.c"]
    image = build(compiler, folder, sources, "board/link.ld", "board.elf", defines=defines)
    hex_ = intel_hex(segments(image.elf.read_bytes(), board))
    (folder / "board.hex").write_bytes(hex_)
    return image.elf


def _over_probe(
    program: Program, spikes: Spikes, probes: Sequence[tuple[str, str]], tool: str | None,
    toolchain: str | None, timeout_s: float, progress: Progress | None,
) -> Trace:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        command = probe_command(program.board, folder / "board.elf", tool)
        defines = (f"-DSNN_MAX_EVENTS={max(1, largest_step(spikes))}u",)
        device_image(program, folder, defines, toolchain)
        (folder / "events.bin").write_bytes(encode(program, spikes, probes))
        _serve(program.board, command, folder, spikes.batch, timeout_s, progress)
        trace = folder / "trace.bin"
        if not trace.is_file():
            raise fail(ToolError, command[0], "the board wrote no trace.bin", "try another probe")
        data = np.fromfile(trace, dtype=np.uint8)
    return _in_cycles(decode(program, spikes, probes, data))


def _serve(
    board: Board, command: Sequence[str], folder: Path, batch: int, timeout_s: float,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Run the probe's tool until all samples are done; it need not end by itself."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        with started(command, cwd=folder, **pipes) as process:
            output, ended = _until_done(process, batch, timeout_s, progress)
            if not ended:
                process.send_signal(signal.SIGINT)
                _wait(process)
    except FileNotFoundError as error:
        raise not_installed(board, command[0]) from error
    if output.count(SAMPLE_DONE) >= batch:
        return
    if ended:
        raise failed(board, command[0], f"ended early: {last_lines(output)}")
    done = output.count(SAMPLE_DONE)
    what = f"{done} of {batch} samples were done within {timeout_s:g} s; last output: "
    raise fail(ToolError, command[0], what + last_lines(output))


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Let the tool write what it still holds."""
    end = time.monotonic() + GRACE_S
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def _until_done(
    process: subprocess.Popen[bytes], batch: int, timeout_s: float, progress: Progress | None
) -> tuple[str, bool]:
    """All output, and whether the tool ended by itself."""
    pipe = process.stdout
    assert pipe is not None
    end, output = time.monotonic() + timeout_s, ""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(timeout=max(0.0, end - time.monotonic())):
            more = os.read(pipe.fileno(), 4096)
            if not more:
                return output, True
            output += more.decode(errors="replace")
            done = output.count(SAMPLE_DONE)
            if progress is not None:
                progress(min(done, batch), batch)
            if done >= batch:
                end = min(end, time.monotonic() + GRACE_S)
    return output, False


def _in_cycles(trace: Trace) -> Trace:
    """What the files call instructions are cycles where the core's own counter counted."""
    counts = {
        name: replace(c, other={"cycles": c.other["instructions"]}) if c.other else c
        for name, c in trace.counts.items()
    }
    return Trace(trace.spikes, trace.states, dict[str, Counts](counts), trace.lag)
