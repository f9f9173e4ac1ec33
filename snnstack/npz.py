"""numpy's .npz and .npy, read without trust: sizes are checked before anything is unpacked.

Nothing is unpickled. What is wrong with the bytes is a `NotArrays`, a ValueError whose text says
it; whoever reads knows the file's name and the class of error.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.foreign import trusted

Source = Path | bytes
DENSEST = 1032
"""Bytes that deflate makes of one, at most."""
LARGE, DENSE = 2**29, 64
"""Bytes of an array that is read at once, where it claims this many times what the file holds."""
LARGEST = 2**32
"""Bytes of an array that is read at once."""
MOST_NOTHINGS = 2**20
CHUNK = 2**20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAGIC = b"\x93NUMPY"
END = ".npy"


class NotArrays(ValueError):
    """What is wrong with the bytes of a file, to be said after its name."""


@dataclass(frozen=True)
class Header:
    """What an array is called, and what its first bytes say of it."""

    name: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(source: Source, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays called `names` (None: all) of those that are there."""
    with _damage(), _archive(source) as archive:
        members = _members(archive)
        wanted = [name for name in members if names is None or name in names]
        _check_whole([members[name] for name in wanted])
        return {name: _read(archive, members[name], name) for name in wanted}


def names_in(source: Source) -> list[str]:
    """What the arrays of an .npz are called."""
    with _damage(), _archive(source) as archive:
        return list(_members(archive))


@contextmanager
def npz_member(source: Source, name: str) -> Iterator[tuple[Header, Any]]:
    """(header, file behind it) of one array; NotArrays if there is none.

    Outside `_damage`: what is done with the file is the caller's own.
    """
    with _damage():
        archive = _archive(source)
    with archive:
        with _damage():
            found = _members(archive).get(name)
            if found is None:
                raise NotArrays(f"holds no {name}")
            file = archive.open(found)
            header = _header(file, name)
            _check_size(header, found, file)
        with file:
            yield header, file


def read_npy(path: Path) -> NDArray[Any]:
    """The array in an .npy."""
    with _damage(), path.open("rb") as file:
        header = _header(file, "it")
        left = path.stat().st_size - file.tell()
        if header.nbytes > left:
            raise NotArrays(_early("it", left, header.nbytes))
        _check_room(header, left)
        return _array(header, file)


def exactly(file: Any, count: int, name: str) -> bytes:
    """The next `count` bytes of the array `name`."""
    with _damage():
        content: bytes = file.read(count)
        if len(content) != count:
            raise NotArrays(f"is cut short or damaged: {name} ends early")
        return content


def _archive(source: Source) -> zipfile.ZipFile:
    if isinstance(source, bytes):
        start, file = source[:6], io.BytesIO(source)
    else:
        with source.open("rb") as opened:
            start, file = opened.read(6), source  # type: ignore[assignment]
    if not start:
        raise NotArrays("is empty")
    if start == MAGIC:
        raise NotArrays("is a single array, not an .npz")
    if not start.startswith(b"PK"):
        raise NotArrays("is not an .npz file")
    archive = zipfile.ZipFile(file)
    held = len(source) if isinstance(source, bytes) else source.stat().st_size
    left = held
    for info in archive.infolist():
        left -= info.compress_size
        if left < 0:
            archive.close()
            alone = info.compress_size > held
            claim = "claims to end behind it" if alone else "lies where others do"
            raise NotArrays(f"is cut short or damaged: {info.filename} {claim}")
    return archive


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(END)
        if name in found and info.filename.endswith(END):
            raise NotArrays(f"is cut short or damaged: it holds {name} twice")
        if info.filename.endswith(END):
            found[name] = info
    return found


def _check_whole(members: list[zipfile.ZipInfo]) -> None:
    """Many arrays that are wanted at once are together no more than one may be."""
    size, held = (sum(getattr(m, key) for m in members) for key in ("file_size", "compress_size"))
    if len(members) > 1 and size > LARGE and size > DENSE * held and not trusted():
        what = f"{len(members)} arrays claim {size} bytes in {held}"
        raise NotArrays(f"is not read: {what}; too many to be read at once")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    with archive.open(_usable(info, name)) as file:
        header = _header(file, name)
        _check_size(header, info, file)
        _check_room(header, info.compress_size)
        found = _array(header, file)
        file.read(1)  # at its end the check sum is compared
        return found


def _usable(info: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """A member whose packing is one of numpy's, and whose sizes are possible."""
    if info.compress_type not in METHODS:
        raise NotArrays(f"{name} is packed by method {info.compress_type}, not by numpy")
    if info.file_size > DENSEST * (info.compress_size + 1):
        claim = f"{name} claims {info.file_size} bytes"
        raise NotArrays(f"is cut short or damaged: {claim} in {info.compress_size}")
    return info


def _check_size(header: Header, info: zipfile.ZipInfo, file: Any) -> None:
    """The array ends where its member does, or before."""
    _usable(info, header.name)
    left = info.file_size - file.tell()
    if header.nbytes > left:
        raise NotArrays(_early(header.name, left, header.nbytes))


def _check_room(header: Header, held: int) -> None:
    """An array that is wanted whole is not far larger than what the file holds of it."""
    bomb = header.nbytes > LARGE and header.nbytes > DENSE * held and not trusted()
    if bomb or header.nbytes > LARGEST:
        what = f"claims {header.nbytes} bytes in {held}"
        raise NotArrays(f"is not read: {header.name} {what}; too many to be read at once")


def _early(name: str, left: int, wanted: int) -> str:
    return f"is cut short or damaged: {name} ends after {left} of {wanted} bytes"


def _header(file: Any, name: str) -> Header:
    """By numpy's own parser, which takes literals only."""
    form: Any = np.lib.format
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers as Python 2 wrote them
        version = form.read_magic(file)
        read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise NotArrays(f"{name} holds Python objects, not numbers; they are never unpickled")
    if any(n < 0 for n in shape):
        raise NotArrays(f"is cut short or damaged: {name} has shape {list(shape)}")
    return Header(name, tuple(int(n) for n in shape), bool(fortran), dtype)


def _array(header: Header, file: Any) -> NDArray[Any]:
    """The elements, which stand next in `file`."""
    count = math.prod(header.shape)
    if not header.dtype.itemsize:  # texts of no letters
        if count > MOST_NOTHINGS:
            raise NotArrays(f"is cut short or damaged: {header.name} has shape {header.shape}")
        return np.zeros(header.shape, dtype=header.dtype)
    found = np.empty(count, dtype=header.dtype)
    if count:
        raw: Any = found.view(np.uint8)
        view, at = memoryview(raw), 0
        while at < len(view):
            got = file.readinto(view[at : at + CHUNK])
            if not got:
                raise NotArrays(_early(header.name, at, len(view)))
            at += got
    return found.reshape(header.shape, order="F" if header.fortran else "C")


@contextmanager
def _damage() -> Iterator[None]:
    """NotArrays for whatever zipfile, zlib and numpy's parser raise of bytes that are wrong."""
    try:
        yield
    except (NotArrays, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise NotArrays(f"is cut short or damaged: {reason}") from error
