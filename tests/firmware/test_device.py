"""Runs on a board: through a fake probe that is QEMU, and over a pseudo-terminal to C code."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from snnstack.backends.mcu.device import describe, probe_command, run_on_board
from snnstack.backends.mcu.packaging import package_files
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import run
from snnstack.backends.mcu.store import emit as emit_directory
from snnstack.board import load_board
from snnstack.errors import TargetError, ToolError
from snnstack.files import write_directory
from snnstack.trace import Spikes, Trace
from tests.firmware.firmware_model import needs_gcc, program, simulate, spikes, without_regions
from tests.firmware.test_firmware import CASES, everything
from tests.firmware.test_flash import fake

F4 = "stm32f4-discovery"
"""QEMU's netduinoplus2 has this board's flash and main RAM: it can run the board's own image,
unless that uses the memory coupled to the core (`without_regions`)."""


def everything_equal(net: Program, given: Spikes, found: Trace) -> None:
    expected = simulate(net, given)
    for layer in net.layers:
        shape = (given.batch, given.steps, layer.n)
        if layer.threshold is not None:
            dense = found.spikes[layer.name].dense().reshape(shape)
            np.testing.assert_array_equal(dense, expected[layer.name, "s"])
        np.testing.assert_array_equal(found.states[layer.name, "v"], expected[layer.name, "v"])


# A fake probe

QEMU = """echo "$@" > {folder}/argv
echo "Open On-Chip Debugger 0.12.0"
qemu-system-arm -M netduinoplus2 -nic none -display none -monitor none -serial none \\
  -chardev stdio,id=c -semihosting-config enable=on,target=native,chardev=c \\
  -kernel board.elf < /dev/null 2>&1
{after}"""


@contextmanager
def probe(monkeypatch: pytest.MonkeyPatch, folder: Path, after: str = "") -> Iterator[None]:
    fake(folder / "bin", "openocd", QEMU.format(folder=folder, after=after))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    yield


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("after", ["", "sleep 60"], ids=["tool ends", "tool stays"])
def test_a_run_through_a_probe_is_the_dense_model(
    after: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = without_regions(everything(F4))
    given = spikes(net.input.shape, 0.2, most=net.input.max_count, batch=3, steps=5)
    seen: list[tuple[int, int]] = []
    with probe(monkeypatch, tmp_path, after):
        found = run_on_board(
            net, given, F4, probes=net.variables, tool="openocd",
            progress=lambda done, total: seen.append((done, total)),
        )  # fmt: skip
    everything_equal(net, given, found)
    assert seen[-1] == (3, 3)
    argv = (tmp_path / "argv").read_text()
    assert argv.startswith("-f board/stm32f4discovery.cfg -c init -c reset halt -c program {board")
    assert "arm semihosting enable -c resume" in argv
    assert all(set(c.other) == {"cycles"} for c in found.counts.values())


@needs_gcc
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "echo 'Error: open failed'; exit 1",
            "openocd: no debug probe was found (connect ST STM32F4DISCOVERY: STM32F407VG, "
            "Cortex-M4F by USB; on Linux, install the udev rules of its probe)",
        ),
        ("echo 'lost the target'; exit 1", "openocd: ended early: lost the target"),
        (
            "echo done; sleep 60",
            "openocd: 1 of 2 samples were done within 1.5 s; last output: done",
        ),
    ],
)
def test_a_probe_that_fails_is_named(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(tmp_path / "bin", "openocd", text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    net = everything(F4)
    given = spikes(net.input.shape, 0.1)
    with pytest.raises(ToolError) as error:
        run_on_board(net, given, F4, tool="openocd", timeout_s=1.5)
    assert str(error.value) == message


def test_the_commands_of_the_probes_are_exact() -> None:
    elf = Path("board.elf")
    assert probe_command(load_board("nrf52840-dk"), elf, "pyocd") == (
        "pyocd", "run", "--no-wait", "--target", "nrf52840", "board.hex",
    )  # fmt: skip
    assert probe_command(load_board("hifive1-revb"), elf) == (
        "openocd", "-f", "board/sifive-hifive1-revb.cfg", "-c", "init", "-c", "reset halt",
        "-c", "program {board.hex} verify", "-c", "reset halt", "-c", "arm semihosting enable",
        "-c", "resume",
    )  # fmt: skip


def test_another_board_or_runner_is_refused() -> None:
    net = everything(F4)
    given = spikes(net.input.shape, 0.1)
    with pytest.raises(TargetError) as error:
        run_on_board(net, given, "rpi-pico")
    assert str(error.value) == (
        "board rpi-pico: the program was compiled for stm32f4-discovery (compile the model again "
        "with --board rpi-pico)"
    )
    with pytest.raises(TargetError) as error:
        probe_command(load_board("esp32-c3"), Path("board.elf"))
    assert str(error.value) == (
        "board esp32-c3: runner esptool cannot read results back (use --runner pyocd or openocd, "
        "or --port of a board that runs the Device sketch)"
    )


# A serial line

MAIN = """#include <unistd.h>
static unsigned ticks;
#define SNN_PROFILE
#define SNN_PROFILE_NOW() (ticks += 3)
#include "net_link.h"
static net_state state;
static net_event events[ROOM];
static unsigned long seen;
static void take(void *port, void *to, uint32_t bytes)
{
    uint8_t *p = to;
    while (bytes > 0) {
        ssize_t n = read(0, p, bytes);
        if (n <= 0)
            _exit(0);
        seen += (unsigned long)n;
#ifdef BROKEN
        if (seen > BROKEN && seen - (unsigned long)n <= BROKEN)
            *p ^= 1;
#endif
        p += n;
        bytes -= (uint32_t)n;
    }
    (void)port;
}
static void give(void *port, const void *from, uint32_t bytes)
{
    const uint8_t *p = from;
    while (bytes > 0) {
        ssize_t n = write(1, p, bytes);
        if (n <= 0)
            _exit(0);
        p += n;
        bytes -= (uint32_t)n;
    }
    (void)port;
}
int main(void)
{
    net_link link = { 0, take, give, 0 };
    net_init(&state);
    net_link_serve(&link, &state, events, ROOM);
    return 0;
}
"""


@contextmanager
def board_on_a_line(net: Program, folder: Path, *defines: str) -> Iterator[str]:
    """The emitted library and its link, compiled for this computer; the name of its port."""
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    write_directory(emit_directory(net), folder / "project")
    (folder / "project" / "main.c").write_text(MAIN)
    argv = [compiler, "-Wall", "-Wextra", "-Werror", "-DROOM=4000", *defines, "-Iinclude", "-Isrc",
            "src/net.c", "src/net_weights.c", "main.c", "-o", "served"]  # fmt: skip
    subprocess.run(argv, cwd=folder / "project", check=True, timeout=60)
    board_end, host_end = pty.openpty()
    process = subprocess.Popen([folder / "project" / "served"], stdin=board_end, stdout=board_end)
    try:
        yield os.ttyname(host_end)
    finally:
        process.kill()
        process.wait()
        os.close(board_end)
        os.close(host_end)


@pytest.mark.parametrize("case", ["everything", "recurrent", "delays", "readout", "counts"])
def test_a_run_over_a_line_is_the_dense_model(case: str, tmp_path: Path) -> None:
    net = everything(F4) if case == "everything" else program(F4, *CASES[case])  # type: ignore[misc]
    given = spikes(net.input.shape, 0.2, most=net.input.max_count, batch=2, steps=6)
    with board_on_a_line(net, tmp_path) as line:
        found = run_on_board(net, given, F4, probes=net.variables, port=line)
    everything_equal(net, given, found)
    for name in (net.input.name, *(layer.name for layer in net.layers)):
        assert found.counts[name].other["cycles"].tolist() == [3 * given.steps] * given.batch


def test_a_run_over_a_line_is_the_run_in_qemu_but_for_the_counts(tmp_path: Path) -> None:
    if not shutil.which("qemu-system-arm"):
        pytest.skip("qemu-system-arm not found: apt-get install qemu-system-arm")
    net = everything(F4)
    given = spikes(net.input.shape, 0.3, most=net.input.max_count, batch=1, steps=4)
    with board_on_a_line(net, tmp_path) as line:
        found = run_on_board(net, given, F4, probes=net.variables, port=line)
    other = run(net, given, probes=net.variables)
    assert all((found.states[key] == other.states[key]).all() for key in other.states)


def test_a_byte_that_is_lost_is_sent_again(tmp_path: Path) -> None:
    net = everything(F4)
    given = spikes(net.input.shape, 0.2, most=net.input.max_count, batch=1, steps=6)
    header = 1 + 1 + 4 * len(net.layers) + 1
    with board_on_a_line(net, tmp_path, f"-DBROKEN={header + 8}") as line:
        found = run_on_board(net, given, F4, probes=net.variables, port=line)
    everything_equal(net, given, found)


def test_a_board_with_another_program_is_refused(tmp_path: Path) -> None:
    net, other = program(F4, *CASES["dense"]), program(F4, *CASES["subtract"])  # type: ignore[misc]
    given = spikes((20,), 0.2)
    with board_on_a_line(other, tmp_path) as line, pytest.raises(ToolError) as error:
        run_on_board(net, given, F4, port=line)
    numbers = [
        next(
            text.split()[2].removeprefix("0x").removesuffix("u")
            for text in emit_directory(one)["include/net_link.h"].decode().splitlines()
            if text.startswith("#define NET_PROGRAM")
        )
        for one in (other, net)
    ]
    assert str(error.value) == (
        f"port {line}: the board runs program {numbers[0]}, expected {numbers[1]} (load the "
        "Device sketch of this directory)"
    )


def test_a_step_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    net = program(F4, *CASES["dense"])  # type: ignore[misc]
    given = spikes((20,), 1.0)
    with board_on_a_line(net, tmp_path, "-UROOM", "-DROOM=5") as line:
        with pytest.raises(ToolError) as error:
            run_on_board(net, given, F4, port=line)
        assert str(error.value) == (
            f"port {line}: a step has 20 events, more than the board's buffer holds (make "
            "`events` in the Device sketch larger)"
        )


def test_a_silent_port_is_named(tmp_path: Path) -> None:
    board_end, host_end = pty.openpty()
    net = program(F4, *CASES["dense"])  # type: ignore[misc]
    line = os.ttyname(host_end)
    try:
        with pytest.raises(ToolError) as error:
            run_on_board(net, spikes((20,), 0.1), F4, port=line, timeout_s=0.3)
    finally:
        os.close(board_end)
        os.close(host_end)
    assert str(error.value) == (
        f"port {line}: answered 0 of 16 bytes within 0.3 s (does the board run the emitted "
        "Device sketch, at 115200 baud?)"
    )


def test_a_port_that_is_not_there_is_named() -> None:
    net = program(F4, *CASES["dense"])  # type: ignore[misc]
    with pytest.raises(ToolError) as error:
        run_on_board(net, spikes((20,), 0.1), F4, port="/dev/no-such-port")
    assert str(error.value) == (
        "port /dev/no-such-port: cannot be opened: No such file or directory (connect the board; "
        "on Linux your user must be in the group dialout)"
    )


def test_the_way_is_part_of_the_description() -> None:
    net = everything(F4)
    title = net.board.title
    assert describe(net, "/dev/ttyACM0") == f"{title} over /dev/ttyACM0"
    assert describe(net, None, "openocd") == f"{title} through openocd"


def test_the_link_of_a_package_names_its_program() -> None:
    files = emit_directory(everything(F4))
    assert b"NET_PROGRAM 0x" in files["include/net_link.h"]
    assert package_files(everything(F4), {})["include/net_link.h"] != files["include/net_link.h"]
