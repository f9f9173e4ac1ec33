"""Firmware of strangers in QEMU: whatever it asks of the host, nothing of the host is touched."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.execute import Ran, execute_qemu
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.qemu import MACHINES, SANDBOX, machine, sandbox
from snnstack.backends.mcu.run import run, stand_in_sources
from snnstack.backends.mcu.toolchain import build, find
from snnstack.errors import DataError, ToolError
from snnstack.files import write_directory
from tests.firmware.firmware_model import spikes
from tests.firmware.test_firmware import BOARDS, M4, everything

ANSWERED = """
static uint32_t number, wrong;
static void expect(intptr_t found) { number++; if (found != -1) wrong |= 1u << number; }
int main(void)
{
    const uintptr_t command[2] = { (uintptr_t)"touch {made}", {made_bytes} };
    const uintptr_t secret[3] = { (uintptr_t)"{secret}", 0, {secret_bytes} };
    const uintptr_t fresh[3] = { (uintptr_t)"{made}", 4, {made_bytes} };
    const uintptr_t victim[2] = { (uintptr_t)"{secret}", {secret_bytes} };
    const uintptr_t moved[4] = { victim[0], victim[1], fresh[0], fresh[2] };
    uint32_t operation;
    expect(semihost(0x12, command)); /* SYS_SYSTEM */
    expect(semihost(SYS_OPEN, secret));
    expect(semihost(SYS_OPEN, fresh));
    expect(semihost(0x0E, victim)); /* SYS_REMOVE */
    expect(semihost(0x0F, moved));  /* SYS_RENAME */
    for (operation = 0; operation < 0x120; operation++)
        if (operation != SYS_OPEN && operation != SYS_WRITE0 && operation != SYS_EXIT_EXTENDED
            && operation != SYS_READ && operation != SYS_WRITE)
            expect(semihost(operation, operation & 1 ? victim : command));
    host_print(wrong ? "answered\\n" : "refused\\n");
    host_exit(0);
    return 0;
}
"""
"""Asks for what a host could do, all through what our test programs use."""

UNHANDLED = """
{define}
int main(void)
{
    const uintptr_t command[2] = { (uintptr_t)"touch {made}", {made_bytes} };
    const uintptr_t victim[2] = { (uintptr_t)"{secret}", {secret_bytes} };
    {own}(0x12, command);
    {own}(0x0E, victim);
    {own}(SYS_WRITE0, "out\\n");
    for (;;) {
    }
}
"""
"""The same without qemu/host.c, or by another instruction."""
SVC = """static void svc(uintptr_t o, const void *a)
{
    register uintptr_t r0 __asm__("r0") = o;
    register const void *r1 __asm__("r1") = a;
    __asm__ volatile("svc 0xab" : "+r"(r0) : "r"(r1) : "memory");
}"""


@pytest.fixture
def host(tmp_path: Path) -> tuple[Path, Path]:
    """(a file that must stay, a path at which nothing may come to be)."""
    secret = tmp_path / "secret"
    secret.write_text("kept")
    return secret, tmp_path / "made"


def attempt(
    board: str, source: str, host: tuple[Path, Path], *, served: bool = True, **more: str
) -> Ran:
    """Build a stranger's program on the emitted project and run it for three seconds at most."""
    secret, made = host
    hw = hardware(everything(board).board)
    folder = secret.parent / "project"
    write_directory(emit(everything(board)), folder)
    words = {
        "made": str(made), "made_bytes": str(len(str(made))), "secret": str(secret),
        "secret_bytes": str(len(str(secret))), **more,
    }  # fmt: skip
    for name, text in words.items():
        source = source.replace("{" + name + "}", text)
    (folder / "main.c").write_text(f'#include "semihost.h"\n{source}')
    sources = [s for s in stand_in_sources(hw) if served or s != "qemu/host.c"]
    script = "qemu/link.ld" if served else "bare.ld"
    text = (folder / "qemu" / "link.ld").read_text().replace("*(.host .vectors)", "*(.host)")
    (folder / "bare.ld").write_text(text.replace("KEEP(*(.host_vectors))", "KEEP(*(.vectors))"))
    image = build(find(hw), folder, [*sources, "main.c"], script, "main.elf")
    try:
        return execute_qemu(machine(hw.qemu_machine), image.elf, 3.0)
    finally:
        assert secret.read_text() == "kept"
        assert not made.exists()


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_requests_to_the_host_are_refused(board: str, host: tuple[Path, Path]) -> None:
    assert attempt(board, ANSWERED, host).text == "refused\n"


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_qemu_itself_answers_no_request(board: str, host: tuple[Path, Path]) -> None:
    """Not even printing: without what is linked to the test programs, a request is a fault."""
    start = time.monotonic()
    with pytest.raises(ToolError, match="did not end within 3 s; last output: no output"):
        attempt(board, UNHANDLED, host, served=False, own="(void)semihost", define="")
    assert time.monotonic() - start < 20


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "microbit-v1"])
@pytest.mark.parametrize("served", [True, False])
def test_a_supervisor_call_is_none_either(
    board: str, served: bool, host: tuple[Path, Path]
) -> None:
    with pytest.raises(ToolError, match="did not end within 3 s; last output: no output"):
        attempt(board, UNHANDLED, host, served=served, own="svc", define=SVC)


