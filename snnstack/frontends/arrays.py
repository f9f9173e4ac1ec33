"""Arrays on disk, sample by sample: .npz, .npy, HDF5 and the idx files of MNIST."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends import event_hdf5
from snnstack.frontends.data import DAMAGED, read_arrays, read_labels

IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""The third byte of an idx file, by its author's description."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """`x` [sample, ...] and `y` [sample] (None: no labels), of which only `y` is in memory.

    `rows(size)` yields `x` in order, at most `size` samples at a time.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: NDArray[Any] | None
    rows: Callable[[int], Iterator[NDArray[Any]]]

    def first(self, samples: int) -> Arrays:
        """The first `samples` samples."""

        def rows(most: int) -> Iterator[NDArray[Any]]:
            left = samples
            for part in self.rows(min(most, max(samples, 1))):
                yield part[:left]
                left -= len(part)
                if left <= 0:
                    return

        labels = None if self.labels is None else self.labels[:samples]
        shape = (min(samples, self.shape[0]), *self.shape[1:])
        return Arrays(self.name, shape, self.dtype, labels, rows)


def open_arrays(path: Path) -> Arrays:
    """The samples in `path`, by its suffix."""
    name = path.name.lower()
    if name.endswith((".h5", ".hdf5")):
        return _hdf5(path)
    if "idx" in name and name.endswith(("ubyte", "ubyte.gz", ".idx", ".idx.gz")):
        return _idx(path)
    return _npz(path)


def of_arrays(x: NDArray[Any], y: NDArray[Any] | None, name: str) -> Arrays:
    """Arrays that are in memory."""

    def rows(most: int) -> Iterator[NDArray[Any]]:
        for start in range(0, len(x), most):
            yield x[start : start + most]

    return Arrays(name, x.shape, x.dtype, y, rows)


def _npz(path: Path) -> Arrays:
    """An .npz without its `x` in memory, wherever the array lies in C order."""
    header = _npy_header(path)
    if header is None:  # read_arrays says what is wrong, or takes what cannot be read in parts
        arrays = read_arrays(path)
        return of_arrays(arrays["x"], arrays.get("y"), str(path))
    shape, dtype = header
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize

    def rows(most: int) -> Iterator[NDArray[Any]]:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as file:
            _header(file)
            for start in range(0, shape[0], most):
                count = min(most, shape[0] - start)
                content = _exactly(file, count * row, path)
                yield np.frombuffer(content, dtype=dtype).reshape(count, *shape[1:])

    return Arrays(str(path), shape, dtype, read_labels(path), rows)


def _npy_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as file:
            shape, fortran, dtype = _header(file)
    except (*DAMAGED, KeyError, NotImplementedError):
        return None
    return None if fortran or dtype.hasobject or not shape or 0 in shape else (shape, dtype)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether in Fortran order, dtype) of the .npy that `file` begins with."""
    form: Any = np.lib.format
    version = form.read_magic(file)
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _exactly(file: Any, count: int, path: Path) -> bytes:
    try:
        content: bytes = file.read(count)
    except DAMAGED as error:
        raise fail(DataError, str(path), f"is cut short or damaged: {error}") from error
    if len(content) != count:
        raise fail(DataError, str(path), "is cut short or damaged: x ends early")
    return content


def _hdf5(path: Path) -> Arrays:
    with event_hdf5.opened(path) as file:
        if "x" not in file or not hasattr(file["x"], "shape"):
            names = ", ".join(file) or "nothing"
            hint = "x [sample, step, *input shape] and y [sample], or events: and a bin"
            raise fail(DataError, str(path), f"holds {names}, but no array x", hint)
        shape, dtype = tuple(map(int, file["x"].shape)), file["x"].dtype
        labels = np.asarray(file["y"]) if "y" in file else None

    def rows(most: int) -> Iterator[NDArray[Any]]:
        with event_hdf5.opened(path) as file:
            for start in range(0, shape[0], most):
                yield np.asarray(file["x"][start : start + most])

    return Arrays(str(path), shape, dtype, labels, rows)


def _idx(path: Path) -> Arrays:
    """MNIST's format; the labels lie beside the images, `images-idx3` as `labels-idx1`."""
    with _idx_file(path) as file:
        shape, dtype = _idx_header(file, path)
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    labels = None
    if beside != path and beside.is_file():
        with _idx_file(beside) as file:
            (count,), kind = _idx_header(file, beside)
            labels = np.frombuffer(_exactly(file, count * kind.itemsize, beside), dtype=kind)
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize

    def rows(most: int) -> Iterator[NDArray[Any]]:
        with _idx_file(path) as file:
            _idx_header(file, path)
            for start in range(0, shape[0], most):
                count = min(most, shape[0] - start)
                content = _exactly(file, count * row, path)
                yield np.frombuffer(content, dtype=dtype).reshape(count, *shape[1:])

    return Arrays(str(path), shape, dtype, labels, rows)


@contextmanager
def _idx_file(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise fail(DataError, str(path), "there is no such file")
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield file


def _idx_header(file: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    start = _exactly(file, 4, path)
    if start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not 1 <= start[3] <= 8:
        raise fail(DataError, str(path), "does not begin as an idx file does")
    sizes = np.frombuffer(_exactly(file, 4 * start[3], path), dtype=">u4")
    return tuple(int(n) for n in sizes), np.dtype(IDX_TYPES[start[2]])
