"""The emitted folder as a Zephyr module, an Arduino and a PlatformIO library.

Each format is judged by its own tool where one is installed, and by its published rules always.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.packaging import package_files, program_id
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.qemu import machine
from snnstack.backends.mcu.run import library_sources, run, stand_in_sources
from snnstack.backends.mcu.store import emit as emit_directory
from snnstack.backends.mcu.toolchain import build, find
from snnstack.files import write_directory
from tests.firmware.firmware_model import needs_gcc, port, program, spikes
from tests.firmware.test_firmware import CASES, M4, everything
from tests.firmware.test_project import with_golden

MODULE_KEYS = {"name", "build", "tests", "samples", "boards", "blobs"}
BUILD_KEYS = {
    "cmake", "kconfig", "cmake-ext", "kconfig-ext", "sysbuild-cmake", "sysbuild-kconfig",
    "sysbuild-cmake-ext", "sysbuild-kconfig-ext", "depends", "settings",
}  # fmt: skip
"""The schema in Zephyr's scripts/zephyr_module.py."""
ARDUINO_KEYS = {
    "name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
    "architectures", "depends", "dot_a_linkage", "includes", "precompiled", "ldflags",
}  # fmt: skip
ARDUINO_CATEGORIES = {
    "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
    "Data Storage", "Data Processing", "Other",
}  # fmt: skip
"""Arduino library specification, 1.5 format, revision 2.2."""


def folder_of(net: Program, folder: Path) -> Path:
    write_directory(emit_directory(net), folder / "snn_net")
    return folder / "snn_net"


def properties(text: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.decode().splitlines())


def test_the_same_program_gives_the_same_package() -> None:
    assert emit_directory(everything(M4)) == emit_directory(everything(M4))


def test_the_manifest_knows_every_file_of_the_package() -> None:
    files = emit_directory(everything(M4))
    assert set(json.loads(files["manifest.json"])["files"]) == set(files) - {"manifest.json"}


def test_the_program_number_is_that_of_the_project() -> None:
    one, two = (emit(net) for net in (everything(M4), program(M4, *CASES["dense"])))  # type: ignore[misc]
    assert program_id(one) != program_id(two)
    header = package_files(everything(M4), one)["include/net_link.h"].decode()
    assert f"#define NET_PROGRAM 0x{program_id(one):08x}u" in header


# Zephyr


def simple_yaml(text: str) -> dict[str, Any]:
    """Two levels of `key: value`, all that the file uses."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(":")
        if line.startswith(" "):
            found[next(reversed(found))][key] = value.strip()
        else:
            found[key] = value.strip() or {}
    return found


def test_the_module_file_has_only_keys_of_zephyrs_schema() -> None:
    files = emit_directory(everything(M4))
    module = simple_yaml(files["zephyr/module.yml"].decode())
    assert set(module) <= MODULE_KEYS and set(module["build"]) <= BUILD_KEYS
    assert f"{module['build']['cmake']}/CMakeLists.txt" in files
    assert module["build"]["kconfig"] in files


def test_the_kconfig_file_is_read_by_kconfiglib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kconfiglib = pytest.importorskip("kconfiglib", reason="pip install kconfiglib")
    folder = folder_of(everything(M4), tmp_path)
    monkeypatch.chdir(tmp_path)
    parsed = kconfiglib.Kconfig(str(folder / "zephyr" / "Kconfig"), warn_to_stderr=False)
    assert not parsed.warnings
    parsed.syms["SNN_NET_PROFILE"].set_value("y")
    assert parsed.syms["SNN_NET_PROFILE"].str_value == "n"
    parsed.syms["SNN_NET"].set_value("y")
    assert parsed.syms["SNN_NET_PROFILE"].str_value == "y"


ZEPHYR = """cmake_minimum_required(VERSION 3.16)
project(app C)
set(CONFIG_SNN_NET y)
set(CONFIG_SNN_NET_PROFILE y)
function(zephyr_include_directories dir)
  include_directories(${dir})
endfunction()
function(zephyr_compile_definitions)
  add_compile_definitions(${ARGV})
