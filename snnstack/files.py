"""Files reach the disk whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from snnstack.errors import Problem, SnnstackError, TargetError, fail, raise_if_any

FILE_ENDINGS = (".csv", ".htm", ".html", ".json", ".net", ".nir", ".npz", ".onnx", ".toml")
"""Endings that nobody gives a directory on purpose."""


def write_directory(files: Mapping[str, bytes], path: Path) -> None:
    """Write `files` under the new directory `path`: all of them, or nothing at all.

    Raises `TargetError` if `path` exists (it is never touched) or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise fail(TargetError, str(path), "already exists", "name a new output directory")
    raise_if_any(TargetError, _outside(files, path))
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        for name, content in files.items():
            file = temporary / PurePosixPath(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        temporary.chmod(0o777 & ~_umask())
        temporary.rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _outside(files: Mapping[str, bytes], path: Path) -> Iterator[Problem]:
    """Names that would leave the directory: a name of someone else must not choose the place."""
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
            yield Problem(str(path), f"a file called {name!r} would stand outside of it")


def _unwritable(path: Path, error: OSError) -> SnnstackError:
    for folder in path.parents:
        if folder.exists() and not folder.is_dir():
            return fail(TargetError, str(path), f"cannot be written: {folder} is not a directory")
    return fail(TargetError, str(path), f"cannot be written: {error.strerror}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_file(content: bytes, path: Path) -> None:
    """Write `content` to `path` under a temporary name, then rename: whole or not at all."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """TargetError, naming `path`, for what the disk refuses inside."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which becomes `path` when all went well, else is removed.

    TargetError for what the disk refuses.
    """
    with disk_errors(path), ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        stack.callback(Path(temporary).unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)


@dataclass(frozen=True)
class Output:
    """What a command will write: a file with one of `endings`, or (no endings) a directory."""

    path: Path
    endings: tuple[str, ...] = ()


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path]) -> None:
    """TargetError, before any work is done, with all that is wrong with what will be written.

    An output is never one of the inputs, by whatever name, nor a file of a directory that is
    one; files end as what they hold; no two outputs are the same.
    """
    known = _Inputs([path for path in inputs if os.path.exists(path)])
    raise_if_any(TargetError, _output_problems(outputs, known))
    for output in outputs:
        if output.endings:
            check_writable(output.path)


def _output_problems(outputs: Sequence[Output], known: _Inputs) -> Iterator[Problem]:
    before: list[Path] = []
    for output in outputs:
        path, where, suffix = output.path, str(output.path), output.path.suffix
        if output.endings and suffix.lower() not in output.endings and not os.path.isdir(path):
            what = f"ends in {suffix!r}" if suffix else "has no ending"
            yield Problem(where, what, f"name a {' or '.join(output.endings)} file")
        if not output.endings and suffix.lower() in FILE_ENDINGS:
            yield Problem(where, f"ends in {suffix!r}, but a directory is written", "leave it out")
        if known.include(path):
            yield Problem(where, "is an input of the same command", "name another output")
        if any(_same(path, other) for other in before):
            yield Problem(where, "is named for two outputs", "name another output")
        before.append(path)


class _Inputs:
    """Files and directories that are read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def include(self, path: Path) -> bool:
        """Whether writing `path` would change one of them."""
        if not os.path.exists(path):
            return False
        return any(_same(path, known) or _holds(known, path) for known in self.paths)


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file: through links, or before it is there."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _holds(folder: Path, path: Path) -> bool:
    """Whether `path` is a file that is read with the directory `folder`.

    Of a program's directory: those that its manifest lists, others do not matter.
    """
    real, inside = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    if not folder.is_dir() or path.is_dir() or not inside.is_relative_to(real):
        return False
    try:
        listed = json.loads((real / "manifest.json").read_bytes())["files"]
        return inside.relative_to(real).as_posix() in ("manifest.json", *listed)
    except (OSError, ValueError, LookupError, TypeError):
        return True


def check_writable(path: Path) -> None:
    """`TargetError` now if `write_file` could not write `path` later; nothing is left behind."""
    with disk_errors(path):
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=folder):
            pass
