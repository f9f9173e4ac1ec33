"""The emitted project: its text, and what compilers say about it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.events import in_memory
from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.geometry import quotient
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.program import DenseTable, Golden, Program, Route
from snnstack.backends.mcu.qemu import machine
from snnstack.backends.mcu.run import (
    board_sources,
    build_qemu,
    describe,
    library_sources,
    selftest,
)
from snnstack.backends.mcu.toolchain import build, find
from snnstack.errors import DataError, ToolError
from snnstack.files import write_directory
from snnstack.foreign_text import identifiers
from tests.firmware.firmware_model import layer, needs_gcc, port, program, simulate, spikes, weights
from tests.firmware.test_firmware import BOARDS, CASES, M4, everything

STRICT = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Wconversion",
    "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wno-sign-conversion", "-Werror",
)  # fmt: skip


def with_golden(net: Program) -> Program:
    """The network with a recorded run, taken from the dense model."""
    from dataclasses import replace

    given = spikes(net.input.shape, 0.2, most=net.input.max_count, batch=1, steps=10)
    found = simulate(net, given)
    elements, per_step = in_memory(net, given)
    total = sum(found[x.name, "v"][0].sum(axis=1) for x in net.layers)
    golden = Golden(
        events=tuple(np.split(elements, np.cumsum(per_step)[:-1])),
        spikes=np.stack([found[x.name, "s"][0].sum(axis=1) for x in net.layers], axis=1),
        checksum=(np.asarray(total) & 0xFFFFFFFF).astype(np.uint32),
    )
    return replace(net, golden=golden)


def project(net: Program, folder: Path) -> Path:
    write_directory(emit(net), folder / "project")
    return folder / "project"


def test_the_same_program_gives_the_same_bytes() -> None:
    assert emit(with_golden(everything(M4))) == emit(with_golden(everything(M4)))


def test_another_program_has_another_digest_in_every_banner() -> None:
    one = emit(everything(M4))
    two = emit(program(M4, *CASES["dense"]))  # type: ignore[misc]
    for name in ("include/net.h", "src/net.c", "CMakeLists.txt"):
        assert one[name].splitlines()[0] != two[name].splitlines()[0]
        assert b"@digest@" not in one[name]


def test_the_project_has_the_files_of_a_library() -> None:
    expected = {
        "include/net.h", "src/net.c", "src/net_weights.c", "src/net_weights.h",
        "src/net_kernels.h", "CMakeLists.txt", "toolchain.cmake", "board/startup.c",
        "board/memory.c", "board/link.ld", "qemu/link.ld", "qemu/host.c", "test/semihost.h",
        "test/timer.h", "test/harness.c",
    }  # fmt: skip
    assert set(emit(everything(M4))) == expected
    assert set(emit(with_golden(everything(M4)))) == expected | {"test/selftest.c"}


def test_the_linker_scripts_have_the_boards_memory() -> None:
    files = emit(everything("microbit-v1"))
    assert b"LENGTH = 16384" in files["board/link.ld"]
    files = emit(everything("nucleo-u575zi-q"))
    assert b"ORIGIN = 0x08000000, LENGTH = 2097152" in files["board/link.ld"]
    assert b"ORIGIN = 0x38000000, LENGTH = 786432" in files["qemu/link.ld"]


def test_names_of_users_become_different_identifiers() -> None:
    assert identifiers(["input", "1", "fc 1", "fc-1", "", "µ"]) == (
        "input", "1", "fc_1", "fc_1_2", "layer", "_",
    )  # fmt: skip


@pytest.mark.parametrize("bound", [1, 2, 49, 784, 2312, 30000, 46341, 65536])
def test_a_division_by_a_constant_is_exact(bound: int) -> None:
    x = np.arange(bound, dtype=np.uint64)
    for divisor in (1, 2, 3, 5, 7, 10, 34, 68, 127, 196, 578, 1000):
        q = quotient(divisor, bound)
        if q.multiply:
            assert bound * q.multiply < 2**32
            np.testing.assert_array_equal((x * q.multiply) >> np.uint64(q.shift), x // divisor)


@pytest.mark.parametrize("case", ["dense", "pool", "convolution by channel", "delays", "readout"])
def test_the_source_has_no_warning(case: str, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    folder = project(program(M4, *CASES[case]), tmp_path)  # type: ignore[misc]
    for source in ("src/net.c", "src/net_weights.c"):
        subprocess.run(
            [compiler, *STRICT, "-O2", "-Iinclude", "-Isrc", "-c", source, "-o", "out.o"],
            cwd=folder, check=True, timeout=60,
        )  # fmt: skip


@pytest.mark.parametrize("standard", ["c++98", "c++11"])
def test_the_header_is_c_plus_plus_too(standard: str, tmp_path: Path) -> None:
    compiler = shutil.which("g++") or pytest.skip("no host g++ (apt-get install g++)")
    folder = project(everything(M4), tmp_path)
    layers = len(everything(M4).layers)
    (folder / "use.cpp").write_text(
        '#include "net.h"\n'
        "static net_state one, two; static const net_event *const none = 0;\n"
        "int main() { net_init(&one); net_init(&two); net_step(&one, none, 0);\n"
        f"  return NET_LAYERS == {layers} && net_v(&two, NET_LAYER_OUT) ? 0 : 1; }}\n"
    )
    (folder / "plain.c").write_text('#include "src/net.c"\n#include "src/net_weights.c"\n')
    plain = ["gcc", "-Iinclude", "-Isrc", "-c", "plain.c"]
    subprocess.run(plain, cwd=folder, check=True, timeout=60)
    subprocess.run(
        [compiler, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Iinclude",
         "use.cpp", "plain.o", "-o", "use"], cwd=folder, check=True, timeout=60,
    )  # fmt: skip
    assert subprocess.run([folder / "use"], timeout=10, check=False).returncode == 0


def test_runs_of_many_steps_sum_output_spikes(tmp_path: Path) -> None:
    """`net_run` on this computer, against the dense model."""
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    net = program(M4, *CASES["recurrent"])  # type: ignore[misc]
    folder, given = project(net, tmp_path), spikes((20,), 0.2, batch=1, steps=9)
    elements, per_step = in_memory(net, given)
    (folder / "main.c").write_text(
        '#include <stdio.h>\n#include "net.h"\nstatic net_state s;\n'
        f"static const net_event events[] = {{ {', '.join(map(str, elements))} }};\n"
        f"static const uint32_t n[] = {{ {', '.join(map(str, per_step))} }};\n"
        "int main(void) { static uint32_t sums[NET_OUTPUTS]; unsigned k;\n"
        "  net_init(&s); net_run(&s, events, n, 9, sums);\n"
        '  for (k = 0; k < NET_OUTPUTS; k++) printf("%u ", (unsigned)sums[k]);\n'
        "  return 0; }\n"
    )
    sources = ["src/net.c", "src/net_weights.c", "main.c"]
    subprocess.run(
        [compiler, "-fsanitize=undefined,address", "-fno-sanitize-recover", "-Iinclude", "-Isrc",
         *sources, "-o", "main"], cwd=folder, check=True, timeout=60,
    )  # fmt: skip
    done = subprocess.run([folder / "main"], capture_output=True, text=True, timeout=10, check=True)
    expected = simulate(net, given)["hidden", "s"][0].sum(axis=0)
    assert list(map(int, done.stdout.split())) == expected.tolist()


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_the_board_image_has_no_warning_and_little_stack(board: str, tmp_path: Path) -> None:
    net = with_golden(everything(board))
    folder, hw = project(net, tmp_path), hardware(net.board)
    sources = [*library_sources(net), *board_sources(hw), "test/selftest.c"]
    extra = ["-Werror"]
    image = build(find(hw, "gcc"), folder, sources, "board/link.ld", "test.elf", defines=extra)
    assert image.flash > plan(net).flash_bytes
    assert image.stack["net_step"] <= 64
    spilled = 512 if hw.core == "cortex-m55" else 256  # its registers hold 16 bytes
    assert max(image.stack.values()) <= spilled


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("case", CASES)
def test_the_planned_state_is_the_compiled_state(case: str, tmp_path: Path) -> None:
    net = program(M4, *CASES[case])  # type: ignore[misc]
    folder, planned = project(net, tmp_path), plan(net).state_bytes
    text = f'#include "net.h"\nextern char same[sizeof(net_state) == {planned} ? 1 : -1];\n'
    (folder / "size.c").write_text(text)
    argv = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-Iinclude", "-fsyntax-only", "size.c"]
    subprocess.run(argv, cwd=folder, check=True, timeout=30)


@pytest.mark.needs_qemu
@pytest.mark.needs_zig
@pytest.mark.parametrize("board", [M4, "hifive1-revb"])
def test_zig_has_no_warning_either(board: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="pip install ziglang")
    net = everything(board)
    folder, hw = project(net, tmp_path), hardware(net.board)
    sources = [*library_sources(net), *board_sources(hw), "test/harness.c"]
    extra = ["-Werror"]
    image = build(find(hw, "zig"), folder, sources, "board/link.ld", "test.elf", defines=extra)
    assert image.flash > plan(net).flash_bytes


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_the_self_test_passes(board: str) -> None:
    assert selftest(with_golden(everything(board))) == "self-test: passed\n"


@pytest.mark.needs_qemu
def test_the_self_test_notices_a_wrong_weight() -> None:
    from dataclasses import replace

    net = program(M4, (layer("out", (4,), Route("in", 0, DenseTable(weights(6, 4)))),),
                  port((6,), name="in"))  # fmt: skip
    golden = with_golden(net).golden
    bent = np.array(weights(6, 4))
    bent[0, 0] += 1 if bent[0, 0] < 127 else -1
    other = replace(net.layers[0], routes=(Route("in", 0, DenseTable(bent)),))
    with pytest.raises(ToolError) as error:
        selftest(replace(net, layers=(other,), golden=golden))
    assert str(error.value) == (
        "qemu-system-arm -M mps2-an386: failed with status 1; last output: self-test: FAILED"
    )


def test_a_program_without_a_golden_run_has_no_self_test() -> None:
    with pytest.raises(DataError, match=r"^net: has no golden run to repeat$"):
        selftest(everything(M4))


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "hifive1-revb"])
def test_cmake_builds_the_project(board: str, tmp_path: Path) -> None:
    cmake = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    net = with_golden(everything(board))
    folder = project(net, tmp_path)
    options = ["-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake", "-DSNN_QEMU=ON"]
    for argv in ([cmake, *options, "-S", ".", "-B", "out"], [cmake, "--build", "out"]):
        subprocess.run(argv, cwd=folder, check=True, timeout=120, capture_output=True)
    found = machine(hardware(net.board).qemu_machine)
    assert "passed" in execute_qemu(found, folder / "out" / "selftest.elf", 30).text


@needs_gcc
@pytest.mark.needs_qemu
def test_the_description_names_machine_and_compiler() -> None:
    text = describe(everything(M4), "gcc")
    assert text.startswith("qemu-system-arm -M mps2-an386 (Cortex-M4), arm-none-eabi-gcc 1")


@needs_gcc
@pytest.mark.needs_qemu
def test_memory_of_the_board_is_the_limit(tmp_path: Path) -> None:
    net = program("microbit-v1", (layer("wide", (5000,), bias=1),), port((1,)))
    with pytest.raises(ToolError, match=r"will not fit in region `RAM'|overflowed by"):
        build_qemu(net, tmp_path / "firmware", "test/harness.c", "gcc")
