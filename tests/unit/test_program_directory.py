"""A program's directory from a stranger: only its own files are read, and none is executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snnstack.errors import TargetError
from snnstack.program import MANIFEST, read_directory


def directory(folder: Path, *names: str) -> Path:
    """A directory whose manifest names these files."""
    program = folder / "program"
    program.mkdir()
    (program / MANIFEST).write_text(json.dumps({"files": dict.fromkeys(names, "0")}))
    return program


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "..", "", "a\0b", "a\\..\\..\\b"]
)
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    program = directory(tmp_path, name, "good")
    with pytest.raises(TargetError) as error:
        read_directory(program)
    assert str(error.value) == (
        f"{program / MANIFEST}: names the file {name!r}, which is outside of the directory "
        "(compile the model again)"
    )


def test_links_are_refused_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("kept")
    program = directory(tmp_path, "one", "folder/file", "good")
    (program / "one").symlink_to(tmp_path / "secret")
    (program / "folder").symlink_to(tmp_path / "outside")
    (program / "good").write_text("yes")
    with pytest.raises(TargetError) as error:
        read_directory(program)
    what = "is a link; a program is made of files alone (copy the file that it leads to, if you "
    assert str(error.value).splitlines() == [
        f"{program / name}: {what}trust it)" for name in ("one", "folder")
    ]


def test_what_the_manifest_does_not_name_is_not_read(tmp_path: Path) -> None:
    program = directory(tmp_path, "good", "missing")
    (program / "good").write_text("yes")
    (program / "other").symlink_to("/dev/zero")
    assert set(read_directory(program)) == {MANIFEST, "good"}


@pytest.mark.parametrize("content", ["", "[]", '{"files": 3}', '{"files": [1]}', "[" * 100_000])
def test_a_damaged_manifest_names_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    assert read_directory(tmp_path) == {MANIFEST: content.encode()}
