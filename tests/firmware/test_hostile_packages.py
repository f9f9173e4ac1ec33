"""The files by which Zephyr, ESP-IDF, Arduino and PlatformIO know a library, of hostile names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import snnstack
from snnstack.files import write_directory
from snnstack.target import backend
from tests.hostile import NAMES, network

BOARDS = ("nucleo-l4r5zi", "esp32-c3")


@pytest.fixture(scope="module", params=BOARDS)
def files(request: pytest.FixtureRequest) -> dict[str, bytes]:
    title = "a */ ]==])\nexecute_process(COMMAND true)\n#include \"/etc/passwd\"\n=cmd|'x'!A0 $(id)"
    made = snnstack.compile(network(NAMES, title), request.param)
    return dict(backend("mcu").emit(made))


def test_a_module_of_zephyr_is_plain(files: dict[str, bytes]) -> None:
    yaml = files["zephyr/module.yml"].decode()
    assert re.fullmatch(r"(#[^\n]*\n|[a-z_ -]*:[ A-Za-z0-9_./-]*\n|\n)*", yaml), yaml
    kconfig = files["zephyr/Kconfig"].decode()
    assert not re.search(r"^\s*(source|orsource|osource|option)\b", kconfig, re.MULTILINE)
    assert "$(" not in kconfig


def test_lines_of_arduino_hold_one_key_each(files: dict[str, bytes]) -> None:
    lines = files["library.properties"].decode().splitlines()
    keys = [line.partition("=")[0] for line in lines if line]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= {
        *("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"),
        *("architectures", "includes", "depends", "dot_a_linkage", "license", "precompiled"),
        "ldflags",
    }


def test_the_library_of_platformio_runs_nothing(files: dict[str, bytes]) -> None:
    found = json.loads(files["library.json"])
    assert re.fullmatch(r"[a-z0-9_]+", found["name"])
    assert "extraScript" not in json.dumps(found)
    assert "scripts" not in found


def test_every_cmake_file_runs_nothing(files: dict[str, bytes], tmp_path: Path) -> None:
    """CMake itself configures the project: a name that closed a string or comment would show."""
    for name, text in files.items():
        if name.endswith(("CMakeLists.txt", ".cmake")):
            assert not re.search(rb"execute_process\s*\(|include\s*\(\s*/", text), name
    cmake = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    write_directory(files, tmp_path / "p")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\nadd_subdirectory(p)\n"
    )
    subprocess.run(
        [cmake, "-S", ".", "-B", "b", f"-DCMAKE_C_COMPILER={compiler}"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CMakeLists.txt", "b", "p"]
