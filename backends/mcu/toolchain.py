"""Compilers for the boards: found, run, and what came out measured (sections, stack)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.errors import TargetError, ToolError, fail
from snnstack.process import execute

Kind = Literal["gcc", "zig"]
VARIABLE = "SNNSTACK_TOOLCHAIN"
"""Environment variable that chooses "gcc" or "zig" where no argument does."""

_GCC = {
    False: ("arm-none-eabi-gcc", "apt-get install gcc-arm-none-eabi"),
    True: ("riscv64-unknown-elf-gcc", "apt-get install gcc-riscv64-unknown-elf"),
}
_COMPILE = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra",
    "-O3", "-ffreestanding", "-ffunction-sections", "-fdata-sections",
)  # fmt: skip
_LINK = ("-nostdlib", "-Wl,--gc-sections")


@dataclass(frozen=True)
class Toolchain:
    """A compiler for one instruction set: `command` and the flags that choose the set."""

    kind: Kind
    name: str
    command: tuple[str, ...]
    arch: tuple[str, ...]

    def version(self) -> str:
        """E.g. "arm-none-eabi-gcc 12.2.1" or "zig cc 0.13.0"."""
        flag = ("-dumpfullversion",) if self.kind == "gcc" else ("version",)
        command = self.command if self.kind == "gcc" else self.command[:-1]
        return f"{self.name} {execute([*command, *flag], timeout_s=60).strip()}"


@dataclass(frozen=True)
class Image:
    """A linked program. `flash` and `ram` in bytes, RAM without stack.

    `stack`: bytes by function of the network's source, where the compiler says so (gcc).
    """

    elf: Path
    flash: int
    ram: int
    stack: Mapping[str, int]


def find(board: McuHardware, choice: str | None = None) -> Toolchain:
    """The toolchain for a board: `choice`, else $SNNSTACK_TOOLCHAIN, else gcc, else zig.

    Raises `ToolError` with the install command if there is none, `TargetError` for a choice
    other than "gcc" and "zig".
    """
    choice = choice or os.environ.get(VARIABLE) or None
    if choice not in (None, "gcc", "zig"):
        raise fail(TargetError, f"toolchain {choice!r}", "is not known", 'use "gcc" or "zig"')
    gcc, install = _GCC[board.is_riscv]
    if choice != "zig" and shutil.which(gcc):
        return Toolchain("gcc", gcc, (gcc,), board.gcc_arch)
    if choice != "gcc" and importlib.util.find_spec("ziglang"):
        arch = ("-target", board.zig_target, f"-mcpu={board.zig_cpu}")
        return Toolchain("zig", "zig cc", (sys.executable, "-P", "-m", "ziglang", "cc"), arch)
    if choice == "zig":
        raise fail(ToolError, "zig", "not found", "install it: pip install ziglang")
    hint = install if choice == "gcc" else f"{install}, or pip install ziglang"
    raise fail(ToolError, gcc, "not found", f"install it: {hint}")


def build(
    toolchain: Toolchain,
    folder: Path,
    sources: Sequence[str],
    script: str,
    output: str,
    *,
    defines: Sequence[str] = (),
    timeout_s: float = 300.0,
) -> Image:
    """Compile and link `sources` (paths in the emitted project `folder`) to `folder/output`.

    GCC's linker writes its map beside it, as `.map`.
    `script` is the linker script; `defines` are more options of the compiler. Raises
    `ToolError` with the compiler's own message.
    """
    objects = folder / "build"
    objects.mkdir(exist_ok=True)
    names: list[str] = []
    for source in sources:
        names.append(f"build/{Path(source).name}.o")
        argv = [*toolchain.command, *toolchain.arch, *_flags(toolchain, source), *defines]
        includes = ["-Iinclude", "-Isrc", "-Itest"]
        execute([*argv, *includes, "-c", source, "-o", names[-1]], timeout_s=timeout_s, cwd=folder)
    libraries = ("-lgcc",) if toolchain.kind == "gcc" else ()
    written = (f"-Wl,-Map={Path(output).stem}.map",) if toolchain.kind == "gcc" else ()
    link = [*toolchain.command, *toolchain.arch, *_LINK, *written, "-T", script, *names, *libraries]
    execute([*link, "-o", output], timeout_s=timeout_s, cwd=folder)
    flash, ram = elf_sizes((folder / output).read_bytes())
    return Image(folder / output, flash, ram, stack_usage(objects))


def _flags(toolchain: Toolchain, source: str) -> tuple[str, ...]:
    if source.endswith(".S"):
        return ()
    if toolchain.kind == "gcc":
        return (*_COMPILE, "-fstack-usage")
    return (*_COMPILE, "-fno-sanitize=undefined")


def stack_usage(folder: Path) -> dict[str, int]:
    """Bytes of stack by function, from gcc's .su files in `folder` (not for the test code)."""
    usage: dict[str, int] = {}
    for file in sorted(folder.glob("*.su")):
        if file.name.startswith(("harness", "selftest", "startup", "memory", "host")):
            continue
        for line in file.read_text().splitlines():
            place, size, _ = line.split("\t")
            usage[place.rsplit(":", 1)[-1]] = int(size)
    return usage


def elf_sizes(elf: bytes) -> tuple[int, int]:
    """(flash, RAM) bytes of a 32-bit little-endian ELF file, without stack and test service."""
    offset, (size, count, names) = _u32(elf, 32), struct.unpack_from("<3H", elf, 46)
    headers = [struct.unpack_from("<10I", elf, offset + k * size) for k in range(count)]
    strings = headers[names][4]
    flash = ram = 0
    for name, kind, flags, _, _, length, *_ in headers:
        start = strings + name
        title = elf[start : elf.index(b"\0", start)]
        if not flags & 2 or title == b".stack" or title.startswith(b".host"):
            continue
        flash += length if kind != 8 else 0
        ram += length if flags & 1 else 0
    return flash, ram


def _u32(data: bytes, offset: int) -> int:
    return int(struct.unpack_from("<I", data, offset)[0])