endfunction()
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(current ${name})
endmacro()
function(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${current} PRIVATE ${ARGV})
endfunction()
add_subdirectory(snn_net/zephyr module)
"""


def test_the_zephyr_cmake_file_builds_the_library(tmp_path: Path) -> None:
    """With Zephyr's functions reduced to what CMake itself does."""
    cmake = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    folder_of(everything(M4), tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR)
    for argv in ([cmake, "-S", ".", "-B", "out"], [cmake, "--build", "out"]):
        subprocess.run(argv, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    assert list(tmp_path.glob("out/module/libsnn_net.a"))


# Arduino


def test_the_arduino_properties_follow_the_specification() -> None:
    files = emit_directory(everything(M4))
    found = properties(files["library.properties"])
    assert set(found) <= ARDUINO_KEYS
    for key in ("name", "version", "author", "maintainer", "sentence", "paragraph", "url"):
        assert found[key].strip() == found[key] != "", key
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,62}", found["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert found["category"] in ARDUINO_CATEGORIES
    assert found["architectures"] == "*"
    assert all(f"src/{name}" in files for name in found["includes"].split(","))


def test_arduino_examples_are_folders_with_a_sketch_of_the_same_name() -> None:
    sketches = [name for name in emit_directory(everything(M4)) if name.endswith(".ino")]
    assert sorted(sketches) == ["examples/Device/Device.ino", "examples/Stream/Stream.ino"]


ARDUINO_H = """#include <stdint.h>
#include <stddef.h>
struct Stream {
  void begin(unsigned long);
  int read();
  size_t write(const uint8_t *, size_t);
  void println(unsigned long);
  void println(long);
};
extern Stream Serial;
"""


@pytest.mark.parametrize("case", ["dense", "readout", "counts"])
@pytest.mark.parametrize("sketch", ["Device", "Stream"])
def test_a_sketch_finds_the_library_with_src_alone(case: str, sketch: str, tmp_path: Path) -> None:
    """As Arduino builds: C files and the sketch with only `src/` on the include path."""
    for tool in ("gcc", "g++"):
        _ = shutil.which(tool) or pytest.skip(f"no host {tool} (apt-get install {tool})")
    folder = folder_of(program(M4, *CASES[case]), tmp_path)  # type: ignore[misc]
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    for source in ("net", "net_weights"):
        argv = ["gcc", "-std=gnu11", "-Wall", "-Werror", "-Isrc", "-c", f"src/{source}.c"]
        subprocess.run(argv, cwd=folder, check=True, timeout=60)
    path = f"examples/{sketch}/{sketch}.ino"
    argv = ["g++", "-std=gnu++11", "-Wall", "-Wextra", "-Werror", "-Isrc", f"-I{tmp_path}",
            "-include", "Arduino.h", "-x", "c++", "-c", path, "-o", "sketch.o"]  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True, timeout=60)


# PlatformIO


def test_the_platformio_manifest_names_what_is_there() -> None:
    files = emit_directory(everything(M4))
    library = json.loads(files["library.json"])
    assert re.fullmatch(r"[\w\-.]{1,100}", library["name"])
    assert all(f"{library['build']['srcDir']}/{name}" in files for name in library["headers"])
    for example in library["examples"]:
        assert all(f"{example['base']}/{name}" in files for name in example["files"])


CHECK = """import sys
from platformio.package.manifest.parser import ManifestParserFactory
from platformio.package.manifest.schema import ManifestSchema
parsed = ManifestParserFactory.new_from_file(sys.argv[1]).as_dict()
loaded = ManifestSchema().load_manifest(parsed)
print(loaded["name"], loaded["version"])
"""


