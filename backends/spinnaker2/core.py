"""One processing element as an emulated Cortex-M4F that executes the compiled firmware."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.firmware import CODE_BYTES, DATA_BASE, MEMORY_BYTES, Code
from snnstack.backends.spinnaker2.image import BOX, Image
from snnstack.errors import ModelError, ToolError, fail
from snnstack.ir.nodes import Array

RETURN = MEMORY_BYTES
"""Where a call of the firmware ends: the page after the element's memory."""
PAGE = 0x1000


class Core:
    """An element with its own memory. `number` is the element's, for messages.

    With `counting`, `instructions` grows by the instructions that are executed.
    """

    def __init__(self, number: int, code: Code, image: Image, counting: bool = False) -> None:
        size = len(image.data)
        if size > MEMORY_BYTES - DATA_BASE:
            what = f"its tables take {size} bytes, at most {MEMORY_BYTES - DATA_BASE}"
            raise fail(ModelError, f"element {number}", what)
        self.number, self.instructions = number, 0
        self._code, self._image = code, image
        self._cpu = _cpu(code)
        self._sizes: dict[int, int] = {}
        if counting:
            self._count()
        self.reset()

    def reset(self) -> None:
        """All states at rest, no packet waiting."""
        self._cpu.mem_write(DATA_BASE, self._image.data)

    def receive(self, packets: Array, now: int) -> None:
        """Take in packets (uint32) that were sent in the step before `now`."""
        for start in range(0, len(packets), BOX):
            part = packets[start : start + BOX].astype("<u4")
            box = np.concatenate([[np.uint32(len(part))], part]).astype("<u4")
            self._cpu.mem_write(self._image.at["inbox"], box.tobytes())
            self._call("receive", now)

    def play(self, positions: Array, now: int) -> Array:
        """The packets that a source sends in step `now` for these of its neurons."""
        sent = []
        for start in range(0, len(positions), BOX):
            self.receive(positions[start : start + BOX], now)
            sent.append(self._sent())
        return np.concatenate(sent) if sent else np.zeros(0, dtype=np.uint32)

    def update(self, now: int) -> Array:
        """Advance all neurons by a step; the packets they send, uint32."""
        self._call("update", now)
        return self._sent()

    def states(self) -> Array:
        """Float32 [n, words]: the neurons as they lie in memory; words as `Image.neuron`."""
        words, at = len(self._image.neuron), self._image.at
        end = at.get("sums", at["inbox"])
        raw = bytes(self._cpu.mem_read(at["neurons"], end - at["neurons"]))
        return np.frombuffer(raw, dtype="<f4").reshape(-1, words)

    def _sent(self) -> Array:
        at = self._image.at["outbox"]
        count = int.from_bytes(self._cpu.mem_read(at, 4), "little")
        return np.frombuffer(bytes(self._cpu.mem_read(at + 4, 4 * count)), dtype="<u4")

    def _call(self, name: str, now: int) -> None:
        import unicorn
        from unicorn import arm_const

        self._cpu.reg_write(arm_const.UC_ARM_REG_SP, CODE_BYTES)
        self._cpu.reg_write(arm_const.UC_ARM_REG_LR, RETURN | 1)
        self._cpu.reg_write(arm_const.UC_ARM_REG_R0, now)
        try:
            self._cpu.emu_start(self._code.entry[name] | 1, RETURN)
        except unicorn.UcError as error:
            at = self._cpu.reg_read(arm_const.UC_ARM_REG_PC)
            what = f"{name}() of step {now} stopped at {at:#x}: {error}"
            raise fail(ToolError, f"element {self.number}", what) from error

    def _count(self) -> None:
        import unicorn

        def block(_cpu: Any, address: int, size: int, _data: Any) -> None:
            found = self._sizes.get(address)
            if found is None:
                found = self._sizes[address] = _instructions(self._code.text[address:][:size])
            self.instructions += found

        self._cpu.hook_add(unicorn.UC_HOOK_BLOCK, block)


def _cpu(code: Code) -> Any:
    try:
        import unicorn
        from unicorn import arm_const
    except ImportError as error:
        hint = "pip install 'snnstack[spinnaker2]'"
        what = "is not installed: it executes the elements' code"
        raise fail(ToolError, "unicorn", what, hint) from error

    cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    cpu.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    text = -(-len(code.text) // PAGE) * PAGE
    cpu.mem_map(0, text, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    data = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
    cpu.mem_map(text, MEMORY_BYTES - text, data)
    cpu.mem_map(RETURN, PAGE)
    cpu.mem_write(0, code.text)
    return cpu


def _instructions(block: bytes) -> int:
    """How many Thumb instructions `block` holds: 32-bit ones begin with 11101, 11110 or 11111."""
    halves = np.frombuffer(block, dtype="<u2")
    count = position = 0
    while position < len(halves):
        position += 2 if int(halves[position]) >> 11 >= 0b11101 else 1
        count += 1
    return count


def require() -> None:
    """`ToolError` with the install command if the processor emulator is missing."""
    import importlib.util

    if importlib.util.find_spec("unicorn") is None:
        raise fail(ToolError, "unicorn", "not found", "install it: pip install unicorn")
