"""Flashing: exact commands, the files they read, and what is said when something is missing."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.backends.mcu.flash import build_board, choose, find_drive, flash, plan_flash
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.image import Segment, intel_hex, rp2350_block, segments, uf2
from snnstack.board import Board, all_boards, load_board
from snnstack.errors import TargetError, ToolError
from tests.firmware.firmware_model import needs_gcc
from tests.firmware.test_firmware import everything
from tests.firmware.test_project import with_golden

IMAGE = Path("build/board.elf")


def elf(*parts: tuple[int, bytes]) -> bytes:
    """The smallest ELF file that loads `parts`."""
    head = 52 + 32 * len(parts)
    table, body = b"", b""
    for address, data in parts:
        at = head + len(body)
        table += struct.pack("<8I", 1, at, address, address, len(data), len(data), 5, 4)
        body += data
    start = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    fields = struct.pack("<2H5I6H", 2, 40, 1, 0, 52, 0, 0, 52, 32, len(parts), 0, 0, 0)
    return start + fields + table + body


def fake(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def lines(board: str, **options: str) -> tuple[str, ...]:
    return plan_flash(load_board(board), IMAGE, **options).lines()  # type: ignore[arg-type]


def test_the_commands_are_exact() -> None:
    assert lines("nrf52840-dk", tool="pyocd") == (
        "pyocd flash --no-wait --target nrf52840 build/board.hex",
    )
    assert lines("stm32f4-discovery", tool="openocd") == (
        "openocd -f board/stm32f4discovery.cfg -c 'program {build/board.hex} verify reset exit'",
    )
    assert lines("esp32-c3", port="/dev/ttyACM0") == (
        "esptool --chip esp32c3 elf2image --output build/board.bin build/board.elf",
        "esptool --chip esp32c3 --port /dev/ttyACM0 write-flash 0x10000 build/board.bin",
    )
    assert lines("rpi-pico2", tool="uf2") == ("cp build/board.uf2 /media/RP2350/",)
    assert lines("microbit-v2", tool="copy") == ("cp build/board.hex /media/MICROBIT/",)


@pytest.mark.parametrize("board", [b for b in all_boards() if b.target == "mcu"],
                         ids=lambda board: board.name)  # fmt: skip
def test_every_runner_of_every_board_has_a_command(board: Board) -> None:
    for runner in hardware(board).runners:
        assert plan_flash(board, IMAGE, tool=runner.tool).lines()
        assert runner.tool not in ("pyocd", "esptool") or runner.target
        assert runner.tool != "openocd" or runner.config
        assert runner.tool not in ("uf2", "copy") or runner.volume


def test_openocd_has_the_files_that_the_boards_name() -> None:
    scripts = Path("/usr/share/openocd/scripts")
    if not scripts.is_dir():
        pytest.skip("openocd not found: apt-get install openocd")
    for board in (b for b in all_boards() if b.target == "mcu"):
        for runner in hardware(board).runners:
            for name in runner.config:
                assert (scripts / name).is_file(), f"{board.name}: {name}"


def test_the_first_runner_whose_tool_is_installed_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = load_board("nrf52840-dk")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose(board).tool == "pyocd"
    fake(tmp_path, "openocd", "")
    assert choose(board).tool == "openocd"
    fake(tmp_path, "pyocd", "")
    assert choose(board).tool == "pyocd"


def test_a_runner_that_the_board_does_not_have_is_refused() -> None:
    with pytest.raises(TargetError) as error:
        choose(load_board("nrf52840-dk"), "esptool")
    assert str(error.value) == (
        "board nrf52840-dk: has no runner 'esptool' (it has pyocd, openocd)"
    )
    with pytest.raises(TargetError) as error:
        choose(load_board("apollo4p-evb"))
    assert str(error.value) == (
        "board apollo4p-evb: has no [[hardware.runners]] (use a maker's tool, or the emitted "
        "Arduino, PlatformIO or Zephyr package)"
    )


def test_a_missing_tool_is_named_with_its_install_command_and_other_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    image = tmp_path / "board.elf"
    image.write_bytes(elf((0, b"abcd")))
    with pytest.raises(ToolError) as error:
        flash(plan_flash(load_board("nrf52840-dk"), image, tool="pyocd"))
    assert str(error.value) == (
        "pyocd: not found (install it: pip install pyocd, or use --runner openocd)"
    )


@pytest.mark.parametrize(
    ("board", "tool", "printed", "message"),
    [
        (
            "nrf52840-dk", "pyocd",
            "echo 'No connected debug probes'; echo '0000487 E No target device available' >&2",
            "pyocd: no debug probe was found (connect Nordic nRF52840 DK: nRF52840, Cortex-M4F by "
            "USB; on Linux, install the udev rules of its probe)",
        ),
        (
            "nucleo-f091rc", "openocd", "echo 'Error: open failed' >&2",
            "openocd: no debug probe was found (connect ST NUCLEO-F091RC: STM32F091RC, Cortex-M0 "
            "by USB; on Linux, install the udev rules of its probe)",
        ),
        (
            "esp32-c3", "esptool", "echo 'Could not open /dev/ttyUSB9, the port is busy' >&2",
            "esptool: the serial port cannot be opened (name the board's port with --port, and "
            "hold its boot button while it resets)",
        ),
        (
            "nucleo-f091rc", "pyocd",
            "echo \"Target type stm32f091rctx not recognized. Use 'pyocd list --targets'\" >&2",
            "pyocd: does not know the chip (install its pack: pyocd pack install stm32f091rctx)",
        ),
        (
            "nucleo-f091rc", "pyocd", "echo 'flash erase failure' >&2",
            "pyocd: failed with status 1: flash erase failure",
        ),
    ],
)  # fmt: skip
def test_a_failure_says_what_to_do(
    board: str, tool: str, printed: str, message: str,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    fake(tmp_path / "bin", tool, f"{printed}\nexit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    image = tmp_path / "board.elf"
    image.write_bytes(elf((hardware(load_board(board)).flash_origin, b"abcd")))
    with pytest.raises(ToolError) as error:
        flash(plan_flash(load_board(board), image, tool=tool))
    assert str(error.value) == message


def test_the_tool_gets_the_file_that_the_plan_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(tmp_path / "bin", "pyocd", 'cat "$5"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    image = tmp_path / "board.elf"
    image.write_bytes(elf((0x0800_0000, b"ab")))
    printed = flash(plan_flash(load_board("nucleo-f091rc"), image, tool="pyocd"))
    assert printed == ":020000040800F2\n:0200000061623B\n:00000001FF\n"


def test_a_file_is_copied_to_the_drive_of_the_board(tmp_path: Path) -> None:
    board, image = load_board("microbit-v2"), tmp_path / "board.elf"
    image.write_bytes(elf((0, b"abcd")))
    drive = tmp_path / "media" / "somebody" / "MICROBIT"
    drive.mkdir(parents=True)
    roots = [str(tmp_path / "media")]
    assert find_drive("MICROBIT", roots) == drive
    flash(plan_flash(board, image, tool="copy", drives=roots))
    assert (drive / "board.hex").read_bytes().endswith(b":00000001FF\n")


def test_a_drive_that_is_not_there_is_named(tmp_path: Path) -> None:
    image = tmp_path / "board.elf"
    image.write_bytes(elf((0x1000_0100, b"abcd")))
    plan = plan_flash(load_board("rpi-pico2"), image, tool="uf2", drives=[str(tmp_path)])
    with pytest.raises(ToolError) as error:
        flash(plan)
    assert str(error.value) == (
        f"drive {tmp_path}/RP2350: is not there; looked for RP2350 under /media, /run/media, "
        "/mnt, /Volumes (connect Raspberry Pi Pico 2: RP2350, Cortex-M33 by USB, with its boot "
        "button held if it has one)"
    )


def test_an_image_that_is_missing_or_no_program_is_refused(tmp_path: Path) -> None:
    board, image = load_board("microbit-v2"), tmp_path / "board.elf"
    with pytest.raises(ToolError) as error:
        flash(plan_flash(board, image, tool="copy"))
    assert str(error.value) == f"{image}: there is no such file (build the firmware first)"
    with pytest.raises(ToolError) as error:
        segments(b"MZ" * 40, hardware(board))
    assert str(error.value) == "image: is not a 32-bit little-endian ELF file"
    with pytest.raises(ToolError) as error:
        segments(elf(), hardware(board))
    assert str(error.value) == "image: has nothing to load"
    whole = elf((hardware(board).flash_origin, b"abcdefgh"))
    for length in range(6, len(whole)):
        with pytest.raises(ToolError):
            segments(whole[:length], hardware(board))


def test_a_pipe_a_device_or_a_folder_is_no_firmware(tmp_path: Path) -> None:
    """A pipe would wait for ever, /dev/zero never end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 2**28 + 1)
    for image, what in (
        (tmp_path / "pipe", "is no regular file"),
        (tmp_path, "is no regular file"),
        (Path("/dev/zero"), "is no regular file"),
        (tmp_path / "large", f"has {2**28 + 1} bytes, at most {2**28}"),
    ):
        with pytest.raises(ToolError) as error:
            flash(plan_flash(load_board("microbit-v2"), image, tool="copy"))
        assert str(error.value) == f"{image}: {what} (name the firmware, an ELF file)"


