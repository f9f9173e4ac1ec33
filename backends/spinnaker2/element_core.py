"""One processing element as a Cortex-M4F core: built, loaded, stepped, its instructions counted.

The core is that of the `unicorn` package. It has no devices: packets come and go through the
element's memory.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.element_emit import DATA, LINK_SCRIPT, SRAM_BYTES
from snnstack.backends.spinnaker2.element_layout import HEADER, PACKETS, Image
from snnstack.errors import Problem, ToolError, fail, raise_if_any
from snnstack.ir.nodes import Array

COMPILER, CONVERTER = "arm-none-eabi-gcc", "arm-none-eabi-objcopy"
FLAGS = (
    "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffp-contract=off",
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2", "-ffreestanding", "-nostdlib",
    "-Wl,--build-id=none",
)  # fmt: skip
_INSTALL = {
    COMPILER: "apt-get install gcc-arm-none-eabi",
    CONVERTER: "apt-get install binutils-arm-none-eabi",
    "unicorn": "pip install unicorn",
}
RETURN = SRAM_BYTES - 4
"""Where a call from the host returns to: the last word of the SRAM, never executed."""
_FLOATING_POINT = 0xF << 20


def require_tools() -> None:
    """Raises `ToolError` with the install command for each tool that is not there."""
    missing = [name for name in (COMPILER, CONVERTER) if shutil.which(name) is None]
    missing += [] if importlib.util.find_spec("unicorn") else ["unicorn"]
    problems = (Problem(name, "not found", f"install it: {_INSTALL[name]}") for name in missing)
    raise_if_any(ToolError, problems)


def build(files: Mapping[str, bytes], source: str) -> bytes:
    """The code of one application, from emitted `files`, as it lies from address 0 on."""
    names = (LINK_SCRIPT, "element_data.h", source)
    return _built(tuple((name, files[name]) for name in names), source)


@functools.lru_cache(maxsize=32)
def _built(files: tuple[tuple[str, bytes], ...], source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        _execute([COMPILER, *FLAGS, "-T", LINK_SCRIPT, source, "-lgcc", "-o", "code.elf"], folder)
        _execute([CONVERTER, "-O", "binary", "code.elf", "code.bin"], folder)
        return (Path(folder) / "code.bin").read_bytes()


def _execute(argv: Sequence[str], folder: str) -> None:
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise fail(ToolError, argv[0], "did not end within 120 s") from error
    if done.returncode != 0:
        raise fail(ToolError, argv[0], f"failed: {done.stderr.strip()[-2000:]}")


class Core:
    """A core with `code` and the data of `image`; every call into it counts its instructions."""

    def __init__(self, image: Image, code: bytes) -> None:
        import unicorn
        from unicorn import arm_const

        self.image = image
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self.uc.mem_map(0, SRAM_BYTES)
        self.uc.mem_write(0, code)
        self.uc.reg_write(arm_const.UC_ARM_REG_C1_C0_2, _FLOATING_POINT)
        self.uc.reg_write(arm_const.UC_ARM_REG_FPEXC, 1 << 30)
        self._registers = arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_LR, arm_const.UC_ARM_REG_R0
        self._stack, self._receive, self._update = np.frombuffer(code[:12], np.uint32).tolist()
        self._offsets = {name: DATA + offset for name, offset in image.offsets.items()}
        self._counter = Counter(self.uc, code)
        self.restart()

    def restart(self) -> None:
        """Writes the image's data, as before the first step."""
        self.uc.mem_write(DATA, self.image.data)

    @property
    def instructions(self) -> int:
        """Instructions executed since the core was made."""
        return self._counter.total

    def receive(self, keys: Array) -> None:
        """Takes packets, uint32 [.], of the step before."""
        for start in range(0, len(keys), PACKETS):
            part = keys[start : start + PACKETS]
            self.uc.mem_write(self._offsets["packets"], part.tobytes())
            self._call(self._receive, len(part))

    def update(self) -> Array:
        """One step of the neurons; the keys they send, uint32 [.]."""
        self._call(self._update)
        sent = self._read("sent", self.image.block.n + 1, np.uint32)
        return sent[1 : 1 + int(sent[0])]

    def state(self, variable: str) -> Array:
        """float32 [n]: "v", "ie" or "ii"."""
        return self._read(variable, self.image.block.n, np.float32)

    def setting(self, name: str) -> int:
        """A word of the header, e.g. "events"."""
        return int.from_bytes(self.uc.mem_read(DATA + 4 * HEADER.index(name), 4), "little")

    def _read(self, name: str, count: int, dtype: Any) -> Array:
        data = self.uc.mem_read(self._offsets[name], 4 * count)
        return np.frombuffer(bytes(data), dtype=dtype)

    def _call(self, entry: int, argument: int = 0) -> None:
        from unicorn import UcError

        stack, link, first = self._registers
        self.uc.reg_write(stack, self._stack)
        self.uc.reg_write(link, RETURN | 1)
        self.uc.reg_write(first, argument)
        try:
            self.uc.emu_start(entry | 1, RETURN)
        except UcError as error:
            raise fail(ToolError, str(self.image.block), f"core stopped: {error}") from error


class Counter:
    """Counts executed instructions: for every basic block that begins, those it holds.

    The blocks of this firmware are left only at their end, so the count is exact. The hook is
    machine code, since a Python function would take most of the time.
    """

    def __init__(self, uc: Any, code: bytes) -> None:
        import ctypes

        from unicorn import UC_HOOK_BLOCK
        from unicorn.unicorn_py3.unicorn import uclib

        halfwords = np.frombuffer(code + bytes(len(code) % 2), dtype=np.uint16)
        self._shared = np.concatenate([np.zeros(1, np.int64), 1 + (halfwords >> 11 >= 0x1D)])
        self._handle, self._hook = ctypes.c_size_t(), block_counter()
        status = uclib.uc_hook_add(
            uc._uch, ctypes.byref(self._handle), UC_HOOK_BLOCK,
            ctypes.cast(self._hook.address, ctypes.c_void_p),
            ctypes.cast(self._shared.ctypes.data, ctypes.c_void_p),
            ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        if status != 0:
            raise fail(ToolError, "unicorn", f"refused the instruction counter, status {status}")

    @property
    def total(self) -> int:
        """Instructions so far."""
        return int(self._shared[0])


@functools.cache
def block_counter() -> Any:
    """The hook: adds the instructions of a block to the first word of what it is given.

    The words after the first are the lengths, in halfwords, of an instruction at each halfword.
    """
    import numba
    from numba import types

    signature = types.void(types.voidptr, types.uint64, types.uint32, types.voidptr)

    @numba.cfunc(signature)  # type: ignore[untyped-decorator]
    def count(core: Any, address: Any, size: Any, shared: Any) -> None:
        words = numba.carray(shared, (1 << 20,), dtype=np.int64)
        at = np.int64(address >> np.uint64(1))
        end = at + np.int64(size >> np.uint32(1))
        total = np.int64(0)
        while at < end:
            at += words[1 + at]
            total += 1
        words[0] += total

    return count
