"""What kinds of instructions a run executed, from QEMU's own log of translated blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.qemu import Machine

HARNESS = frozenset(
    {"", "_start", "Reset_Handler", "main", "run_step", "transfer", "open_file", "count",
     "write_layer", "print", "HardFault_Handler", "snn_trap", "membranes", "host_fault",
     "host_serve", "answer", "put", "ask", "wait", "copy", "read_input", "write_output", "end"}
)  # fmt: skip
"""Functions of start-up and test code, which no inference of a user executes."""

_BLOCK = re.compile(r"^IN: ?(\S*)")
_LINE = re.compile(r"^0x([0-9a-f]{8}):\s+((?:[0-9a-f]+ )*[0-9a-f]+)\s+(\S+)\s*(.*)$")
_TRACE = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
_LOAD = re.compile(r"v?ld[rm]|pop|c\.l[wbh]|l[wbh]u?$")
_STORE = re.compile(r"v?st[rm]|push|s[wbh]$")
_LONG = re.compile(r"[us]m(ull|lal)|mulh")
_MULTIPLY = re.compile(r"mul|ml[as]|sm(la|ua|mu)|v?mlad|vmla")


@dataclass(frozen=True)
class Mix:
    """Counts of one run. `loads`: instructions that load; `paired`: those right after another
    load; `words`: further words of multiple loads and stores; `taken`: jumps that were taken.
    """

    instructions: int
    loads: int
    paired: int
    stores: int
    words: int
    taken: int
    multiplies: int
    long_multiplies: int
    divides: int

    def scaled(self, share: float) -> Mix:
        """All counts times `share`, rounded."""
        return Mix(*(round(value * share) for value in self._values()))

    def _values(self) -> Iterable[int]:
        return (getattr(self, name) for name in self.__dataclass_fields__)

    def __sub__(self, other: Mix) -> Mix:
        pairs = zip(self._values(), other._values(), strict=True)
        return Mix(*(mine - theirs for mine, theirs in pairs))


def measure(
    found: Machine, elf: Path, *, data: bytes = b"", room: int = 0,
    without: Iterable[str] = (), timeout_s: float = 300.0,
) -> Mix:  # fmt: skip
    """Run `elf` in its own folder in QEMU and classify what it executed outside of the harness.

    `data` and `room` as for `execute_qemu`. Raises `ToolError` if QEMU is missing, fails or takes
    too long.
    """
    log = elf.parent / "blocks.log"
    more = ("-d", "exec,nochain,in_asm", "-D", log.name)
    execute_qemu(found, elf, timeout_s, data=data, room=room, counted=False, more=more)
    with log.open() as lines:
        return parse(lines, without)


def parse(lines: Iterable[str], without: Iterable[str] = ()) -> Mix:
    """The mix in a log of `-d exec,nochain,in_asm`, the functions `without` left out."""
    hidden = HARNESS | set(without)
    blocks: dict[int, _Block] = {}
    block, found, before = _Block(""), Counter[str](), -1
    for line in lines:
        if trace := _TRACE.match(line):
            current = blocks.get(int(trace[1], 16))
            if current is None or current.name in hidden:
                before = -1
                continue
            found.update(current.kinds)
            found["taken"] += before >= 0 and current.start != before
            before = current.end
        elif start := _BLOCK.match(line):
            block = _Block(start[1].partition(".")[0])
        elif match := _LINE.match(line):
            block.add(int(match[1], 16), match[3], match[4], _size(match[2]))
            blocks[block.start] = block
    return Mix(*(found[name] for name in Mix.__dataclass_fields__))


def _size(words: str) -> int:
    """Bytes of an instruction written as hexadecimal words."""
    return len(words.replace(" ", "")) // 2


class _Block:
    """A translated block: where it stands and what is in it."""

    def __init__(self, name: str) -> None:
        self.name, self.start, self.end = name, -1, -1
        self.kinds: Counter[str] = Counter()
        self._after_load = False

    def add(self, address: int, mnemonic: str, operands: str, size: int) -> None:
        """One more instruction at the end."""
        self.start = address if self.start < 0 else self.start
        self.end = address + size
        self.kinds["instructions"] += 1
        base = mnemonic.partition(".w")[0]
        loads = bool(_LOAD.match(base))
        if loads:
            self.kinds["loads"] += 1
            self.kinds["paired"] += self._after_load
        elif _STORE.match(base):
            self.kinds["stores"] += 1
        elif _LONG.search(base):
            self.kinds["long_multiplies"] += 1
        elif _MULTIPLY.search(base):
            self.kinds["multiplies"] += 1
        elif re.match(r"[us]?div|rem", base):
            self.kinds["divides"] += 1
        if loads or _STORE.match(base):
            self.kinds["words"] += _further(base, operands)
        self._after_load = loads


def _further(mnemonic: str, operands: str) -> int:
    """Words beyond the first of a multiple load or store."""
    if mnemonic.startswith(("ldrd", "strd")):
        return 1
    if "{" not in operands:
        return 0
    registers = 0
    for part in operands.partition("{")[2].partition("}")[0].split(","):
        low, _, high = part.strip().partition("-")
        registers += int(high.lstrip("rsd")) - int(low.lstrip("rsd")) + 1 if high else 1
    return registers - 1
