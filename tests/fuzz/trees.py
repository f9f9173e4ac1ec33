"""Damage inside HDF5 files and ONNX models: well-formed files that hold something else."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.fuzz.damage import Rng, array, leaf


def damaged_hdf5(path: Path, rng: Rng) -> None:
    """A few data sets or groups of a file replaced, lost, renamed or added."""
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            names: list[str] = []
            file.visit(names.append)
            if not names:
                return
            with contextlib.suppress(OSError, ValueError, KeyError):  # a name that is taken
                _change(file, names[int(rng.integers(len(names)))], names, rng)


def _change(file: Any, name: str, names: list[str], rng: Rng) -> None:
    kind = int(rng.integers(8))
    item = file[name]
    if kind == 0:
        del file[name]
    elif kind == 1:
        file.move(name, f"{name}x")
    elif kind == 2:
        file[f"{name}_new" if isinstance(item, h5py.Dataset) else f"{name}/new"] = _value(rng, None)
    elif kind == 3:
        item.attrs["x"] = 1
    elif kind == 4 and len(names) > 1:
        other = names[int(rng.integers(len(names)))]
        if other != name and not other.startswith(f"{name}/") and not name.startswith(f"{other}/"):
            del file[name]
            file.copy(other, name)
    else:
        like = item[()] if isinstance(item, h5py.Dataset) else None
        del file[name]
        file[name] = _value(rng, np.asarray(like) if like is not None else None)


def _value(rng: Rng, like: Any) -> Any:
    """Something that h5py can hold."""
    for _ in range(8):
        found = array(rng, like) if rng.random() < 0.7 else leaf(rng)
        if isinstance(found, np.ndarray) and found.dtype.kind in "UMV" and not found.dtype.names:
            continue
        if isinstance(found, str | bool | float | bytes):
            return found.replace("\0", "") if isinstance(found, str) else found
        if isinstance(found, int) and abs(found) < 2**63:
            return found
        if isinstance(found, np.ndarray):
            return found
    return h5py.Empty("f4")


def damaged_onnx(content: bytes, rng: Rng) -> bytes:
    """A model with fields of its messages replaced."""
    import onnx

    model = onnx.load_from_string(content)
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        _field(model, rng, 0)
    return bytes(model.SerializeToString())


def _field(message: Any, rng: Rng, depth: int) -> None:
    fields = message.ListFields()
    if not fields:
        return
    descriptor, value = fields[int(rng.integers(len(fields)))]
    name = descriptor.name
    if hasattr(value, "DESCRIPTOR"):
        if rng.random() < 0.07:
            message.ClearField(name)
        else:
            _field(value, rng, depth + 1)
        return
    if hasattr(value, "append") or hasattr(value, "add"):
        _repeated(message, name, value, rng, depth)
        return
    _scalar(message, name, value, rng)


def _repeated(message: Any, name: str, values: Any, rng: Rng, depth: int) -> None:
    at = int(rng.integers(len(values)))
    if rng.random() < 0.15:
        del values[at]
    elif hasattr(values[at], "DESCRIPTOR"):
        if rng.random() < 0.1:
            values.add().CopyFrom(values[at])
        else:
            _field(values[at], rng, depth + 1)
    else:
        values[at] = _like(values[at], rng)


def _scalar(message: Any, name: str, value: Any, rng: Rng) -> None:
    if rng.random() < 0.15:
        message.ClearField(name)
        return
    try:
        setattr(message, name, _like(value, rng))
    except (ValueError, TypeError):
        message.ClearField(name)


def _like(value: Any, rng: Rng) -> Any:
    if isinstance(value, bytes):
        cut = value[: len(value) // 2]
        return (b"", cut, value + b"\0", b"\xff" * len(value))[int(rng.integers(4))]
    if isinstance(value, str):
        names = (
            "",
            "x",
            "Relu",
            "Gemm",
            "Conv",
            "Loop",
            "If",
            "\n*/",
            "a" * 3000,
            "Reshape",
            "Where",
        )
        return names[int(rng.integers(len(names)))]
    if isinstance(value, float):
        return float(rng.choice([np.nan, np.inf, -1.0, 0.0, 1e30]))
    numbers = (0, 1, -1, 2, 7, 10, 255, 2**31 - 1, 2**40, 2**62)
    return numbers[int(rng.integers(len(numbers)))]
