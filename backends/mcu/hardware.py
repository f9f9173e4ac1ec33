"""What the firmware tools must know about a board: core, compiler flags, memory map, stand-in."""

from __future__ import annotations

from typing import Literal

import msgspec

from snnstack.board import Board
from snnstack.errors import Problem, TargetError, fail, raise_if_any

Core = Literal[
    "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32"
]


class McuHardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[hardware]` table of a microcontroller board.

    `gcc_arch`: the flags that choose the instruction set, e.g. -mcpu=cortex-m4, -mthumb;
    `zig_target`, `zig_cpu`: the same for zig; origins are addresses of the first byte;
    `qemu_machine`: a name in `snnstack.backends.mcu.qemu.MACHINES`.
    """

    core: Core
    gcc_arch: tuple[str, ...]
    zig_target: str
    zig_cpu: str
    flash_origin: int
    ram_origin: int
    qemu_machine: str

    @property
    def is_riscv(self) -> bool:
        """Whether the core is RISC-V (otherwise it is an Arm Cortex-M)."""
        return self.core == "rv32"


def hardware(board: Board) -> McuHardware:
    """The typed form of `board.hardware`; `TargetError` names what is missing or wrong."""
    try:
        return msgspec.convert(dict(board.hardware), McuHardware)
    except msgspec.ValidationError as error:
        raise fail(TargetError, f"board {board.name}", f"[hardware]: {error}") from error


def memory_bytes(board: Board) -> tuple[int, int]:
    """(flash, RAM) of the board in bytes, from its capacities."""
    missing = [name for name in ("flash_bytes", "ram_bytes") if name not in board.capacity]
    raise_if_any(
        TargetError, (Problem(f"board {board.name}", f"no [capacity] {name}") for name in missing)
    )
    return int(board.capacity["flash_bytes"].value), int(board.capacity["ram_bytes"].value)
