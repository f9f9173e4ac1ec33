"""The `[hardware]` table of a microcontroller board, as types."""

from __future__ import annotations

from typing import Literal

import msgspec

from snnstack.board import Status

Core = Literal[
    "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33",
    "cortex-m55", "cortex-m85", "rv32",
]  # fmt: skip

Kind = Literal["flash", "ram", "ccm", "itcm", "dtcm"]
"""`ram`: any bus master; `ccm`, `dtcm`: data of the core alone; `itcm`: its code."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One block of memory: `bytes` from address `origin`. The linker sees no more than this."""

    name: str
    kind: Kind
    origin: int
    bytes: int
    status: Status
    source: str


class FlashReads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What reading a constant from flash costs at the board's clock.

    A read of `line_bytes` takes `wait_states` cycles more than one from RAM; `cache_bytes` hold
    lines that were read before (0: none).
    """

    wait_states: int
    line_bytes: int
    cache_bytes: int
    status: Status
    source: str


class OperatingPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A clock in Hz that the core may run at, its supply in V and the flash's wait states."""

    hz: int
    volt: float
    wait_states: int
    status: Status
    source: str


class Runner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to write firmware to the board, tried in the order of the file.

    `target`: pyocd's target name, or esptool's chip; `config`: OpenOCD's files; `volume`: the
    label of the drive that takes a copied file; `family`: the UF2 family number.
    """

    tool: Literal["pyocd", "openocd", "esptool", "uf2", "copy"]
    target: str = ""
    config: tuple[str, ...] = ()
    volume: str = ""
    family: int = 0


class McuHardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[hardware]` table of a microcontroller board.

    `gcc_arch`: the flags that choose the instruction set, e.g. -mcpu=cortex-m4, -mthumb;
    `zig_target`, `zig_cpu`: the same for zig; origins are addresses of the first byte;
    `qemu_machine`: a name in `snnstack.backends.mcu.qemu.MACHINES`. `regions`: every memory the
    linker may use; `points`: clocks with their supply; `runners`: ways to write the flash;
    `boot_block`: what the boot ROM wants to find in front of the program, if anything.
    """

    core: Core
    gcc_arch: tuple[str, ...]
    zig_target: str
    zig_cpu: str
    flash_origin: int
    ram_origin: int
    qemu_machine: str
    regions: tuple[Region, ...] = ()
    flash_reads: FlashReads | None = None
    points: tuple[OperatingPoint, ...] = ()
    runners: tuple[Runner, ...] = ()
    boot_block: Literal["", "rp2350"] = ""

    @property
    def is_riscv(self) -> bool:
        """Whether the core is RISC-V (otherwise it is an Arm Cortex-M)."""
        return self.core == "rv32"
