"""Runs a program's firmware in QEMU over a whole batch: the independent check of the emulator."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from snnstack.backends.mcu.emit import emit, startup_file
from snnstack.backends.mcu.events import decode, encode, largest_step, trace_bytes
from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.qemu import Machine, machine, require
from snnstack.backends.mcu.toolchain import Image, build, find
from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.files import write_directory
from snnstack.trace import Spikes, Trace

Progress = Callable[[int, int], None]
"""Called with (samples done, samples)."""


def run(
    program: Program,
    spikes: Spikes,
    *,
    probes: Sequence[tuple[str, str]] = (),
    toolchain: str | None = None,
    timeout_s: float = 600.0,
    progress: Progress | None = None,
) -> Trace:
    """What the emitted firmware does with `spikes` in QEMU, from a fresh state per sample.

    Spikes in C order; `states` int32 [batch, steps, n] in C order for `probes` (population,
    "v" or "i"). `counts`: exact "instructions" per layer; those under the input's name are for
    reset and for taking events in, so that all together are those of the network.

    Raises `DataError` if spikes or probes do not fit, `ToolError` if a tool is missing, fails
    or takes longer than `timeout_s` seconds.
    """
    check_run(program, spikes, probes)
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        defines = (f"-DSNN_MAX_EVENTS={max(1, largest_step(spikes))}u",)
        image = build_qemu(program, folder, "test/harness.c", toolchain, defines=defines)
        ran = execute_qemu(
            _machine(program), image.elf, timeout_s, _counter(progress, spikes.batch),
            data=encode(program, spikes, probes), room=trace_bytes(program, spikes, probes),
        )  # fmt: skip
    return decode(program, spikes, probes, np.frombuffer(ran.output, dtype=np.uint8))


def selftest(program: Program, *, toolchain: str | None = None, timeout_s: float = 120.0) -> str:
    """Run the emitted self-test in QEMU; its output. `ToolError` if it fails."""
    if program.golden is None:
        raise fail(DataError, program.name, "has no golden run to repeat")
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        image = build_qemu(program, folder, "test/selftest.c", toolchain)
        return execute_qemu(_machine(program), image.elf, timeout_s).text


def describe(program: Program, toolchain: str | None = None) -> str:
    """The stand-in and the compiler, e.g. for a report."""
    found = _machine(program)
    compiler = find(hardware(program.board), toolchain)
    return f"{found.binary} -M {found.name} ({found.core}), {compiler.version()}"


def build_qemu(
    program: Program,
    folder: Path,
    main: str,
    toolchain: str | None = None,
    *,
    defines: Sequence[str] = (),
) -> Image:
    """Emit the project to the new directory `folder` and link `main` for the QEMU machine."""
    board = hardware(program.board)
    require(_machine(program))
    compiler = find(board, toolchain)
    write_directory(emit(program), folder)
    sources = [*library_sources(program), *stand_in_sources(board), main]
    return build(compiler, folder, sources, "qemu/link.ld", "qemu.elf", defines=defines)


def library_sources(program: Program) -> tuple[str, ...]:
    """The files of the emitted project that a user adds to a firmware of their own."""
    return (f"src/{program.c_name}.c", f"src/{program.c_name}_weights.c")


def board_sources(board: McuHardware) -> tuple[str, ...]:
    """Start-up and memory functions for a board without a C library."""
    return (f"board/{startup_file(board)}", "board/memory.c")


def stand_in_sources(board: McuHardware) -> tuple[str, ...]:
    """The same for QEMU, where the test program's requests are answered within the machine."""
    return (*board_sources(board), "qemu/host.c")


def _machine(program: Program) -> Machine:
    return machine(hardware(program.board).qemu_machine)


def check_run(program: Program, spikes: Spikes, probes: Sequence[tuple[str, str]]) -> None:
    """`DataError` with everything in spikes or probes that does not fit the program."""
    problems: list[Problem] = []
    if spikes.shape != program.input.shape:
        what = f"events of shape {spikes.shape}, the network reads {program.input.shape}"
        problems.append(Problem(f"input {program.input.name}", what))
    if (spikes.values is not None) != program.input.values:
        kind = "must" if program.input.values else "must not"
        problems.append(Problem(f"input {program.input.name}", f"{kind} carry values"))
    largest = 0 if spikes.counts is None else int(spikes.counts.max(initial=0))
    if largest > program.input.max_count:
        what = f"count {largest} above the limit {program.input.max_count}"
        problems.append(Problem(f"input {program.input.name}", what))
    has = set(program.variables)
    problems += [Problem(f"probe {p!r}", "no such state") for p in probes if tuple(p) not in has]
    raise_if_any(DataError, problems)


def _counter(progress: Progress | None, batch: int) -> Callable[[str], None] | None:
    if progress is None:
        return None
    return lambda output: progress(output.count("done\n"), batch)
