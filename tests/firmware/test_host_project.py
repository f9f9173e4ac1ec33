"""What the emitted folder does to the project that uses it: it adds a library, and no more."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.store import emit as emit_directory
from snnstack.files import write_directory
from tests.firmware.firmware_model import needs_gcc, program
from tests.firmware.test_firmware import CASES, M4, M55, everything
from tests.firmware.test_project import with_golden

ARCH = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft")
INCLUDES = ("-Ione/include", "-Itwo/include", "-Ione/src", "-Itwo/src")
APP = (
    '#include "one.h"\n#include "two.h"\nstatic one_state a;\nstatic two_state b;\n'
    "int main(void);\nint main(void) { one_init(&a); two_init(&b); return 0; }\n"
    "void Reset_Handler(void);\nvoid Reset_Handler(void) { main(); for (;;) { } }\n"
)
SCRIPT = (
    "ENTRY(Reset_Handler)\nMEMORY { ROM (rx) : ORIGIN = 0, LENGTH = 1M\n"
    "RAM (rw) : ORIGIN = 0x20000000, LENGTH = 1M }\n"
    "SECTIONS { .text : { *(.text* .rodata*) } > ROM .data : { *(.data*) } > RAM AT > ROM\n"
    ".bss (NOLOAD) : { *(.bss* COMMON) users_own_section = .; } > RAM\n"
    "/DISCARD/ : { *(.ARM.exidx* .comment) } }\n"
)


def pair(board: str = M4) -> tuple[Program, Program]:
    """Two networks with different kernels, both with a self-test."""
    one = with_golden(everything(board))
    two = with_golden(program(M4, *CASES["convolution by channel"]))  # type: ignore[misc]
    return replace(one, name="one"), replace(two, name="two")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for net in pair():
        write_directory(emit_directory(net), tmp_path / net.name)
    return tmp_path


def cmake(place: Path, *arguments: str) -> str:
    tool = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    done = subprocess.run(
        [tool, *arguments], cwd=place, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "warning" not in done.stderr.lower(), done.stderr[-2000:]
    return done.stdout


def application(place: Path, more: str = "") -> None:
    (place / "app.c").write_text(APP)
    (place / "user.ld").write_text(SCRIPT)
    (place / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n" + more + "project(application C)\n"
        "add_subdirectory(one)\nadd_subdirectory(two)\n"
        "add_executable(application app.c one/board/memory.c)\n"
        "target_link_libraries(application one two gcc)\n"
    )


FLAGS = (
    'set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostdlib -nostartfiles -T ${CMAKE_SOURCE_DIR}/user.ld")\n'
)


@needs_gcc
@pytest.mark.needs_qemu
def test_two_networks_in_one_cross_compiled_project(place: Path) -> None:
    """As in many makers' templates, one linker script is named for every executable."""
    application(place, FLAGS)
    cmake(place, "-DCMAKE_TOOLCHAIN_FILE=one/toolchain.cmake", "-S", ".", "-B", "out")
    listed = cmake(place, "--build", "out", "--target", "help")
    assert "selftest" not in listed
    cmake(place, "--build", "out")
    names = subprocess.run(
        ["arm-none-eabi-nm", "out/application"], cwd=place, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert {"one_step", "two_step", "users_own_section"} <= set(names.split())
    assert not list((place / "out").rglob("selftest*"))


@needs_gcc
@pytest.mark.needs_qemu
def test_all_has_only_what_the_user_builds(place: Path) -> None:
    application(place, FLAGS)
    text = (place / "CMakeLists.txt").read_text().replace("app.c one/", "app.c two/")
    text = text.replace("one two gcc", "two gcc")
    (place / "CMakeLists.txt").write_text(text)
    (place / "app.c").write_text(APP.replace("one_init(&a);", "(void)a;"))
    (place / "CMakeLists.txt").write_text(
        text + "target_include_directories(application PRIVATE one/include)\n"
    )
    cmake(place, "-DCMAKE_TOOLCHAIN_FILE=two/toolchain.cmake", "-S", ".", "-B", "out")
    cmake(place, "--build", "out")
    assert (place / "out/two/libtwo.a").is_file() and not (place / "out/one/libone.a").exists()


@needs_gcc
@pytest.mark.needs_qemu
def test_the_self_test_of_a_build_of_its_own_has_our_script_only(place: Path) -> None:
    (place / "user.ld").write_text(SCRIPT)
    flag = f"-DCMAKE_EXE_LINKER_FLAGS=-Wl,--no-undefined -T {place}/user.ld"
    options = ("-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake", "-S", ".", "-B", "out")
    cmake(place / "one", flag, *options)
    cmake(place / "one", "--build", "out")
    argv = ["arm-none-eabi-nm", "one/out/selftest.elf"]
    names = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=True).stdout
    assert "_stack_top" in names and "users_own_section" not in names


