"""Files reach the disk whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from snnstack.errors import Problem, SnnstackError, TargetError, fail, raise_if_any


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
    reason = error.strerror or str(error).splitlines()[0]
    return fail(TargetError, str(path), f"cannot be written: {reason}")


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


def check_writable(path: Path) -> None:
    """`TargetError` now if `write_file` could not write `path` later; nothing is left behind."""
    with disk_errors(path):
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=folder):
            pass