@pytest.mark.parametrize("manifest", ["library.json", "library.properties"])
def test_platformio_accepts_both_manifests(manifest: str, tmp_path: Path) -> None:
    """PlatformIO reads Arduino's format as well; its schema refuses unknown or empty fields."""
    pio = shutil.which("pio") or pytest.skip("pio not found: pip install platformio")
    folder = folder_of(everything(M4), tmp_path)
    python = Path(pio).parent / "python"
    done = subprocess.run(
        [python, "-c", CHECK, str(folder / manifest)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "snn_net 1.0.0\n", done.stderr


def test_platformio_packs_the_library(tmp_path: Path) -> None:
    pio = shutil.which("pio") or pytest.skip("pio not found: pip install platformio")
    folder = folder_of(everything(M4), tmp_path)
    done = subprocess.run(
        [pio, "pkg", "pack", str(folder), "-o", str(tmp_path / "out.tar.gz")],
        capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"src/net.c", "include/net.h", "library.json"} <= names
    assert not any(name.startswith(("board", "program")) for name in names)


# Profiling and the README

PROFILE = """#include "semihost.h"
#define SNN_PROFILE
#define SNN_PROFILE_TIMER
#include "net_profile.h"
static net_state state;
static uint32_t spent[NET_LAYERS + 1];
static const net_event events[] = { %s };
static const uint32_t counts[] = { %s };
void HardFault_Handler(void);
void HardFault_Handler(void) { host_exit(3); }
int main(void)
{
    const net_event *next = events;
    char digits[9];
    uint32_t t, k, d;
    net_init(&state);
    SNN_PROFILE_START();
    for (t = 0; t < %d; t++) {
        net_step_profiled(&state, next, counts[t], spent);
        next += counts[t];
    }
    for (k = 0; k <= NET_LAYERS; k++) {
        for (d = 0; d < 8; d++)
            digits[d] = "0123456789abcdef"[spent[k] >> (28 - 4 * d) & 15];
        digits[8] = 0;
        host_print(digits);
        host_print("\\n");
    }
    host_exit(0);
    return 0;
}
"""


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "microbit-v1", "hifive1-revb"])
def test_the_profile_is_what_the_harness_counts(board: str, tmp_path: Path) -> None:
    net = program(board, *CASES["recurrent"])  # type: ignore[misc]
    given = spikes((20,), 0.2, batch=1, steps=6)
    folder, hw = folder_of(net, tmp_path), hardware(net.board)
    elements = ", ".join(map(str, given.indices.tolist()))
    steps = ", ".join(map(str, (given.indptr[1:] - given.indptr[:-1]).tolist()))
    (folder / "main.c").write_text(PROFILE % (elements, steps, given.steps))
    sources = [*library_sources(net), *stand_in_sources(hw), "main.c"]
    image = build(find(hw, "gcc"), folder, sources, "qemu/link.ld", "main.elf", defines=["-Werror"])
    printed = execute_qemu(machine(hw.qemu_machine), image.elf, 30).text
    found = [int(line, 16) for line in printed.split()]
    counted = run(net, given).counts
    assert found[1] == pytest.approx(counted["hidden"].other["instructions"][0], rel=0.02)


@pytest.mark.parametrize("board", [M4, "microbit-v1", "hifive1-revb", "rpi-pico2"])
def test_the_counter_of_the_silicon_compiles_without_warning(board: str, tmp_path: Path) -> None:
    hw = hardware(everything(board).board)
    if not shutil.which(find(hw).command[0]):
        pytest.skip("no compiler for the board")
    folder = folder_of(everything(board), tmp_path)
    (folder / "use.c").write_text(
        '#define SNN_PROFILE\n#include "net_link.h"\nstatic net_state s; static uint32_t t[9];\n'
        "void use(net_link *link); void use(net_link *link) { SNN_PROFILE_START();\n"
        "  net_step_profiled(&s, 0, 0, t); net_link_serve(link, &s, 0, 0); }\n"
    )
    compiler = find(hw)
    argv = [*compiler.command, *compiler.arch, "-std=c99", "-pedantic", "-ffreestanding", "-Wall",
            "-Wextra", "-Werror", "-Iinclude", "-c", "use.c", "-o", "use.o"]  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True, timeout=60)


def test_the_readme_tells_the_golden_run() -> None:
    net = with_golden(everything(M4))
    text = package_files(net, emit(net))["README.md"].decode()
    assert net.golden is not None
    last = len(net.golden.events) - 1
    cells = " | ".join(map(str, net.golden.spikes[last].tolist()))
    count = len(net.golden.events[last])
    checksum = int(net.golden.checksum[last])
    assert f"| {last} | {count} | {cells} | 0x{checksum:08x} |\n" in text
    plain = everything(M4)
    text = package_files(plain, emit(plain))["README.md"].decode()
    assert "None: the model was compiled without" in text


def test_an_input_with_counts_makes_room_for_them() -> None:
    net = program(M4, CASES["dense"][0], port((20,), max_count=9))
    sketch = package_files(net, emit(net))["examples/Device/Device.ino"]
    assert b"events[NET_INPUTS * 4u]" in sketch