def test_a_firmware_is_not_written_over(tmp_path: Path) -> None:
    for ending in ("hex", "UF2"):
        image = tmp_path / f"mine.{ending}"
        image.write_bytes(elf((0, b"abcdefgh")))
        with pytest.raises(ToolError) as error:
            flash(plan_flash(load_board("microbit-v2"), image, tool="copy"))
        assert "would be written over" in str(error.value)
        assert image.read_bytes() == elf((0, b"abcdefgh"))


def read_hex(text: bytes) -> dict[int, int]:
    """{address: byte}, from the definition of the format."""
    found, base = {}, 0
    for line in text.decode().splitlines():
        record = bytes.fromhex(line[1:])
        assert sum(record) % 256 == 0
        length, address, kind = record[0], int.from_bytes(record[1:3], "big"), record[3]
        assert len(record) == length + 5
        if kind == 4:
            base = int.from_bytes(record[4:6], "big") << 16
        elif kind == 0:
            found |= {base + address + k: byte for k, byte in enumerate(record[4:-1])}
    return found


@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=700))
def test_a_hex_file_holds_every_byte_at_its_address(start: int, data: bytes) -> None:
    found = read_hex(intel_hex([Segment(start, data)]))
    assert found == {start + k: byte for k, byte in enumerate(data)}


