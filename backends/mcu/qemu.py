"""The QEMU machines that stand in for boards: each is described once, here."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

from snnstack.errors import TargetError, ToolError, fail
from snnstack.process import completed

SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
"""System calls that QEMU itself gives up before the firmware starts, where it was built for it."""


@dataclass(frozen=True)
class Window:
    """Memory of a machine through which the firmware's data pass, out of reach of the board's.

    `bytes` from address `origin`. `backing`: (origin, bytes) of the machine's main memory, which
    holds the window and can be a file of the host; None where QEMU cannot back it by one.
    """

    origin: int
    bytes: int
    backing: tuple[int, int] | None

    @property
    def state(self) -> int:
        """Address of the answer to the firmware's requests and of what it has read and written."""
        return self.origin + CODE

    @property
    def data(self) -> int:
        """Address of the input; the output follows `half` bytes later."""
        return self.state + HEAD

    @property
    def half(self) -> int:
        """Bytes for input, and as many for output."""
        return (self.bytes - CODE - HEAD) // 2


CODE = 64 * 1024
"""Bytes at the start of a window for the code that uses it."""
HEAD = 64
"""Bytes before the data, for the state."""


@dataclass(frozen=True)
class Machine:
    """One QEMU machine: memory map (bytes), and the timer that counts instructions.

    `console`: kind of its serial port, at `console_base`. `extra`: options it always needs.
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
    console: Literal["cmsdk", "nrf51", "16550"]
    console_base: int
    window: Window
    package: str
    note: str = ""
    boot_origin: int | None = None
    extra: tuple[str, ...] = ()

    @property
    def icount_ns(self) -> int:
        """Machine time of one instruction."""
        return 1 << self.icount_shift

    @property
    def ratio(self) -> tuple[int, int]:
        """Instructions per tick as a fraction (numerator, denominator)."""
        fraction = Fraction(10**9, self.timer_hz) / self.icount_ns
        return fraction.numerator, fraction.denominator

    def argv(self, elf: str, backing: str | None = None, *, counted: bool = True) -> list[str]:
        """The command that runs `elf`: nothing of this computer but the console.

        `backing`: the file that is the machine's main memory. `counted`: machine time follows
        instructions; else blocks are not cut at its ticks.
        """
        return [
            self.binary, "-M", self.name + (",memory-backend=window" if backing else ""),
            *self.extra, *_memory(self.window, backing),
            "-nodefaults", "-no-user-config",
            "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "stdio",
            "-semihosting-config", "enable=off", "-no-reboot",
            *(("-icount", f"shift={self.icount_shift}") if counted else ()),
            "-kernel", elf,
        ]  # fmt: skip


def _memory(window: Window, backing: str | None) -> tuple[str, ...]:
    if backing is None or window.backing is None:
        return ()
    size = window.backing[1]
    return ("-object", f"memory-backend-file,id=window,mem-path={backing},size={size},share=on")


_ARM = "apt-get install qemu-system-arm"
_KB, _MB = 1024, 1024 * 1024


def _mps2(name: str, core: str, note: str = "", psram: int = 0x21000000) -> Machine:
    """Arm's MPS2 images: 4 MB of RAM at 0 for code, 4 MB at 0x20000000, CMSDK timer 0.

    The window is the 16 MB of PSRAM, at `psram`.
    """
    return Machine(
        name, "qemu-system-arm", core, 0, 4 * _MB, 0x20000000, 4 * _MB,
        "cmsdk", 0x40000000, 25_000_000, 8, "cmsdk", 0x40004000,
        Window(psram, 16 * _MB, (psram, 16 * _MB)), _ARM, note,
    )  # fmt: skip


_ALL = (
    Machine(
        "microbit", "qemu-system-arm", "Cortex-M0", 0, 256 * _KB, 0x20000000, 16 * _KB,
        "nrf51", 0x40008000, 16_000_000, 8, "nrf51", 0x40002000,
        Window(0x20010000, 255 * _MB, None), _ARM,
        "its RAM goes on behind the board's 16 KB, for the window",
        extra=("-global", f"nrf51-soc.sram-size={256 * _MB}"),
    ),
    _mps2(
        "mps2-an385", "Cortex-M3",
        "also runs Cortex-M0 and M0+ code that does not fit QEMU's microbit: "
        "the Cortex-M3 executes all ARMv6-M instructions",
    ),
    _mps2("mps2-an386", "Cortex-M4"),
    _mps2("mps2-an500", "Cortex-M7", psram=0x60000000),
    Machine(
        "mps2-an505", "qemu-system-arm", "Cortex-M33", 0x10000000, 4 * _MB,
        0x38000000, 4 * _MB, "cmsdk", 0x50000000, 20_000_000, 8, "cmsdk", 0x50200000,
        Window(0x80000000, 16 * _MB, (0x80000000, 16 * _MB)), _ARM,
        "starts in secure state, so code and RAM use the secure addresses",
    ),
    Machine(
        "mps3-an547", "qemu-system-arm", "Cortex-M55", 0x60000000, 16 * _MB,
        0x21000000, 4 * _MB, "sse", 0x48101000, 32_000_000, 8, "cmsdk", 0x59303000,
        Window(0x61000000, 64 * _MB, (0x60000000, 2048 * _MB)), _ARM,
        "code in the DDR memory, the vector table at 0; also runs Cortex-M85 code: "
        "both execute Armv8.1-M with Helium", boot_origin=0,
    ),
    Machine(
        "virt", "qemu-system-riscv32", "RV32", 0x80000000, 16 * _MB,
        0x81000000, 16 * _MB, "minstret", 0, 1_000_000_000, 0, "16550", 0x10000000,
        # QEMU writes its device tree near the end of the memory: the window ends before.
        Window(0x82000000, 64 * _MB, (0x80000000, 128 * _MB)),
        "apt-get install qemu-system-misc", extra=("-bios", "none"),
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


@functools.cache
def sandbox(binary: str) -> tuple[str, ...]:
    """`SANDBOX` where QEMU was built with seccomp, else nothing: then it has only no semihosting.

    Asked once per process: QEMU refuses an option that it was not built with.
    """
    try:
        done = completed([binary, *SANDBOX, "-version"], timeout_s=60)
    except subprocess.TimeoutExpired as error:
        raise fail(ToolError, binary, "did not say its version within 60 s") from error
    return SANDBOX if done.returncode == 0 else ()
