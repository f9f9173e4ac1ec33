"""The QEMU machines that stand in for boards: each is described once, here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

from snnstack.errors import TargetError, ToolError, fail


@dataclass(frozen=True)
class Machine:
    """One QEMU machine: memory map (bytes), and the timer that counts instructions.

    `boot_origin`: where the vector table must stand, if not at the start of the code.

    With `-icount shift=s` an instruction takes 2**s ns of machine time. The shift is chosen so
    that one instruction lasts more than two ticks of the timer: rounding is then exact.
    """

    name: str
    binary: str
    core: str
    code_origin: int
    code_bytes: int
    ram_origin: int
    ram_bytes: int
    timer: Literal["cmsdk", "nrf51", "sse", "minstret"]
    timer_base: int
    timer_hz: int
    icount_shift: int
    package: str
    note: str = ""
    boot_origin: int | None = None

    @property
    def icount_ns(self) -> int:
        """Machine time of one instruction."""
        return 1 << self.icount_shift

    @property
    def ratio(self) -> tuple[int, int]:
        """Instructions per tick as a fraction (numerator, denominator)."""
        fraction = Fraction(10**9, self.timer_hz) / self.icount_ns
        return fraction.numerator, fraction.denominator

    def argv(self, elf: str) -> tuple[str, ...]:
        """The command that runs `elf`: no devices but the machine's, files by semihosting."""
        bios = ("-bios", "none") if self.timer == "minstret" else ()
        return (
            self.binary, "-M", self.name, *bios,
            "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "none",
            "-chardev", "stdio,id=console",
            "-semihosting-config", "enable=on,target=native,chardev=console",
            "-icount", f"shift={self.icount_shift}",
            "-kernel", elf,
        )  # fmt: skip


_ARM = "apt-get install qemu-system-arm"
_KB, _MB = 1024, 1024 * 1024


def _mps2(name: str, core: str, note: str = "") -> Machine:
    """Arm's MPS2 images: 4 MB of RAM at 0 for code, 4 MB at 0x20000000, CMSDK timer 0."""
    return Machine(
        name, "qemu-system-arm", core, 0, 4 * _MB, 0x20000000, 4 * _MB,
        "cmsdk", 0x40000000, 25_000_000, 8, _ARM, note,
    )  # fmt: skip


_ALL = (
    Machine(
        "microbit", "qemu-system-arm", "Cortex-M0", 0, 256 * _KB, 0x20000000, 16 * _KB,
        "nrf51", 0x40008000, 16_000_000, 8, _ARM,
    ),
    _mps2(
        "mps2-an385", "Cortex-M3",
        "also runs Cortex-M0 and M0+ code that does not fit QEMU's microbit: "
        "the Cortex-M3 executes all ARMv6-M instructions",
    ),
    _mps2("mps2-an386", "Cortex-M4"),
    _mps2("mps2-an500", "Cortex-M7"),
    Machine(
        "mps2-an505", "qemu-system-arm", "Cortex-M33", 0x10000000, 4 * _MB,
        0x38000000, 4 * _MB, "cmsdk", 0x50000000, 20_000_000, 8, _ARM,
        "starts in secure state, so code and RAM use the secure addresses",
    ),
    Machine(
        "mps3-an547", "qemu-system-arm", "Cortex-M55", 0x60000000, 16 * _MB,
        0x21000000, 4 * _MB, "sse", 0x48101000, 32_000_000, 8, _ARM,
        "code in the DDR memory, the vector table at 0; also runs Cortex-M85 code: "
        "both execute Armv8.1-M with Helium", boot_origin=0,
    ),
    Machine(
        "virt", "qemu-system-riscv32", "RV32", 0x80000000, 16 * _MB,
        0x81000000, 16 * _MB, "minstret", 0, 1_000_000_000, 0,
        "apt-get install qemu-system-misc",
    ),
)  # fmt: skip

MACHINES: Mapping[str, Machine] = MappingProxyType({machine.name: machine for machine in _ALL})


def machine(name: str) -> Machine:
    """The machine called `name`; `TargetError` lists the known ones."""
    if name not in MACHINES:
        known = ", ".join(MACHINES)
        raise fail(TargetError, f"qemu_machine {name!r}", "is not known", f"one of {known}")
    return MACHINES[name]


def require(found: Machine) -> None:
    """`ToolError` with the install command if the machine's QEMU is not installed."""
    if shutil.which(found.binary) is None:
        raise fail(ToolError, found.binary, "not found", f"install it: {found.package}")