@pytest.mark.parametrize(
    "text",
    [
        '#include "one.c"\n#include "two.c"\n',
        '#include "one.c"\n#include "one_weights.c"\n#include "two.c"\n#include "two_weights.c"\n',
        '#include "one_link.h"\n#include "two_link.h"\n',
        '#define SNN_PROFILE\n#include "one_profile.h"\n#include "two_profile.h"\nint x;\n',
        '#define SNN_PROFILE\n#include "one_link.h"\n#include "two_link.h"\n#include "two.c"\n',
    ],
)
@pytest.mark.parametrize("board", [M4, M55])
@needs_gcc
def test_two_networks_share_a_translation_unit(text: str, board: str, tmp_path: Path) -> None:
    """Of two boards even, whose kernels differ."""
    for net in pair(board):
        write_directory(emit_directory(net), tmp_path / net.name)
    (tmp_path / "use.c").write_text(text)
    argv = ["arm-none-eabi-gcc", *ARCH, "-std=c99", "-Wall", "-Wextra", "-Werror",
            "-Wno-unused-function", *INCLUDES, "-fsyntax-only", "use.c"]  # fmt: skip
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)


def test_a_unity_build_links_and_runs(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    for net in pair():
        write_directory(emit_directory(net), tmp_path / net.name)
    (tmp_path / "use.c").write_text(
        '#include "one.c"\n#include "two.c"\n#include "one_weights.c"\n#include "two_weights.c"\n'
        "static one_state a; static two_state b;\n"
        "int main(void) { one_event e = 0; two_event f = 0; one_init(&a); two_init(&b);\n"
        "  one_step(&a, &e, 1); two_step(&b, &f, 1); return 0; }\n"
    )
    argv = [compiler, "-std=c99", "-Wall", "-Werror", *INCLUDES, "use.c", "-o", "use"]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    subprocess.run([tmp_path / "use"], check=True, timeout=10)


def test_the_folder_is_an_esp_idf_component(tmp_path: Path) -> None:
    """Its registration runs CMakeLists.txt as a script, the build as part of the project."""
    net = replace(with_golden(everything("esp32-c3")), name="one")
    write_directory(emit_directory(net), tmp_path / "one")
    function = (
        "function(idf_component_register)\n"
        '  cmake_parse_arguments(_ "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS" ${ARGN})\n'
        '  message(STATUS "registered ${__SRCS} in ${__INCLUDE_DIRS}, ${__PRIV_INCLUDE_DIRS}")\n'
    )
    script = f"{function}endfunction()\ninclude(one/CMakeLists.txt)\n"
    (tmp_path / "register.cmake").write_text(script)
    found = cmake(tmp_path, "-P", "register.cmake")
    assert "registered src/one.c;src/one_weights.c in include, src" in found
    if shutil.which("gcc") is None:
        pytest.skip("no host gcc (apt-get install gcc)")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\n" + function +
        "  set(COMPONENT_LIB idf_one PARENT_SCOPE)\n"
        "  add_library(idf_one STATIC ${__SRCS})\n"
        "  target_include_directories(idf_one PUBLIC ${__INCLUDE_DIRS})\n"
        "  target_include_directories(idf_one PRIVATE ${__PRIV_INCLUDE_DIRS})\n"
        "endfunction()\nadd_subdirectory(one)\n"
    )  # fmt: skip
    cmake(tmp_path, "-S", ".", "-B", "out")
    cmake(tmp_path, "--build", "out")
    assert (tmp_path / "out/one/libidf_one.a").is_file()
