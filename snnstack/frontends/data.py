"""Read `DATA`: an .npz with `x` [sample, step, *input shape] and, optionally, `y` [sample]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.frontends.array_like import as_array
from snnstack.ir.step import StepInput
from snnstack.npz import NotArrays, names_in, read_npz
from snnstack.trace import Spikes

HINT = "give an .npz with x [sample, step, *input shape] and y [sample]"
OF_INPUT = "x_"
"""Before the name of an input, in the names of arrays for several."""
LARGEST_COUNT = 255
"""Of one event: counts are uint8."""


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
    if port.parts:
        with told(path):
            listed = names_in(path)
        wanted = tuple(name for name in listed if name in ("x", "y") or name.startswith(OF_INPUT))
        with told(path):
            return data_of(read_npz(path, wanted), port, str(path))
    arrays = read_arrays(path)
    return make_data(arrays["x"], arrays.get("y"), port, str(path))


def data_of(arrays: Mapping[str, Any], port: StepInput, name: str) -> Data:
    """Samples from the arrays x and y, or for the door of several inputs x_<input> and y.

    DataError for an array that is missing, and for one of an input that is not there.
    """
    strange = [key for key in arrays if key.startswith(OF_INPUT)]
    if not port.parts:
        if strange:
            what = f"holds {', '.join(strange)}, the network has one input, {port.name!r}"
            raise fail(DataError, name, what, "give its samples as x")
        return make_data(arrays.get("x"), arrays.get("y"), port, name)
    if not strange and "x" in arrays:  # side by side already
        return make_data(arrays["x"], arrays.get("y"), port, name)
    wanted = {OF_INPUT + part.name: part for part in port.parts}
    lost = [key for key in wanted if key not in arrays]
    more = [key for key in strange if key not in wanted]
    if lost or more:
        what = f"holds {', '.join(strange) or 'no samples'}"
        raise fail(DataError, name, what, f"the network's inputs want {', '.join(wanted)}")
    parts = {k: make_data(arrays[k], None, part, name).spikes for k, part in wanted.items()}
    extents = {key: (part.batch, part.steps) for key, part in parts.items()}
    if len(set(extents.values())) > 1:
        listed = ", ".join(f"{key} {batch} x {steps}" for key, (batch, steps) in extents.items())
        raise fail(DataError, name, f"samples x steps differ: {listed}", "pad the shorter ones")
    dense = [part.dense().reshape(part.batch, part.steps, -1) for part in parts.values()]
    return make_data(np.concatenate(dense, axis=2), arrays.get("y"), port, name)


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
    dense = values.reshape(*values.shape[:2], *port.shape)
    if port.events == "value":
        spikes = Spikes.carrying(dense.astype(np.int32))
    else:
        spikes = Spikes.from_dense(dense)
    return Data(spikes, None if labels is None else labels.astype(np.int64), name)


def read_arrays(path: Path, names: tuple[str, ...] = ("x", "y")) -> dict[str, NDArray[Any]]:
    """Those of the arrays x and y that are asked for; DataError unless there is an x."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise fail(DataError, str(path), what, HINT)
    with told(path):
        found, listed = read_npz(path, names), names_in(path)
    if "x" not in listed:
        raise fail(DataError, str(path), f"holds {', '.join(listed) or 'nothing'}, but no x", HINT)
    return found


@contextmanager
def told(path: Path) -> Iterator[None]:
    """DataError, naming `path`, for what is wrong with an .npz, or keeps it from being read."""
    try:
        yield
    except NotArrays as error:
        raise fail(DataError, str(path), str(error), HINT) from error
    except OSError as error:
        raise fail(DataError, str(path), f"cannot be read: {error.strerror or error}") from error


def read_labels(path: Path) -> NDArray[Any] | None:
    """The array y of an .npz, if it has one, without reading x."""
    return read_arrays(path, ("y",)).get("y")


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
    levels = "encode=repeat&levels=255&steps=1" if port.events == "value" else None
    encoder = f"an encoder adds the steps: ?{levels or 'encode=even&steps=32'}"
    return [Problem(name, what, encoder if real else "")]


def _value_problems(x: NDArray[Any], port: StepInput, name: str, start: int = 0) -> list[Problem]:
    if x.dtype.kind not in "buif":
        return [Problem(name, f"x holds {x.dtype}, not numbers")]
    least, most = port.span
    if x.dtype.kind in "bu" and x.max(initial=0) <= most:
        return []
    wrong = ~((x >= least) & (x <= most))
    if x.dtype.kind == "f":
        wrong |= np.floor(x) != x
    if not wrong.any():
        return []
    count, first = int(np.count_nonzero(wrong)), tuple(map(int, np.argwhere(wrong)[0]))
    kind = "0 or 1" if most == 1 else f"integers {least}..{most}"
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
