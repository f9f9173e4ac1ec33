"""Read `DATA`: an .npz with `x` [sample, step, *input shape] and, optionally, `y` [sample]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.ir.step import StepInput
from snnstack.trace import Spikes


@dataclass(frozen=True, eq=False)
class Data:
    """Input spikes of a set of samples and, where known, their labels int64 [sample]."""

    spikes: Spikes
    labels: NDArray[np.int64] | None
    name: str = "data"

    def first(self, samples: int | None) -> Data:
        """The first `samples` samples (all for None)."""
        if samples is None or samples >= self.spikes.batch:
            return self
        labels = None if self.labels is None else self.labels[:samples]
        return Data(self.spikes.samples(0, samples), labels, self.name)


def read_data(path: Path, port: StepInput) -> Data:
    """The samples in `path` for the input `port`; DataError lists all that does not fit."""
    arrays = _arrays(path)
    x, y = arrays["x"], arrays.get("y")
    return make_data(x, y, port, str(path))


def make_data(x: NDArray[Any], y: NDArray[Any] | None, port: StepInput, name: str) -> Data:
    """Samples from arrays: `x` [sample, step, *input shape] of 0/1 or counts 0..255."""
    problems = _shape_problems(x, port, name)
    raise_if_any(DataError, problems or _value_problems(x, port, name))
    labels = None
    if y is not None:
        raise_if_any(DataError, _label_problems(y, len(x), name))
        labels = y.astype(np.int64)
    shape = (*x.shape[:2], *port.shape)
    return Data(Spikes.from_dense(x.reshape(shape)), labels, name)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    hint = "give an .npz with x [sample, step, *input shape] and y [sample]"
    if not path.is_file():
        raise fail(DataError, str(path), "no such file", hint)
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise fail(DataError, str(path), "is a single array, not an .npz", hint)
            found = {name: file[name] for name in ("x", "y") if name in file.files}
            names = ", ".join(file.files) or "nothing"
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise fail(DataError, str(path), f"cannot be read as .npz: {reason}", hint) from error
    if "x" not in found:
        raise fail(DataError, str(path), f"holds {names}, but no x", hint)
    return found


def _shape_problems(x: NDArray[Any], port: StepInput, name: str) -> list[Problem]:
    """x must be [sample, step, *shape]; a flat last axis of the right size will do."""
    wanted = f"[sample, step, {', '.join(map(str, port.shape))}]"
    flat = (int(np.prod(port.shape)),)
    if x.ndim >= 2 and x.shape[2:] in (port.shape, flat):
        empty = x.shape[0] == 0 or x.shape[1] == 0
        return [Problem(name, f"x has shape {list(x.shape)}: no spikes to run")] if empty else []
    what = f"x has shape {list(x.shape)}, input {port.name!r} needs {wanted}"
    return [Problem(name, what)]


def _value_problems(x: NDArray[Any], port: StepInput, name: str) -> list[Problem]:
    if x.dtype.kind not in "buif":
        return [Problem(name, f"x holds {x.dtype}, not numbers")]
    if x.dtype == np.bool_:
        return []
    if x.dtype.kind == "f":
        wrong = ~((x >= 0) & (x <= port.max_count) & (np.floor(x) == x))
    else:
        wrong = (x < 0) | (x > port.max_count)
    if not wrong.any():
        return []
    first = tuple(int(k) for k in np.argwhere(wrong)[0])
    kind = "0 or 1" if port.max_count == 1 else f"integers 0..{port.max_count}"
    what = (
        f"x has {int(wrong.sum())} values outside the input type {port.events!r} ({kind}), "
        f"first {x[first]} at {list(first)}"
    )
    hint = "declare counts with --events count" if port.max_count == 1 else "encode x as spikes"
    return [Problem(name, what, hint)]


def _label_problems(y: NDArray[Any], samples: int, name: str) -> list[Problem]:
    if y.shape != (samples,):
        return [Problem(name, f"y has shape {list(y.shape)}, x has {samples} samples")]
    if y.dtype.kind not in "ui" or (y.size and y.min() < 0):
        return [Problem(name, f"y holds {y.dtype} values, not class numbers from 0")]
    return []
