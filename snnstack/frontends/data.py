"""Read `DATA`: an .npz with `x` [sample, step, *input shape] and, optionally, `y` [sample]."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.frontends.array_like import as_array
from snnstack.ir.step import StepInput
from snnstack.trace import Spikes

HINT = "give an .npz with x [sample, step, *input shape] and y [sample]"
LARGEST_COUNT = 255
"""Of one event: counts are uint8."""
DAMAGED = (ValueError, OSError, EOFError, RuntimeError, BadZipFile, zlib.error)
"""What numpy and zipfile raise for bytes that are not what they should be."""


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
    arrays = read_arrays(path)
    return make_data(arrays["x"], arrays.get("y"), port, str(path))


def make_data(
    x: ArrayLike | None, y: ArrayLike | None, port: StepInput, name: str, first: int = 0
) -> Data:
    """Samples from arrays: `x` [sample, step, *input shape] of 0/1 or counts 0..255.

    `first` is the number of the first sample, for messages. Raises DataError with everything
    that is wrong with them.
    """
    if x is None:
        raise fail(DataError, name, "holds no x", HINT)
    values, labels = as_array(x), None if y is None else as_array(y, "y")
    problems = _shape_problems(values, port, name) or _value_problems(values, port, name, first)
    if labels is not None:
        problems += _label_problems(labels, values, name)
    raise_if_any(DataError, problems)
    spikes = Spikes.from_dense(values.reshape(*values.shape[:2], *port.shape))
    return Data(spikes, None if labels is None else labels.astype(np.int64), name)


def read_arrays(path: Path, names: tuple[str, ...] = ("x", "y")) -> dict[str, NDArray[Any]]:
    """Those of the arrays x and y that are asked for; DataError unless there is an x."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise fail(DataError, str(path), what, HINT)
    try:
        raise_if_any(DataError, _kind_problems(path))
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = dict(_read_arrays(file, path, names))
            listed = ", ".join(file.files) or "nothing"
            has_x = "x" in file.files
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise fail(DataError, str(path), f"is cut short or damaged: {reason}", HINT) from error
    if not has_x:
        raise fail(DataError, str(path), f"holds {listed}, but no x", HINT)
    return found


def read_labels(path: Path) -> NDArray[Any] | None:
    """The array y of an .npz, if it has one, without reading x."""
    return read_arrays(path, ("y",)).get("y")


def _kind_problems(path: Path) -> Iterator[Problem]:
    """An .npz is a zip file; numpy takes whatever it does not know for a pickle."""
    with path.open("rb") as file:
        start = file.read(6)
    if not start:
        yield Problem(str(path), "is empty", HINT)
    elif start.startswith(b"\x93NUMPY"):
        yield Problem(str(path), "is a single array, not an .npz", HINT)
    elif not start.startswith(b"PK"):
        yield Problem(str(path), "is not an .npz file", HINT)


def _read_arrays(
    file: Any, path: Path, names: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays of these names; DataError for Python objects, which are never unpickled."""
    for name in names:
        if name not in file.files:
            continue
        try:
            yield name, file[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            what = f"{name} holds Python objects, not numbers; they are never unpickled"
            raise fail(DataError, str(path), what, HINT) from error


def _shape_problems(x: NDArray[Any], port: StepInput, name: str) -> list[Problem]:
    """`x` must be [sample, step, *shape]; a flat last axis of the right size will do."""
    wanted = f"[sample, step, {', '.join(map(str, port.shape))}]"
    flat = (int(np.prod(port.shape)),)
    if x.ndim >= 2 and x.shape[2:] in (port.shape, flat):
        empty = [axis for axis, n in zip(("samples", "steps"), x.shape, strict=False) if n == 0]
        what = f"x has shape {list(x.shape)}: no {' and no '.join(empty)}"
        return [Problem(name, what)] if empty else []
    what = f"x has shape {list(x.shape)}, input {port.name!r} needs {wanted}"
    real = x.ndim >= 2 and int(np.prod(x.shape[1:])) == flat[0]
    return [Problem(name, what, "an encoder adds the steps: ?encode=even&steps=32" if real else "")]


def _value_problems(x: NDArray[Any], port: StepInput, name: str, start: int = 0) -> list[Problem]:
    if x.dtype.kind not in "buif":
        return [Problem(name, f"x holds {x.dtype}, not numbers")]
    most = port.max_count
    if x.dtype.kind in "bu" and x.max(initial=0) <= most:
        return []
    wrong = ~((x >= 0) & (x <= most))
    if x.dtype.kind == "f":
        wrong |= np.floor(x) != x
    if not wrong.any():
        return []
    count, first = int(np.count_nonzero(wrong)), tuple(map(int, np.argwhere(wrong)[0]))
    kind = "0 or 1" if most == 1 else f"integers 0..{most}"
    what = (
        f"x has {count} value{'s' if count > 1 else ''} outside the input type "
        f"{port.events!r} ({kind}), first {x[first]:g} at {[first[0] + start, *first[1:]]}"
    )
    return [Problem(name, what, _value_hint(x, most))]


def _value_hint(x: NDArray[Any], most: int) -> str:
    """Counts need no more than an option; anything else must be encoded."""
    countable = bool(np.all((x >= 0) & (x <= LARGEST_COUNT) & (np.floor(x) == x)))
    return "compile with --events count" if most == 1 and countable else "encode x as spikes"


def _label_problems(y: NDArray[Any], x: NDArray[Any], name: str) -> list[Problem]:
    samples = x.shape[0] if x.ndim else 0
    if y.shape != (samples,):
        what = f"y has shape {list(y.shape)}, but x has {samples} samples"
        return [Problem(name, what, f"y needs shape [{samples}]")]
    if y.dtype.kind not in "ui":
        return [Problem(name, f"y holds {y.dtype}, not class numbers from 0", "store integers")]
    if y.size and int(y.min()) < 0:
        return [Problem(name, f"y has the class {int(y.min())}, classes count from 0")]
    return []
