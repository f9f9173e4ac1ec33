"""What of a board reaches a command line: every such value must match its list of characters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from snnstack.backends.mcu.hardware_types import McuHardware, Runner
from snnstack.errors import Problem

_VALUE = r"[a-z0-9][a-z0-9_.+]*(?:-[a-z0-9_.+]+)*"
_FLAGS = {
    "-mcpu=NAME": rf"-mcpu={_VALUE}",
    "-march=NAME": rf"-march={_VALUE}",
    "-mtune=NAME": rf"-mtune={_VALUE}",
    "-mfpu=NAME": rf"-mfpu={_VALUE}",
    "-mabi=NAME": rf"-mabi={_VALUE}",
    "-mcmodel=NAME": r"-mcmodel=(medlow|medany)",
    "-mfloat-abi=soft|softfp|hard": r"-mfloat-abi=(soft|softfp|hard)",
    "-misa-spec=VERSION": r"-misa-spec=[0-9.]+",
    "-mthumb": "-mthumb",
    "-mlittle-endian": "-mlittle-endian",
    "-m[no-]unaligned-access": "-m(no-)?unaligned-access",
    "-m[no-]strict-align": "-m(no-)?strict-align",
}
"""Options of GCC that choose an instruction set: none of them names a file or a program."""
_FLAG = re.compile("|".join(f"(?:{pattern})" for pattern in _FLAGS.values()))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*")
_CONFIG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*\.cfg")
_LETTERS = "letters, digits, `_`, `.` and `-`"


def board_text_problems(where: str, found: McuHardware) -> Iterator[Problem]:
    """Values of `[hardware]` that no compiler, simulator or flash tool shall be given."""
    for flag in found.gcc_arch:
        if not _FLAG.fullmatch(flag):
            hint = f"flags that choose an instruction set: {', '.join(_FLAGS)}"
            yield _problem(where, "gcc_arch", flag, hint)
    for key, value, pattern in (
        ("zig_target", found.zig_target, _NAME),
        ("zig_cpu", found.zig_cpu, _CPU),
        ("qemu_machine", found.qemu_machine, _NAME),
    ):
        if not pattern.fullmatch(value):
            yield _problem(where, key, value, f"use {_LETTERS}")
    for runner in found.runners:
        yield from _runner_problems(where, runner)


def _runner_problems(where: str, runner: Runner) -> Iterator[Problem]:
    if runner.target and not _NAME.fullmatch(runner.target):
        yield _problem(where, "runners.target", runner.target, f"use {_LETTERS}")
    if runner.volume and not _VOLUME.fullmatch(runner.volume):
        yield _problem(where, "runners.volume", runner.volume, f"use {_LETTERS} and spaces")
    for name in runner.config:
        if not _CONFIG.fullmatch(name):
            hint = "a file of OpenOCD's own scripts such as board/st_nucleo_l4.cfg"
            yield _problem(where, "runners.config", name, hint)


def _problem(where: str, key: str, value: str, hint: str) -> Problem:
    shown = value if len(value) <= 60 else f"{value[:57]}..."
    return Problem(where, f"hardware.{key} = {shown!r} is not allowed on a command line", hint)
