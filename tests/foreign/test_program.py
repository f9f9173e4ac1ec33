"""Of a program's directory only what its manifest lists is read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from snnstack.errors import TargetError
from snnstack.program import MANIFEST, read_directory


def manifest(path: Path, *names: str) -> None:
    path.mkdir(exist_ok=True)
    (path / MANIFEST).write_text(json.dumps({"files": dict.fromkeys(names, "0")}))


def test_what_was_added_is_not_read(tmp_path: Path) -> None:
    manifest(tmp_path, "a.c", "deep/b.c", "missing.c")
    (tmp_path / "deep").mkdir()
    for name in ("a.c", "deep/b.c", "mine.txt"):
        (tmp_path / name).write_text(name)
    with (tmp_path / "build.bin").open("wb") as file:
        file.truncate(2**40)
    os.mkfifo(tmp_path / "pipe")
    assert sorted(read_directory(tmp_path)) == ["a.c", "deep/b.c", MANIFEST]


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    manifest(tmp_path / "prog", "../secret", str(tmp_path / "secret"), "pipe")
    with pytest.raises(TargetError, match=r"names the file '../secret', which is outside"):
        read_directory(tmp_path / "prog")
    manifest(tmp_path / "prog", "pipe")
    os.mkfifo(tmp_path / "prog" / "pipe")
    assert list(read_directory(tmp_path / "prog")) == [MANIFEST]


def test_a_file_of_terabytes_is_not_read(tmp_path: Path) -> None:
    manifest(tmp_path, "network.npz")
    with (tmp_path / "network.npz").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TargetError) as told:
        read_directory(tmp_path)
    what = "has files of more than 4294967296 bytes (compile the model again)"
    assert str(told.value) == f"{tmp_path}: {what}"


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"files": 3}', "[" * 100_000])
def test_a_manifest_that_is_none_is_left_to_its_reader(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    assert list(read_directory(tmp_path)) == [MANIFEST]
