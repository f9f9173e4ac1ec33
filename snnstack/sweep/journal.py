"""Finished points on disk: one line each, appended whole, so that a kill loses none of them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from snnstack.errors import DataError, fail

NAME = "points.jsonl"


class Journal:
    """The finished points of a folder: `done` by key; `add` writes one more to the disk."""

    def __init__(self, file: int, done: dict[str, dict[str, Any]]) -> None:
        self._file, self.done = file, done

    def add(self, key: str, point: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Append one finished point; it is on the disk when this returns."""
        line = json.dumps({"key": key, "point": point, "row": row}, allow_nan=False)
        content = f"{line}\n".encode()
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, content) < len(content):  # the disk is full from here on
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)
            what = f"cannot be written: {error.strerror}"
            raise fail(DataError, NAME, what, "the point is run again next time") from error
        self.done[key] = dict(row)


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """The journal of `folder`, which is made if need be; for one process at a time.

    A last line that a kill cut short is dropped. DataError: a line that is none of ours, or
    another process that writes here.
    """
    place = folder / NAME
    if place.is_symlink() or (place.exists() and not (place.is_file() or place.is_dir())):
        raise fail(DataError, str(place), "is no regular file", "name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise fail(DataError, str(folder), f"cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what = "another sweep is writing here"
            raise fail(DataError, str(folder), what, "name another folder") from error
        yield Journal(file, _read(file, folder / NAME))
    finally:
        os.close(file)


def _read(file: int, path: Path) -> dict[str, dict[str, Any]]:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.ftruncate(file, whole)
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            entry = json.loads(line)
            found[str(entry["key"])] = dict(entry["row"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            what = "is not a finished point"
            raise fail(DataError, f"{path}, line {number}", what, "delete that line") from error
    return found


def key_of(point: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """The same for the same question: point, settings, content of the files, our version."""
    asked = {"point": dict(point), "shared": dict(shared), "version": version("snnstack")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def digest_of(path: Path) -> str:
    """Of a file its content, of a folder the names and sizes of its files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("\n".join(_listed(path)).encode()).hexdigest()


def _listed(path: Path) -> Iterable[str]:
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield f"{file.relative_to(path).as_posix()} {file.stat().st_size}"
