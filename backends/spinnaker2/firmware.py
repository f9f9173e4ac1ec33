"""Firmware of a processing element: its C, and the Cortex-M4F code that a compiler makes of it.

One source serves every element; what differs is the image of its data memory.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from snnstack.backends.spinnaker2 import image
from snnstack.backends.spinnaker2.program import INDEX_BITS
from snnstack.errors import ToolError, fail
from snnstack.process import execute
from snnstack.templates import environment

CODE_BYTES = 32 * 1024
"""The part of an element's 128 KiB of memory that holds code and stack."""
DATA_BASE = CODE_BYTES
MEMORY_BYTES = 128 * 1024
COMPILER = "arm-none-eabi-gcc"
INSTALL = "install it: apt-get install gcc-arm-none-eabi"
FLAGS = (
    "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard",
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O3", "-ffreestanding",
    "-ffp-contract=off", "-fno-tree-loop-distribute-patterns", "-ffunction-sections",
    "-nostdlib",
)  # fmt: skip
"""No fused multiply-add: the neuron programs round every product and every sum."""
FOLDER = "firmware"
SOURCES = ("element.h", "element_sums.h", "element_conv.h", "element.c", "element.ld")


@dataclass(frozen=True, eq=False)
class Code:
    """`text` is loaded at address 0. `entry`: addresses of "receive" and "update"."""

    text: bytes
    entry: Mapping[str, int]


def sources() -> dict[str, bytes]:
    """{path: content} of the C project, the same for every program."""
    values, templates = _values(), environment("snnstack.backends.spinnaker2")
    return {
        f"{FOLDER}/{name}": templates.get_template(f"{name}.j2").render(values).encode()
        for name in SOURCES
    }


def _values() -> dict[str, object]:
    try:
        version = metadata.version("snnstack")
    except metadata.PackageNotFoundError:
        version = "0"
    return {
        "banner_line": f"SpiNNaker 2 processing element: made by snnstack {version}. Do not edit.",
        "fires": image.FIRES,
        "subtract": image.SUBTRACT,
        "wide": image.WIDE,
        "delays": image.DELAYS,
        "sum_stride": image.SUM_STRIDE,
        "box": image.BOX,
        "lif": image.LIF,
        "curr_exp": image.CURR_EXP,
        "kernel": image.KERNEL,
        "header": image.HEADER,
        "base": DATA_BASE,
        "code_bytes": CODE_BYTES,
        "index_bits": INDEX_BITS,
        "index_mask": (1 << INDEX_BITS) - 1,
    }


def version() -> str:
    """The compiler and its version; `ToolError` with the install command without one."""
    _require()
    return f"{COMPILER} {execute([COMPILER, '-dumpfullversion'], timeout_s=60).strip()}"


@functools.cache
def build() -> Code:
    """The code of an element, compiled once a process. Raises `ToolError`."""
    _require()
    with tempfile.TemporaryDirectory(prefix="snnstack-element-") as name:
        folder = Path(name)
        for path, content in sources().items():
            (folder / Path(path).name).write_bytes(content)
        link = ("-T", "element.ld", "-Wl,--build-id=none", "element.c", "-o", "element.elf")
        execute([COMPILER, *FLAGS, *link], timeout_s=120, cwd=folder)
        copy = ("arm-none-eabi-objcopy", "-O", "binary", "element.elf", "element.bin")
        execute(copy, timeout_s=60, cwd=folder)
        listed = execute(["arm-none-eabi-nm", "element.elf"], timeout_s=60, cwd=folder)
        return Code((folder / "element.bin").read_bytes(), _entries(listed))


def _entries(listed: str) -> dict[str, int]:
    rows = [line.split() for line in listed.splitlines()]
    return {row[2]: int(row[0], 16) for row in rows if row[-1] in ("receive", "update")}


def _require() -> None:
    if not shutil.which(COMPILER):
        raise fail(ToolError, COMPILER, "not found", INSTALL)
