"""The memory plan against the linker: every byte of the map file, for many kinds of network."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.footprint import measured, selftest_image
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.memory import memory_plan
from snnstack.backends.mcu.program import Program
from snnstack.files import write_directory
from tests.firmware.firmware_model import needs_gcc, program
from tests.firmware.test_firmware import CASES, M4, M55, everything
from tests.firmware.test_project import with_golden

pytestmark = [needs_gcc, pytest.mark.needs_qemu]

_SECTION = re.compile(r"^(\.[\w.]+)\s*\n?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)", re.MULTILINE)
_PIECE = re.compile(r"^ (\.[\w.]+)\s*\n?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)


def planned(net: Program) -> Program:
    """With a golden run and the plan that the compiler of networks would make."""
    net = with_golden(net)
    return replace(net, memory=memory_plan(net))


NETWORKS = {
    **{
        case: (M4, case) for case in ("dense", "sparse", "delays", "refractory", "overlapping pool")
    },
    "packed weights of 4 bits": (M55, "packed weights of 4 bits"),
    "convolution": ("nucleo-h7a3zi-q", "convolution, padding"),
    **{f"everything on {board}": (board, "") for board in ("microbit-v1", M55, "hifive1-revb")},
}


def network(name: str) -> Program:
    board, case = NETWORKS[name]
    if not case:
        return planned(everything(board))
    return planned(program(board, *CASES[case]))  # type: ignore[misc]


def sections(text: str) -> dict[str, int]:
    """{output section: bytes} of a linker's map."""
    body = text.partition("Linker script and memory map")[2]
    return {name: int(size, 16) for name, _, size in _SECTION.findall(body)}


def from_object(text: str, end: str, prefix: str) -> int:
    """Bytes of the sections of one object file that were kept."""
    body = text.partition("Linker script and memory map")[2]
    return sum(
        int(size, 16)
        for name, at, size, file in _PIECE.findall(body)
        if file.endswith(end) and name.startswith(prefix) and int(at, 16)
    )


def assert_exact(found: Program, text: str) -> None:
    size, memory = sections(text), found.memory
    flash = size[".text"] + size.get(".ARM.exidx", 0) + size.get(".data", 0)
    assert memory["flash"] == flash
    assert memory["ram"] == size.get(".data", 0) + size[".bss"] + size[".stack"]
    assert memory["code"] + memory["weights"] == memory["flash"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_plan_is_the_linkers_map(name: str, tmp_path: Path) -> None:
    net = network(name)
    found = measured(net, "gcc")
    image = selftest_image(net, tmp_path / "firmware", "gcc")
    text = image.elf.with_suffix(".map").read_text()
    assert_exact(found, text)
    assert "gcc" in found.memory_basis
    assert from_object(text, "net_weights.c.o", ".rodata") == plan(net).flash_bytes
    assert from_object(text, "selftest.c.o", ".bss") == plan(net).state_bytes
    assert found.memory["flash"] <= net.memory["flash"], "code is bounded from above"
    assert found.memory["ram"] == net.memory["ram"], "known without a compiler"


@pytest.mark.parametrize("board", [M4, "hifive1-revb"])
def test_the_plan_is_what_cmake_builds(board: str, tmp_path: Path) -> None:
    cmake = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    net = planned(everything(board))
    folder = tmp_path / "project"
    write_directory(emit(net), folder)
    for argv in ([cmake, "-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake", "-S", ".", "-B", "out"],
                 [cmake, "--build", "out"]):  # fmt: skip
        subprocess.run(argv, cwd=folder, check=True, timeout=120, capture_output=True)
    assert_exact(measured(net, "gcc"), (folder / "out" / "selftest.map").read_text())


def test_without_a_compiler_the_plan_stays_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("dense")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert measured(net) == net
    assert net.memory_basis == ""