@given(st.integers(0, 2**20), st.binary(min_size=1, max_size=700))
def test_a_uf2_file_holds_every_byte_at_its_address(start: int, data: bytes) -> None:
    """Blocks of 512 bytes as https://github.com/microsoft/uf2 describes them."""
    blocks = uf2([Segment(start, data)], 0xE48BFF59)
    assert len(blocks) % 512 == 0
    memory = {}
    for k in range(len(blocks) // 512):
        block = blocks[512 * k : 512 * (k + 1)]
        words = struct.unpack("<8I", block[:32])
        assert words[:3] == (0x0A324655, 0x9E5D5157, 0x2000)
        assert words[4:] == (256, k, len(blocks) // 512, 0xE48BFF59)
        assert words[3] % 256 == 0
        assert struct.unpack("<I", block[508:])[0] == 0x0AB16F30
        memory |= {words[3] + j: byte for j, byte in enumerate(block[32:288])}
    assert all(memory[start + k] == byte for k, byte in enumerate(data))


def test_the_rp2350_finds_an_image_definition_before_the_vectors() -> None:
    board = hardware(load_board("rpi-pico2"))
    block, program = segments(elf((0x1000_0100, b"code")), board)
    assert block.address == 0x1000_0000 and len(block.data) <= 256
    assert block.data == rp2350_block(0x1000_0100)
    assert program == Segment(0x1000_0100, b"code")
    words = struct.unpack("<7I", block.data)
    assert (words[0], words[-1]) == (0xFFFFDED3, 0xAB123579)
    assert words[4] >> 8 == len(words) - 4  # words of all items before the last one


def test_nothing_is_written_below_the_program() -> None:
    """Linkers put their headers into the page in front of an unaligned origin."""
    board = hardware(load_board("rpi-pico"))
    parts = segments(elf((0x1000_0000, b"\x7fELF".ljust(256, b"h") + b"vectors")), board)
    assert parts == (Segment(0x1000_0100, b"vectors"),)


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", ["stm32f4-discovery", "rpi-pico2", "longan-nano", "esp32-c3"])
def test_the_self_test_of_a_board_becomes_its_image(board: str, tmp_path: Path) -> None:
    net = with_golden(everything(board))
    image = build_board(net, tmp_path / "firmware")
    hw = hardware(net.board)
    parts = segments(image.elf.read_bytes(), hw)
    assert parts[-1].address >= hw.flash_origin
    assert hw.flash_origin in {part.address for part in parts}
    assert sum(len(p.data) for p in parts) >= image.flash


def test_a_program_without_a_golden_run_needs_an_image(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as error:
        build_board(everything("stm32f4-discovery"), tmp_path / "firmware")
    assert str(error.value) == (
        "net: has no golden run, so no self-test (compile the model with --calibrate DATA, or "
        "give --image FILE)"
    )


@needs_gcc
@pytest.mark.needs_qemu
def test_esptool_takes_the_image(tmp_path: Path) -> None:
    esptool = shutil.which("esptool") or pytest.skip("esptool not found: pip install esptool")
    image = build_board(with_golden(everything("esp32-c3")), tmp_path / "firmware")
    command = plan_flash(load_board("esp32-c3"), image.elf).commands[0]
    done = subprocess.run(
        [esptool, *command[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert image.elf.with_suffix(".bin").read_bytes()[0] == 0xE9


def test_pyocd_knows_the_built_in_targets_that_the_boards_name() -> None:
    pyocd = shutil.which("pyocd") or pytest.skip("pyocd not found: pip install pyocd")
    listed = subprocess.run(
        [pyocd, "list", "--targets"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    known = {line.split()[0] for line in listed.splitlines() if line.strip()}
    for name in ("microbit-v1", "microbit-v2", "nrf52840-dk", "rpi-pico", "rpi-pico2",
                 "nucleo-f767zi", "teensy41"):  # fmt: skip
        targets = [r.target for r in hardware(load_board(name)).runners if r.tool == "pyocd"]
        assert targets and set(targets) <= known, name


def test_a_plan_for_another_image_is_a_value(tmp_path: Path) -> None:
    plan = plan_flash(load_board("microbit-v2"), IMAGE, tool="copy")
    assert replace(plan, image=tmp_path / "x.elf").board is plan.board