TALK = "int main(void) { %s for (;;) { } }"
CONSOLE = {
    "nrf51": "REG(0x40002500) = 4; REG(0x40002008) = 1; REG(0x4000211c) = 0; "
    "REG(0x4000251c) = c; while (!REG(0x4000211c)) { }",
    "cmsdk": "REG(0x40004010) = 16; REG(0x40004008) = 1; REG(0x40004000) = c;",
    "16550": "*(volatile uint8_t *)0x10000000 = c;",
}


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (r"\001ffffffff", "wrote 4294967295 bytes where 0 can be"),
        (r"\00200000001", "wrote 1 bytes where 0 can be"),
        (r"\0010000000g", r"asked for b'\x010000000g', which is no request"),
        (r"\004x", r"asked for b'\x04x', which is no request"),
        (r"\0047", "failed with status 7; last output: no output"),
    ],
)
@pytest.mark.parametrize("board", ["microbit-v1", M4, "hifive1-revb"])
def test_a_lie_on_the_console_is_an_error(
    board: str, said: str, message: str, host: tuple[Path, Path]
) -> None:
    found = machine(hardware(everything(board).board).qemu_machine)
    source = (
        "#define REG(a) (*(volatile uint32_t *)(a))\n"
        f"static void say(uint8_t c) {{ {CONSOLE[found.console]} }}\n"
        + TALK
        % f'const char *t = "{said}"; while (*t) say((uint8_t)*t++);'
    )
    with pytest.raises(ToolError) as error:
        attempt(board, source, host)
    assert str(error.value) == f"{found.binary} -M {found.name}: {message}"


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "hifive1-revb"])
def test_endless_talk_is_ended(
    board: str, host: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnstack.backends.mcu.execute.TEXT_BYTES", 2000)
    with pytest.raises(ToolError, match=r"printed more than 2000 bytes$"):
        attempt(board, TALK % 'for (;;) host_print("0123456789");', host)


@pytest.mark.needs_qemu
def test_a_machine_that_stops_is_no_result(host: tuple[Path, Path]) -> None:
    power_off = "*(volatile uint32_t *)0x00100000 = 0x5555;"
    with pytest.raises(ToolError, match="ended before the firmware said so"):
        attempt("hifive1-revb", TALK % power_off, host)
    host[0].parent.joinpath("project").rename(host[0].parent / "first")
    reset = "*(volatile uint32_t *)0xe000ed0c = 0x05fa0004;"
    with pytest.raises(ToolError, match="ended before the firmware said so"):
        attempt(M4, TALK % reset, host)


def test_no_machine_has_a_way_to_the_host() -> None:
    for found in MACHINES.values():
        argv = found.argv("x.elf", "memory.bin")
        assert argv[argv.index("-semihosting-config") + 1] == "enable=off"
        assert argv[argv.index("-nic") + 1] == "none"
        assert argv[argv.index("-monitor") + 1] == "none"
        assert {"-nodefaults", "-no-reboot"} < set(argv)
        assert not any("semihosting" in word for word in argv if word != "-semihosting-config")


def test_the_sandbox_is_used_where_qemu_knows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, status in (("with", 0), ("without", 1)):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\nexit {status}\n")
        tool.chmod(0o755)
        assert sandbox(str(tool)) == (SANDBOX if status == 0 else ())


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "hifive1-revb"])
def test_data_larger_than_the_window_pass_in_pieces(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = everything(board)
    given = spikes(net.input.shape, 0.5, most=net.input.max_count, batch=2, steps=30)
    whole = run(net, given, probes=net.variables)
    found = machine(hardware(net.board).qemu_machine)
    window = type(found.window)
    monkeypatch.setattr(window, "half", 1000)
    pieces = run(net, given, probes=net.variables)
    for key, states in whole.states.items():
        assert (states == pieces.states[key]).all()
    for name, counts in whole.counts.items():
        expected = counts.other["instructions"].tolist()
        assert pieces.counts[name].other["instructions"].tolist() == expected


@pytest.mark.needs_qemu
def test_a_machine_that_cannot_be_refilled_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    net = everything("microbit-v1")
    given = spikes(net.input.shape, 0.5, most=net.input.max_count, batch=2, steps=30)
    window = type(machine("microbit").window)
    monkeypatch.setattr(window, "half", 5000)
    with pytest.raises(DataError) as error:
        run(net, given, probes=net.variables)
    assert "take fewer samples or steps at a time" in str(error.value)
