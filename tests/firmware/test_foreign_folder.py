"""Programs and folders of strangers: nothing that lies in them is compiled or executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snnstack.api import open_program
from snnstack.backends.mcu import toolchain
from snnstack.backends.mcu.flash import flash, plan_flash
from snnstack.backends.mcu.run import selftest
from snnstack.backends.mcu.store import emit
from snnstack.board import load_board
from snnstack.errors import TargetError
from snnstack.files import write_directory
from snnstack.program import MANIFEST, digest
from snnstack.saving import unlike_emitted
from tests.firmware.test_firmware import M4, everything
from tests.firmware.test_flash import elf, fake
from tests.firmware.test_project import with_golden


def strangers(folder: Path) -> Path:
    """A program whose C reads files of this computer; its digests are right."""
    files = emit(with_golden(everything(M4)))
    for name in ("src/net.c", "test/selftest.c", "test/harness.c", "qemu/host.c"):
        files[name] = b'#include "/etc/hostname"\n__asm__(".incbin \\"/etc/passwd\\"");\n'
    manifest = json.loads(files.pop(MANIFEST))
    manifest["files"] = {name: digest({name: content}) for name, content in files.items()}
    write_directory({**files, MANIFEST: json.dumps(manifest).encode()}, folder / "program")
    return folder / "program"


@pytest.mark.needs_qemu
def test_what_is_built_is_written_anew_from_the_programs_data(tmp_path: Path) -> None:
    program, _ = open_program(strangers(tmp_path))
    assert selftest(program) == "self-test: passed\n"  # type: ignore[arg-type]


def test_files_that_the_program_does_not_emit_are_named(tmp_path: Path) -> None:
    folder = strangers(tmp_path)
    program, _ = open_program(folder)
    assert unlike_emitted(program, folder) == [
        "qemu/host.c", "src/net.c", "test/harness.c", "test/selftest.c",
    ]  # fmt: skip
    write_directory(emit(everything(M4)), tmp_path / "own")
    assert unlike_emitted(open_program(tmp_path / "own")[0], tmp_path / "own") == []


HOSTILE = "import pathlib; pathlib.Path({made!r}).touch()\n"


def test_tools_on_boards_start_in_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """pyocd and OpenOCD execute scripts that lie where they are started."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    for name in ("pyocd_user.py", "pyocd.yaml", "openocd.cfg", ".gdbinit", "platformio.ini"):
        (cwd / name).write_text(HOSTILE.format(made=str(tmp_path / "made")))
    (cwd / "board").mkdir()
    (cwd / "board" / "st_nucleo_f0.cfg").write_text("exec touch made\n")
    (cwd / "board.elf").write_bytes(elf((0x0800_0000, b"ab")))
    for tool in ("pyocd", "openocd"):
        fake(tmp_path / "bin", tool, 'pwd; ls -A; for f in "$@"; do ls -- "$f"; done; exit 0')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.chdir(cwd)
    for tool in ("pyocd", "openocd"):
        plan = plan_flash(load_board("nucleo-f091rc"), Path("board.elf"), tool=tool)
        first, *others = flash(plan).splitlines()
        assert Path(first) != cwd and not Path(first).exists()
        assert others == ([str(cwd / "board.hex")] if tool == "pyocd" else [])
        assert any("board.hex" in line for line in plan.lines())


@pytest.mark.parametrize("name", ["a};exec x;{", "a$b", "a[exec x]", 'a"b', "a\\b"])
def test_a_path_that_openocd_would_execute_is_refused(name: str) -> None:
    board = load_board("nucleo-f091rc")
    with pytest.raises(TargetError, match=r"which OpenOCD would execute \(build it in another"):
        plan_flash(board, Path(name) / "board.elf", tool="openocd")
    assert plan_flash(board, Path(name) / "board.elf", tool="pyocd").commands


def test_a_port_is_no_option() -> None:
    with pytest.raises(TargetError) as error:
        plan_flash(load_board("esp32-c3"), Path("b.elf"), tool="esptool", port="--before=x")
    assert str(error.value) == (
        "port '--before=x': is no serial port (name a device such as /dev/ttyACM0 or COM3)"
    )
    for port in ("/dev/ttyACM0", "COM3", "/dev/cu.usbmodem-1", "socket://10.0.0.1:3333"):
        assert plan_flash(load_board("esp32-c3"), Path("b.elf"), tool="esptool", port=port)


def test_python_tools_do_not_import_from_the_folder_they_start_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    found = toolchain.find(toolchain_board(), "zig")
    assert found.command[:3] == (sys.executable, "-P", "-m")
    (tmp_path / "json.py").write_text(HOSTILE.format(made=str(tmp_path / "made")))
    argv = [*found.command[:3], "json.tool", "--help"]
    subprocess.run(argv, cwd=tmp_path, env={**os.environ}, check=True, capture_output=True)
    assert not (tmp_path / "made").exists()


def toolchain_board() -> toolchain.McuHardware:
    from snnstack.backends.mcu.hardware import hardware

    return hardware(load_board(M4))
