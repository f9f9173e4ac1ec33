"""Samples that are in memory, in whatever form people have them, as arrays `x` and `y`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.door import path, shown
from snnstack.errors import DataError, SnnstackError, fail
from snnstack.frontends.array_like import as_array
from snnstack.frontends.data import OF_INPUT, Data
from snnstack.frontends.stream import Stream
from snnstack.trace import Spikes

NAME = "data"
HINT = (
    'give a file, an array [sample, step, ...], (x, y), {"x": ..., "y": ...}, Spikes, or an '
    "iterable of (x, y) such as a DataLoader"
)
MOST_PARTS = 10_000_000
"""Samples or batches that an iterable may give before it is taken for one without an end."""
Given = str | PathLike[str] | Data | Stream | Mapping[str, Any]
"""What readers take: everything else becomes one of these."""


def given(data: Any) -> Given:
    """`data` as what readers take: a file, samples that are checked, or {"x": ..., "y": ...}.

    Arrays of numpy and torch, nested lists, `(x, y)`, `Spikes`, and iterables of samples or
    batches, labelled or not, become arrays; iterables are read to their end. DataError for
    everything else.
    """
    if isinstance(data, str | PathLike):
        path(str(data).partition("?")[0], NAME, DataError)
        return data
    if isinstance(data, Data | Stream):
        return data
    if isinstance(data, Spikes):
        return Data(data, None, NAME)
    if isinstance(data, Mapping):
        return {key: data[key] for key in data if key in ("x", "y") or _of_input(key)}
    if _is_array(data):
        return {"x": as_array(data)}
    if isinstance(data, tuple | list):
        return _listed(data)
    if isinstance(data, Iterable) or hasattr(data, "__getitem__"):
        if isinstance(data, bytes | bytearray | set | frozenset):
            raise _unknown(data)
        return _collected(_parts(data), batches=not hasattr(data, "__getitem__"))
    raise _unknown(data)


def _of_input(key: Any) -> bool:
    """Whether a key is that of one input of several: x_<its name>."""
    return isinstance(key, str) and key.startswith(OF_INPUT)


def arrays(data: Any) -> Mapping[str, Any] | None:
    """X and y of what is in memory as arrays; None for files, streams and spikes."""
    found = given(data)
    return found if isinstance(found, Mapping) else None


def _is_array(data: Any) -> bool:
    return isinstance(data, np.ndarray) or hasattr(data, "__array__") or hasattr(data, "detach")


def _listed(data: Sequence[Any]) -> Mapping[str, Any]:
    """A tuple or list: (x, y), samples with labels, or samples."""
    if not data:
        raise fail(DataError, NAME, "holds no samples", HINT)
    if _is_pair(data):
        x, y = data
        return {"x": as_array(x), "y": None if y is None else as_array(y, "y")}
    if any(isinstance(one, str | bytes | PathLike) for one in data):
        raise _unknown(data)
    first = data[0]
    if isinstance(first, Mapping) or (isinstance(first, tuple | list) and _labelled(first)):
        return _collected(iter(data), batches=False)
    return {"x": as_array(data if isinstance(data, list) else list(data))}


def _is_pair(data: Sequence[Any]) -> bool:
    """(x, y): two parts of which the second is no second sample."""
    if len(data) != 2 or not (_is_array(data[0]) or isinstance(data[0], list)):
        return False
    if data[1] is None:
        return True
    if isinstance(data, tuple) and (_is_array(data[1]) or isinstance(data[1], list)):
        return True
    return _is_array(data[0]) and _is_array(data[1]) and np.ndim(data[1]) < np.ndim(data[0])


def _labelled(one: Sequence[Any]) -> bool:
    """(x of one sample or batch, its label or labels)."""
    return len(one) == 2 and _is_array(one[0]) and not isinstance(one[1], list)


def _parts(data: Any) -> Iterator[Any]:
    """The samples or batches of an iterable; of a data set by its length, which is the end."""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[k] for k in range(len(data)))
    return iter(data)


def _collected(parts: Iterable[Any], batches: bool) -> Mapping[str, Any]:
    """Samples or batches one after the other as one array; `batches`: what an x alone is."""
    xs: list[NDArray[Any]] = []
    ys: list[NDArray[Any]] = []
    for number, part in enumerate(_bounded(parts)):
        x, y = _split(part, number)
        one = np.ndim(y) == 0 if y is not None else not batches
        xs.append(x[None] if one else x)
        if y is not None:
            ys.append(np.reshape(y, (1,)) if one else y)
    if not xs:
        raise fail(DataError, NAME, "holds no samples", HINT)
    if len({x.shape[1:] for x in xs}) > 1:
        few = sorted({str(list(x.shape[1:])) for x in xs})[:3]
        what = f"has samples of the shapes {', '.join(few)}"
        raise fail(DataError, NAME, what, "pad them with steps of zeros to one length")
    if ys and len(ys) < len(xs):
        raise fail(DataError, NAME, f"has labels for {len(ys)} of {len(xs)} parts", HINT)
    return {"x": np.concatenate(xs), "y": np.concatenate(ys) if ys else None}


def _bounded(parts: Iterable[Any]) -> Iterator[Any]:
    for number, part in enumerate(parts):
        if number >= MOST_PARTS:
            raise fail(DataError, NAME, f"has not ended after {MOST_PARTS} parts", HINT)
        yield part


def _split(part: Any, number: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """X and y of one sample or batch."""
    y: Any = None
    if isinstance(part, Mapping):
        x, y = part.get("x"), part.get("y")
    elif isinstance(part, tuple | list) and len(part) == 2 and _is_array(part[0]):
        x, y = part
    elif isinstance(part, tuple | list) and len(part) == 1:
        x = part[0]
    else:
        x = part
    if not _is_array(x):
        raise fail(DataError, NAME, f"part {number} is {shown(part)}", HINT)
    found = as_array(x)
    if not found.ndim:
        raise fail(DataError, NAME, f"part {number} is {shown(part)}", HINT)
    return found, None if y is None else as_array(y, "y")


def _unknown(data: Any) -> SnnstackError:
    return fail(DataError, NAME, f"is {type(data).__name__} {shown(data)}", HINT)
