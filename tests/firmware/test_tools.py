"""What is said when a tool is missing, hangs or crashes, or the data do not fit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.qemu import MACHINES, machine
from snnstack.backends.mcu.run import run, stand_in_sources
from snnstack.backends.mcu.toolchain import build, find
from snnstack.errors import DataError, TargetError, ToolError
from snnstack.files import write_directory
from snnstack.process import execute
from tests.firmware.firmware_model import spikes
from tests.firmware.test_firmware import BOARDS, M4, everything

ARM = hardware(everything(M4).board)
RISCV = hardware(everything("hifive1-revb").board)


FAULT = """
void HardFault_Handler(void);
void HardFault_Handler(void) { host_print("fault\\n"); host_exit(3); }
int main(void) { *(volatile uint32_t *)0xE8000000u = 1; host_exit(0); return 0; }
"""


def image(board: str, main: str, folder: Path) -> tuple[Path, str]:
    """A C program of its own, on the emitted start-up code."""
    net = everything(board)
    write_directory(emit(net), folder / "project")
    hw = hardware(net.board)
    (folder / "project" / "main.c").write_text(f'#include "semihost.h"\n{main}\n')
    sources = [*stand_in_sources(hw), "main.c"]
    build(find(hw), folder / "project", sources, "qemu/link.ld", "main.elf")
    return folder / "project" / "main.elf", hw.qemu_machine


def test_a_missing_compiler_is_named_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("SNNSTACK_TOOLCHAIN", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    expected = {
        (ARM, None): "arm-none-eabi-gcc: not found (install it: apt-get install "
        "gcc-arm-none-eabi, or pip install ziglang)",
        (ARM, "gcc"): "arm-none-eabi-gcc: not found (install it: apt-get install "
        "gcc-arm-none-eabi)",
        (RISCV, "gcc"): "riscv64-unknown-elf-gcc: not found (install it: apt-get install "
        "gcc-riscv64-unknown-elf)",
        (ARM, "zig"): "zig: not found (install it: pip install ziglang)",
    }
    for (board, choice), text in expected.items():
        with pytest.raises(ToolError) as error:
            find(board, choice)
        assert str(error.value) == text


def test_the_environment_chooses_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang", reason="pip install ziglang")
    monkeypatch.setenv("SNNSTACK_TOOLCHAIN", "zig")
    assert find(ARM).kind == "zig"
    monkeypatch.setenv("SNNSTACK_TOOLCHAIN", "clang")
    with pytest.raises(TargetError) as error:
        find(ARM)
    assert str(error.value) == 'toolchain \'clang\': is not known (use "gcc" or "zig")'


def test_a_missing_simulator_is_named_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    net = everything(M4)
    with pytest.raises(ToolError) as error:
        run(net, spikes(net.input.shape, 0.1))
    assert str(error.value) == (
        "qemu-system-arm: not found (install it: apt-get install qemu-system-arm)"
    )


def test_an_unknown_machine_lists_the_known_ones() -> None:
    with pytest.raises(TargetError) as error:
        machine("pdp-11")
    assert str(error.value) == (
        "qemu_machine 'pdp-11': is not known (one of microbit, mps2-an385, mps2-an386, "
        "mps2-an500, mps2-an505, mps3-an547, virt)"
    )


def test_one_instruction_lasts_more_than_two_ticks_or_exactly_one() -> None:
    for found in MACHINES.values():
        instructions, ticks = found.ratio
        assert ticks > 2 * instructions or found.ratio == (1, 1)


def test_every_mistake_in_data_and_probes_is_reported() -> None:
    net = everything(M4)
    wrong = spikes((3,), 0.9, most=9)
    with pytest.raises(DataError) as error:
        run(net, wrong, probes=[("out", "i"), ("nobody", "v")])
    assert str(error.value).splitlines() == [
        "input input: events of shape (3,), the network reads (2, 6, 6)",
        "input input: count 9 above the limit 3",
        "probe ('out', 'i'): no such state",
        "probe ('nobody', 'v'): no such state",
    ]


@pytest.mark.needs_qemu
def test_a_hanging_machine_is_ended_and_named(tmp_path: Path) -> None:
    elf, name = image(M4, 'int main(void) { host_print("so far\\n"); for (;;) { } }', tmp_path)
    start = time.monotonic()
    with pytest.raises(ToolError) as error:
        execute_qemu(machine(name), elf, 1.0)
    assert time.monotonic() - start < 5
    assert str(error.value) == (
        "qemu-system-arm -M mps2-an386: did not end within 1 s; last output: so far"
    )


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_a_fault_ends_the_run_with_a_message(board: str, tmp_path: Path) -> None:
    elf, name = image(board, FAULT, tmp_path)
    with pytest.raises(ToolError) as error:
        execute_qemu(machine(name), elf, 20)
    binary = machine(name).binary
    expected = f"{binary} -M {name}: failed with status 3; last output: fault"
    assert str(error.value) == expected


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(ToolError) as error:
        execute(["sleep", "60"], timeout_s=0.2)
    assert str(error.value) == "sleep: did not end within 0.2 s"


def test_a_command_that_fails_is_quoted() -> None:
    with pytest.raises(ToolError) as error:
        execute(["sh", "-c", "echo one; echo two >&2; exit 3"], timeout_s=5)
    assert str(error.value) == "sh: failed with status 3: two"


@pytest.mark.needs_qemu
def test_too_little_time_is_an_error() -> None:
    net = everything(M4)
    given = spikes(net.input.shape, 0.5, batch=200, steps=200)
    with pytest.raises(ToolError, match=r"^qemu-system-arm -M mps2-an386: did not end within"):
        run(net, given, timeout_s=0.2)
