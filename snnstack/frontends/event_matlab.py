"""Events in .mat files: up to version 7 through scipy, 7.3 as the HDF5 file that it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends import event_hdf5
from snnstack.frontends.event_bytes import LARGEST_FILE, reason
from snnstack.frontends.event_fields import PLAIN, Reading, from_fields, from_table
from snnstack.frontends.events import Events
from snnstack.frontends.hdf5 import is_hdf5

STRUCT = "TD"
"""The struct of the N-MNIST and ATIS tools for Matlab; its rows and columns count from 1."""


def read_mat(path: Path, reading: Reading = PLAIN) -> Events:
    """A struct, or variables, with t (or ts), x, y, p; or one table with `columns`.

    Pixels of a struct TD count from 1, as its Matlab tools have them; `first` says otherwise.
    """
    if not path.is_file():
        raise fail(DataError, str(path), "there is no such file")
    if is_hdf5(path):
        return event_hdf5.read_single(path, reading)
    variables = ForeignFile(path, DataError).read(variables_of)
    for name, value in variables.items():
        if isinstance(value, dict) and {"x", "X"} & set(value):
            return from_fields(value, f"{path}: {name}", of_struct(name, reading))
    arrays = {name: v for name, v in variables.items() if not isinstance(v, dict)}
    tables = [v for v in arrays.values() if v.ndim == 2]
    if reading.columns is not None and len(tables) == 1:
        return from_table(tables[0], reading.columns, str(path), reading)
    return from_fields(arrays, str(path), reading)


def of_struct(name: str, reading: Reading) -> Reading:
    """`reading`, in which the pixels of a struct TD count from 1 unless it says otherwise."""
    if reading.first is None and name == STRUCT:
        return dataclasses.replace(reading, first=1)
    return reading


def variables_of(path: str) -> dict[str, Any]:
    """Variables of numbers, and structs as {field: array}, in the process that reads."""
    from scipy.io import loadmat

    if Path(path).stat().st_size > LARGEST_FILE:
        what = f"has {Path(path).stat().st_size} bytes, at most {LARGEST_FILE}"
        raise fail(DataError, path, what, "cut the recording into parts")
    try:
        found = loadmat(path)
    except Exception as error:  # scipy raises whatever its parser stumbles over
        what = f"cannot be read: {reason(error)}"
        raise fail(DataError, path, what, "is it a .mat file?") from error
    structs = {name: _struct(value) for name, value in found.items()}
    return {name: value if structs[name] is None else structs[name]
            for name, value in found.items()
            if structs[name] is not None or _is_numbers(value)}  # fmt: skip


def _is_numbers(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _struct(value: Any) -> dict[str, Any] | None:
    """The fields of a 1 x 1 struct."""
    if not isinstance(value, np.ndarray) or not value.dtype.names or value.size != 1:
        return None
    one = value.ravel()[0]
    fields = {name: np.asarray(one[name]) for name in value.dtype.names}
    return {name: field for name, field in fields.items() if _is_numbers(field)}
