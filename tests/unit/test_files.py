"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snnstack.errors import TargetError
from snnstack.files import check_writable, write_directory, write_file

FILES = {"manifest.json": b"{}\n", "src/net.c": b"int x;\n", "src/deep/w.c": b"\0\1"}


def tree(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def full_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Writing the file `name` fails as on a full disk, after some bytes."""
    original = Path.write_bytes

    def write(self: Path, data: Any) -> int:
        if self.name == name:
            original(self, data[:1])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return original(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)


def test_a_directory_holds_exactly_its_files(tmp_path: Path) -> None:
    write_directory(FILES, tmp_path / "new" / "out")
    assert tree(tmp_path / "new") == {f"out/{name}": data for name, data in FILES.items()}


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_directory(FILES, tmp_path / "out")
        write_file(b"x", tmp_path / "file")
    finally:
        os.umask(old)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", FILES)
def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    full_disk(monkeypatch, Path(name).name)
    with pytest.raises(TargetError) as told:
        write_directory(FILES, tmp_path / "out")
    assert str(told.value) == f"{tmp_path / 'out'}: cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, data: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_directory(FILES, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_bytes(b"keep")
    with pytest.raises(TargetError) as told:
        write_directory(FILES, out)
    assert str(told.value) == f"{out}: already exists (name a new output directory)"
    assert tree(tmp_path) == {"out/mine": b"keep"}


def test_an_existing_file_or_dangling_link_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"keep")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(TargetError, match="already exists"):
            write_directory(FILES, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"keep")
    out = tmp_path / "file" / "out"
    with pytest.raises(TargetError) as told:
        write_directory(FILES, out)
    assert str(told.value) == f"{out}: cannot be written: {out.parent} is not a directory"
    with pytest.raises(TargetError) as told:
        write_file(b"x", out)
    assert str(told.value) == f"{out}: cannot be written: {out.parent} is not a directory"


def test_a_read_only_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    monkeypatch.setattr("tempfile.mkstemp", refused)
    for write, content in ((write_directory, FILES), (write_file, b"x")):
        with pytest.raises(TargetError) as told:
            write(content, tmp_path / "out")  # type: ignore[operator]
        assert str(told.value) == f"{tmp_path / 'out'}: cannot be written: Read-only file system"


def test_a_race_for_the_same_name_has_one_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.rename

    def late(self: Path, target: Path) -> Path:
        target.mkdir()
        (target / "theirs").write_bytes(b"keep")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(TargetError) as told:
        write_directory(FILES, tmp_path / "out")
    assert str(told.value) == f"{tmp_path / 'out'}: cannot be written: Directory not empty"
    assert tree(tmp_path) == {"out/theirs": b"keep"}


def test_a_file_is_replaced_whole_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.npz"
    write_file(b"old", path)
    write_file(b"new", path)
    assert tree(tmp_path) == {"trace.npz": b"new"}

    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(TargetError) as told:
        write_file(b"newest", path)
    assert str(told.value) == f"{path}: cannot be written: No space left on device"
    assert tree(tmp_path) == {"trace.npz": b"new"}


def test_a_place_that_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "page.html")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "file" / "page.html", f"{tmp_path}/file is not a directory"),
        (Path("/proc/none/page.html"), "No such file or directory"),
    ):
        with pytest.raises(TargetError) as error:
            check_writable(path)
        assert str(error.value) == f"{path}: cannot be written: {why}"


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from snnstack.errors import SnnstackError
from snnstack.frontends.nir import write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Input, Linear, Output
weight = np.random.default_rng(0).random((100, 200))
nodes = {"in": Input((200,)), "w": Linear(weight), "out": Output((100,))}
graph = Graph(nodes, (Edge("in", "w"), Edge("w", "out")))
path = Path(sys.argv[1])
write(Graph({**nodes, "w": Linear(np.zeros((100, 200)))}, graph.edges), path)
before = path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write(graph, path)
except SnnstackError as error:
    print(type(error).__name__, error)
assert path.read_bytes() == before
print(sorted(file.name for file in path.parent.iterdir()))
"""


def test_a_model_that_does_not_fit_the_disk_leaves_the_old_one(tmp_path: Path) -> None:
    """A limit of file size acts as a full disk does, while HDF5 itself writes."""
    argv = [sys.executable, "-c", LIMITED, str(tmp_path / "a.nir")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    told, left = done.stdout.splitlines()
    assert told == f"ModelError {tmp_path}/a.nir: it cannot be written: File too large"
    assert left == "['a.nir']"
