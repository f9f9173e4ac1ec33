"""Writes firmware to a board: which tool, with which exact command, and what to do if it fails."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.hardware import McuHardware, Runner, hardware
from snnstack.backends.mcu.image import intel_hex, segments, uf2
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import board_sources, library_sources
from snnstack.backends.mcu.toolchain import Image, build, execute, find
from snnstack.board import Board
from snnstack.errors import Problem, TargetError, ToolError, fail, raise_if_any
from snnstack.files import write_directory, write_file

DRIVES = ("/media", "/run/media", "/mnt", "/Volumes")
"""Where systems mount the drive of a board."""
ESP_APP = "0x10000"
"""Where Espressif's second-stage boot loader looks for the application."""
_INSTALL = {
    "pyocd": "pip install pyocd",
    "openocd": "apt-get install openocd",
    "esptool": "pip install esptool",
}
_SYMPTOMS = {
    "No connected debug probes": "no debug probe was found",
    "Error: open failed": "no debug probe was found",
    "unable to find a matching CMSIS-DAP device": "no debug probe was found",
    "No J-Link device found": "no debug probe was found",
    "is not recognized": "does not know the chip",
    "No serial data received": "the chip does not answer",
    "Could not open": "the serial port cannot be opened",
}
"""What a tool prints, and what it means."""


@dataclass(frozen=True)
class Flashing:
    """Everything `flash` will do: files written first, then commands, in order.

    `commands` are complete; one that starts with "cp" is carried out by a plain copy.
    """

    board: Board
    runner: Runner
    image: Path
    commands: tuple[tuple[str, ...], ...]

    def lines(self) -> tuple[str, ...]:
        """The commands as a shell takes them."""
        return tuple(shlex.join(command) for command in self.commands)


def choose(board: Board, tool: str | None = None) -> Runner:
    """The board's runner called `tool`; without a name the first whose tool is installed.

    `TargetError` if the board has none of that name, with those it has.
    """
    runners = hardware(board).runners
    names = ", ".join(runner.tool for runner in runners)
    where = f"board {board.name}"
    if not runners:
        hint = "use a maker's tool, or the emitted Arduino, PlatformIO or Zephyr package"
        raise fail(TargetError, where, "has no [[hardware.runners]]", hint)
    if tool is None:
        return next((r for r in runners if r.tool not in _INSTALL or shutil.which(r.tool)), runners[0])
    found = [runner for runner in runners if runner.tool == tool]
    if not found:
        raise fail(TargetError, where, f"has no runner {tool!r}", f"it has {names}")
    return found[0]


def plan_flash(
    board: Board, image: Path, *, tool: str | None = None, port: str | None = None,
    drives: Sequence[str] = DRIVES,
) -> Flashing:  # fmt: skip
    """The commands that write the ELF file `image` (which need not exist yet) to `board`."""
    runner = choose(board, tool)
    hex_ = str(image.with_suffix(".hex"))
    if runner.tool == "pyocd":
        commands = [("pyocd", "flash", "--no-wait", "--target", runner.target, hex_)]
    elif runner.tool == "openocd":
        files = [part for name in runner.config for part in ("-f", name)]
        commands = [("openocd", *files, "-c", f"program {{{hex_}}} verify reset exit")]
    elif runner.tool == "esptool":
        commands = _esptool(runner, image, port)
    else:
        file = image.with_suffix(".uf2") if runner.tool == "uf2" else Path(hex_)
        drive = find_drive(runner.volume, drives) or Path(drives[0]) / runner.volume
        commands = [("cp", str(file), f"{drive}/")]
    return Flashing(board, runner, image, tuple(commands))


def _esptool(runner: Runner, image: Path, port: str | None) -> list[tuple[str, ...]]:
    start = ("esptool", "--chip", runner.target)
    binary = str(image.with_suffix(".bin"))
    link = ("--port", port) if port else ()
    return [
        (*start, "elf2image", "--output", binary, str(image)),
        (*start, *link, "write-flash", ESP_APP, binary),
    ]


