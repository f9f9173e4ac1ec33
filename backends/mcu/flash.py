"""Writes firmware to a board: which tool, with which exact command, and what to do if it fails."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.hardware_types import McuHardware, Runner
from snnstack.backends.mcu.image import intel_hex, segments, uf2
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import board_sources, library_sources
from snnstack.backends.mcu.toolchain import Image, build, find
from snnstack.board import Board
from snnstack.errors import SnnstackError, TargetError, ToolError, fail
from snnstack.files import write_directory, write_file
from snnstack.process import execute

DRIVES = ("/media", "/run/media", "/mnt", "/Volumes")
"""Where systems mount the drive of a board."""
ESP_APP = "0x10000"
"""Where Espressif's second-stage boot loader looks for the application."""
_INSTALL = {
    "pyocd": "pip install pyocd",
    "openocd": "apt-get install openocd",
    "esptool": "pip install esptool",
}
_TCL = re.compile(r"[{}\[\]$\\\"\n\r;]")
_PORT = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.:+-]*")
_NO_PROBE = "no debug probe was found"
_NO_CHIP = "does not know the chip"
_SYMPTOMS = {
    "No connected debug probes": _NO_PROBE,
    "No target device available": _NO_PROBE,
    "Error: open failed": _NO_PROBE,
    "unable to find a matching CMSIS-DAP device": _NO_PROBE,
    "No J-Link device found": _NO_PROBE,
    "not recognized. Use 'pyocd list": _NO_CHIP,
    "No serial data received": "the chip does not answer",
    "Could not open": "the serial port cannot be opened",
}
"""What a tool prints, and what it means."""


LARGEST_IMAGE = 2**28
"""Bytes of an ELF file; its tables of symbols are larger than any flash memory."""


@dataclass(frozen=True)
class Flashing:
    """Everything `flash` will do: files written first, then commands, in order.

    `commands` are complete; one that starts with "cp" is carried out by a plain copy.
    """

    board: Board
    runner: Runner
    image: Path
    commands: tuple[tuple[str, ...], ...]
    port: str | None = None
    drives: tuple[str, ...] = DRIVES

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
        ready = (r for r in runners if r.tool not in _INSTALL or shutil.which(r.tool))
        return next(ready, runners[0])
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
    _check_words(runner, image, port)
    hex_ = str(image.with_suffix(".hex"))
    commands: list[tuple[str, ...]]
    if runner.tool == "pyocd":
        commands = [("pyocd", "flash", "--no-wait", "--target", runner.target, hex_)]
    elif runner.tool == "openocd":
        files = [part for name in runner.config for part in ("-f", name)]
        if set(hex_) & set("{}\\\n"):
            hint = "OpenOCD takes braces, backslashes and line ends as commands: use another folder"
            raise fail(TargetError, hex_, "is no path for OpenOCD", hint)
        commands = [("openocd", *files, "-c", f"program {{{hex_}}} verify reset exit")]
    elif runner.tool == "esptool":
        commands = _esptool(runner, image, port)
    else:
        file = image.with_suffix(".uf2") if runner.tool == "uf2" else Path(hex_)
        drive = find_drive(runner.volume, drives) or Path(drives[0]) / runner.volume
        commands = [("cp", str(file), f"{drive}/")]
    return Flashing(board, runner, image, tuple(commands), port, tuple(drives))


def _check_words(runner: Runner, image: Path, port: str | None) -> None:
    """`TargetError` for a path or port that a tool would not take for one."""
    if runner.tool == "openocd" and (found := _TCL.search(str(image))):
        what = f"has {found[0]!r} in its path, which OpenOCD would execute"
        raise fail(TargetError, str(image), what, "build it in another folder")
    if port is not None and not _PORT.fullmatch(port):
        hint = "name a device such as /dev/ttyACM0 or COM3"
        raise fail(TargetError, f"port {port!r}", "is no serial port", hint)


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
    """Carry a plan out; what the tools printed. `ToolError` says what is missing or failed.

    The tools run in an empty folder: pyocd and OpenOCD execute scripts that they find in theirs.
    """
    plan = plan_flash(
        plan.board, plan.image.absolute(), tool=plan.runner.tool, port=plan.port,
        drives=plan.drives,
    )  # fmt: skip
    _check_image(plan.image)
    tool = plan.runner.tool
    if tool in _INSTALL and shutil.which(tool) is None:
        raise not_installed(plan.board, tool)
    _convert(plan)
    output = []
    for command in plan.commands:
        if command[0] == "cp":
            output.append(_copy(plan, Path(command[1]), Path(command[2])))
        else:
            output.append(_execute(plan, command, timeout_s))
    return "".join(output)


def _check_image(image: Path) -> None:
    """A file of a size that a firmware can have."""
    hint = "build the firmware first"
    if not image.exists():
        raise fail(ToolError, str(image), "there is no such file", hint)
    if not image.is_file():
        raise fail(ToolError, str(image), "is no regular file", "name the firmware, an ELF file")
    if image.stat().st_size > LARGEST_IMAGE:
        what = f"has {image.stat().st_size} bytes, at most {LARGEST_IMAGE}"
        raise fail(ToolError, str(image), what, "name the firmware, an ELF file")


def _convert(plan: Flashing) -> None:
    """The files that the commands read."""
    if plan.runner.tool == "esptool":
        return
    if plan.image.suffix.lower() in (".hex", ".uf2"):
        hint = "rename it, as with .elf: files of that ending are made of it"
        raise fail(ToolError, str(plan.image), "would be written over", hint)
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
        with tempfile.TemporaryDirectory(prefix="snnstack-") as empty:
            return execute(command, timeout_s=timeout_s, cwd=Path(empty))
    except ToolError as error:
        where = f"{command[0]}: "
        raise failed(plan.board, command[0], str(error).removeprefix(where)) from error


def not_installed(board: Board, tool: str) -> SnnstackError:
    """A tool that is missing, with the command that installs it and the board's other ways."""
    others = [r.tool for r in hardware(board).runners if r.tool != tool]
    also = f", or use --runner {' or '.join(others)}" if others else ""
    return fail(ToolError, tool, "not found", f"install it: {_INSTALL[tool]}{also}")


def failed(board: Board, tool: str, what: str) -> SnnstackError:
    """A tool's failure: what its message means and what to do, or the message itself."""
    known = next((meaning for sign, meaning in _SYMPTOMS.items() if sign in what), "")
    if not known:
        return fail(ToolError, tool, what)
    if known == _NO_CHIP:
        targets = [runner.target for runner in hardware(board).runners if runner.tool == tool]
        return fail(ToolError, tool, known, f"install its pack: pyocd pack install {targets[0]}")
    if known == _NO_PROBE:
        hint = f"connect {board.title} by USB; on Linux, install the udev rules of its probe"
    else:
        hint = "name the board's port with --port, and hold its boot button while it resets"
    return fail(ToolError, tool, known, hint)


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
