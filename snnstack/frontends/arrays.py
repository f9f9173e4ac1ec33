"""Arrays on disk, sample by sample: .npz, .npy, HDF5 and the idx files of MNIST."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.foreign import trusted
from snnstack.frontends import event_hdf5
from snnstack.frontends.data import read_arrays, read_labels, told
from snnstack.npz import DENSEST, Header, NotArrays, exactly, npz_member

IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""The third byte of an idx file, by its author's description."""

LARGEST_SAMPLE = 2**30
"""Bytes of one sample, all steps."""


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
    """The samples in `path`, by its suffix; DataError where one of them is too large to be read."""
    found = _open(path)
    size = math.prod(found.shape[1:]) * found.dtype.itemsize
    if size > LARGEST_SAMPLE and not trusted():
        what = f"one sample of x has {size} bytes, at most {LARGEST_SAMPLE}"
        raise fail(DataError, str(path), what, "cut it, or say --trust for a file that you trust")
    return found


def _open(path: Path) -> Arrays:
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
    header = _npz_header(path)
    if header is None:  # read_arrays says what is wrong, or takes what cannot be read in parts
        arrays = read_arrays(path)
        return of_arrays(arrays["x"], arrays.get("y"), str(path))

    def rows(most: int) -> Iterator[NDArray[Any]]:
        with told(path), npz_member(path, "x") as (found, file):
            if found != header:
                raise NotArrays("is no longer the file that it was")
            yield from _rows(file, header.shape, header.dtype, most, path)

    return Arrays(str(path), header.shape, header.dtype, read_labels(path), rows)


def _npz_header(path: Path) -> Header | None:
    try:
        with npz_member(path, "x") as (header, _):
            known = header.dtype.kind in "biufc" and header.shape and 0 not in header.shape
    except (NotArrays, OSError):
        return None
    return header if known and not header.fortran else None


def _rows(
    file: Any, shape: tuple[int, ...], dtype: np.dtype[Any], most: int, path: Path
) -> Iterator[NDArray[Any]]:
    """The samples that stand next in `file`, at most `most` at a time."""
    row = math.prod(shape[1:]) * dtype.itemsize
    for start in range(0, shape[0], most):
        count = min(most, shape[0] - start)
        with told(path):
            content = exactly(file, count * row, "x")
        yield np.frombuffer(content, dtype=dtype).reshape(count, *shape[1:])


def _hdf5(path: Path) -> Arrays:
    file = event_hdf5.hdf5_file(path)
    sizes, kind, labels = file.read(event_hdf5.dense_of)
    shape = tuple(sizes)

    def rows(most: int) -> Iterator[NDArray[Any]]:
        for start in range(0, shape[0], most):
            yield file.read(event_hdf5.rows_of, start, start + most)

    return Arrays(str(path), shape, np.dtype(kind), labels, rows)


def _idx(path: Path) -> Arrays:
    """MNIST's format; the labels lie beside the images, `images-idx3` as `labels-idx1`."""
    with _idx_file(path) as (file, shape, dtype):
        pass
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    labels = None
    if beside != path and os.path.isfile(beside):
        with _idx_file(beside) as (file, count, kind):
            size = math.prod(count) * kind.itemsize
            labels = np.frombuffer(exactly(file, size, "y"), dtype=kind).reshape(count)

    def rows(most: int) -> Iterator[NDArray[Any]]:
        with _idx_file(path) as (file, *_):
            yield from _rows(file, shape, dtype, most, path)

    return Arrays(str(path), shape, dtype, labels, rows)


@contextmanager
def _idx_file(path: Path) -> Iterator[tuple[Any, tuple[int, ...], np.dtype[Any]]]:
    """(the file behind its header, shape, dtype) of an idx file that may be gzipped."""
    if not path.is_file():
        raise fail(DataError, str(path), "there is no such file")
    with told(path), gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        start = exactly(file, 4, "its header")
        if start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not 1 <= start[3] <= 8:
            raise fail(DataError, str(path), "does not begin as an idx file does")
        sizes = np.frombuffer(exactly(file, 4 * start[3], "its header"), dtype=">u4")
        shape, dtype = tuple(int(n) for n in sizes), np.dtype(IDX_TYPES[start[2]])
        claimed, held = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if claimed > held * (DENSEST if path.suffix == ".gz" else 1):
            raise NotArrays(f"is cut short or damaged: it claims {claimed} bytes in {held}")
        yield file, shape, dtype