def find_drive(volume: str, roots: Sequence[str] = DRIVES) -> Path | None:
    """The mounted drive called `volume`, directly below a root or one folder deeper."""
    for root in roots:
        for pattern in (volume, f"*/{volume}"):
            for path in sorted(Path(root).glob(pattern)):
                if path.is_dir():
                    return path
    return None


def flash(plan: Flashing, *, timeout_s: float = 120.0) -> str:
    """Carry a plan out; what the tools printed. `ToolError` says what is missing or failed."""
    raise_if_any(ToolError, _missing(plan))
    _convert(plan)
    output = []
    for command in plan.commands:
        if command[0] == "cp":
            output.append(_copy(plan, Path(command[1]), Path(command[2])))
        else:
            output.append(_execute(plan, command, timeout_s))
    return "".join(output)


def _missing(plan: Flashing) -> list[Problem]:
    tool = plan.runner.tool
    if not plan.image.is_file():
        return [Problem(str(plan.image), "there is no such file", "build the firmware first")]
    if tool in _INSTALL and shutil.which(tool) is None:
        others = [r.tool for r in hardware(plan.board).runners if r.tool != tool]
        also = f", or use --runner {' or '.join(others)}" if others else ""
        return [Problem(tool, "not found", f"install it: {_INSTALL[tool]}{also}")]
    return []


def _convert(plan: Flashing) -> None:
    """The files that the commands read."""
    if plan.runner.tool == "esptool":
        return
    parts = segments(plan.image.read_bytes(), hardware(plan.board))
    if plan.runner.tool == "uf2":
        write_file(uf2(parts, plan.runner.family), plan.image.with_suffix(".uf2"))
    else:
        write_file(intel_hex(parts), plan.image.with_suffix(".hex"))


def _copy(plan: Flashing, file: Path, drive: Path) -> str:
    if not drive.is_dir():
        roots = ", ".join(DRIVES)
        what = f"is not there; looked for {plan.runner.volume} under {roots}"
        hint = f"connect {plan.board.title} by USB, with its boot button held if it has one"
        raise fail(ToolError, f"drive {drive}", what, hint)
    try:
        shutil.copyfile(file, drive / file.name)
    except OSError as error:
        raise fail(ToolError, f"drive {drive}", f"cannot be written: {error.strerror}") from error
    return f"copied {file.name} to {drive}\n"


def _execute(plan: Flashing, command: Sequence[str], timeout_s: float) -> str:
    try:
        return execute(command, timeout_s=timeout_s)
    except ToolError as error:
        text = str(error)
        known = [meaning for sign, meaning in _SYMPTOMS.items() if sign in text]
        if not known:
            raise
        raise fail(ToolError, command[0], known[0], _advice(plan, known[0])) from error


def _advice(plan: Flashing, meaning: str) -> str:
    runner = plan.runner
    if meaning == "does not know the chip":
        return f"install its pack: pyocd pack install {runner.target}"
    if "serial" in meaning or "answer" in meaning:
        return "name the board's port with --port, and hold its boot button while it resets"
    return f"connect {plan.board.title} by USB and check the cable; on Linux, its udev rules too"


def build_board(
    program: Program, folder: Path, main: str = "test/selftest.c", toolchain: str | None = None
) -> Image:
    """Emit the project to the new directory `folder` and link `main` for the board itself.

    `folder/board.elf` is the result; `ToolError` names a missing compiler.
    """
    board: McuHardware = hardware(program.board)
    files = emit(program)
    if main not in files:
        hint = "compile the model with --calibrate DATA, or give --image FILE"
        raise fail(TargetError, program.name, "has no golden run, so no self-test", hint)
    compiler = find(board, toolchain)
    write_directory(files, folder)
    sources = [*library_sources(program), *board_sources(board), main]
    return build(compiler, folder, sources, "board/link.ld", "board.elf")
