"""Pipes and devices in the place of files: they are refused, not waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.cli import main
from snnstack.errors import DataError, SnnstackError, TargetError
from snnstack.frontends.nir import write
from snnstack.sweep.journal import NAME, opened
from tests.cli.calls import small

PIPE: Callable[[Path], Any] = os.mkfifo
KINDS = {"pipe": PIPE, "device": lambda path: path.symlink_to("/dev/zero")}


@pytest.fixture(params=KINDS)
def special(request: Any) -> Callable[[Path], Path]:
    """Makes one at a path."""

    def make(path: Path) -> Path:
        KINDS[request.param](path)
        return path

    return make


@pytest.mark.parametrize("ending", ["nir", "net", "onnx"])
def test_models(ending: str, special: Any, tmp_path: Path) -> None:
    with pytest.raises(SnnstackError, match=r"no regular file|no such file"):
        snnstack.load(special(tmp_path / f"a.{ending}"))


@pytest.mark.parametrize("ending", ["npz", "h5", "aedat4", "aedat", "csv", "bin", "dat", "mat"])
def test_samples(ending: str, special: Any, tmp_path: Path) -> None:
    write(small(), tmp_path / "m.nir")
    program = snnstack.compile(tmp_path / "m.nir", "microbit-v1")
    with pytest.raises(SnnstackError, match=r"no regular file|no such file"):
        snnstack.emulate(program, f"{special(tmp_path / f'a.{ending}')}?bin=1ms")


def test_boards(special: Any, tmp_path: Path) -> None:
    path = special(tmp_path / "b.toml")
    with pytest.raises(TargetError) as told:
        snnstack.load_board(path)
    assert str(told.value) == f"{path}: is no regular file (copy it into one)"


def test_a_board_is_of_a_size_that_a_board_can_have(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(TargetError) as told:
        snnstack.load_board(path)
    assert str(told.value) == f"{path}: has 1000000000000 bytes, at most 4194304 are read"


def test_files_of_a_program(special: Any, tmp_path: Path) -> None:
    write(small(), tmp_path / "m.nir")
    built = snnstack.compile(tmp_path / "m.nir", "microbit-v1")
    for name in ("manifest.json", "program.json", "program.npz"):
        place = tmp_path / name.replace(".", "_")
        snnstack.save(built, place)
        (place / name).unlink()
        special(place / name)
        with pytest.raises(TargetError):
            snnstack.open_program(place)


def test_a_manifest_that_an_output_is_compared_with(special: Any, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    special(folder / "manifest.json")
    np.savez(tmp_path / "d.npz", x=np.zeros((1, 2, 3), np.uint8))
    output = str(folder / "trace.npz")
    with pytest.raises(SystemExit) as stop:
        main(["emulate", str(folder), "--data", str(tmp_path / "d.npz"), "-o", output])
    assert stop.value.code == 1


def test_the_journal_of_a_sweep(tmp_path: Path) -> None:
    """A folder of results from someone else leads to no other file, and is not waited for."""
    for name, make in (("pipe", PIPE), ("link", lambda p: p.symlink_to(tmp_path / "other"))):
        folder = tmp_path / name
        folder.mkdir()
        make(folder / NAME)
        with pytest.raises(DataError) as told, opened(folder):
            pass
        what = "is no regular file (name another folder)"
        assert str(told.value) == f"{folder / NAME}: {what}"
    assert not (tmp_path / "other").exists()
