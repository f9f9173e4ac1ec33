"""Input with signed values: an .npz with integers `x`, for programs whose events carry values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail
from snnstack.frontends.data import Data, read_arrays
from snnstack.ir.step import StepInput, size
from snnstack.trace import Spikes

LARGEST = 2**31 - 1


def read_values(path: Path, port: StepInput) -> tuple[NDArray[np.int64], Data]:
    """(int64 [sample, step, n], labels and sizes as data without any spike).

    DataError for what is no .npz of whole numbers within 32 bits of the port's shape.
    """
    arrays = read_arrays(path)
    values = checked_values(arrays["x"], port, str(path))
    labels = arrays.get("y")
    if labels is not None and (labels.shape != values.shape[:1] or labels.dtype.kind not in "ui"):
        what = f"y has shape {list(labels.shape)}, not a class number for each of {len(values)}"
        raise fail(DataError, str(path), what)
    batch, steps, _ = values.shape
    ends = np.zeros(batch * steps + 1, dtype=np.int64)
    nothing = Spikes(port.shape, batch, steps, ends, np.zeros(0, dtype=np.int32))
    return values, Data(nothing, None if labels is None else labels.astype(np.int64), str(path))


def checked_values(x: Any, port: StepInput, name: str) -> NDArray[np.int64]:
    """`x` as int64 [sample, step, n]; DataError where it cannot be."""
    values, n = np.asarray(x), size(port.shape)
    if values.ndim < 3 or int(np.prod(values.shape[2:])) != n:
        what = f"x has shape {list(values.shape)}, input {port.name!r} needs [sample, step, {n}]"
        raise fail(DataError, name, what)
    if values.dtype.kind not in "biu":
        what = f"x holds {values.dtype}, input {port.name!r} takes signed integers"
        raise fail(DataError, name, what)
    if values.size and not -LARGEST <= int(values.min()) <= int(values.max()) <= LARGEST:
        raise fail(DataError, name, f"x has a value outside +-{LARGEST}")
    return values.reshape(*values.shape[:2], n).astype(np.int64)
