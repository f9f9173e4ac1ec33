"""Single values of a NIR model brought to one form: arrays, whole numbers, metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.nodes import Array, Shape, read_only

Text = str | tuple["Text", ...]


def text(value: Any) -> Any:
    """Bytes and numpy strings as str, anything else unchanged."""
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    return str(value) if isinstance(value, str) else value


def array(value: Any) -> Array:
    """Numbers as a read-only array in the machine's byte order, shape and dtype kept.

    Raises ValueError with a phrase saying what `value` holds instead.
    """
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"is not an array of numbers: {error}") from error
    if found.dtype.kind not in "biuf":
        kind = "text" if found.dtype.kind in "US" or _texts(value) else f"{found.dtype} values"
        raise ValueError(f"holds {kind}, not numbers")
    return read_only(found, found.dtype.newbyteorder("="))


def integers(value: Any) -> Shape:
    """A whole number or a list of them, as Python ints."""
    found = array(value)
    whole = found.dtype.kind in "iu" or np.array_equal(found, np.rint(found))
    if not whole or not np.isfinite(found).all():
        raise ValueError(f"is {found.tolist()}, not whole numbers")
    if found.ndim > 1:
        raise ValueError(f"has {found.ndim} axes, not one")
    return tuple(int(number) for number in np.atleast_1d(found))


def shape(value: Any) -> Shape:
    """A shape: a list of whole numbers, possibly empty."""
    return integers(value)


def whole(value: Any) -> int:
    """One whole number."""
    found = integers(value)
    if len(found) != 1:
        raise ValueError(f"is {list(found)}, not one whole number")
    return found[0]


def pair(value: Any) -> tuple[int, int]:
    """Two whole numbers; one stands for both."""
    found = integers(value)
    if len(found) not in (1, 2):
        raise ValueError(f"is {list(found)}, not two whole numbers")
    return found[0], found[-1]


def padding1(value: Any) -> int | str:
    """One whole number, or 'same' or 'valid'."""
    return _mode(value) or whole(value)


def padding2(value: Any) -> tuple[int, int] | str:
    """Two whole numbers, or 'same' or 'valid'."""
    return _mode(value) or pair(value)


def _mode(value: Any) -> str:
    mode = text(value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value)
    if isinstance(mode, str) and mode not in ("same", "valid"):
        raise ValueError(f"is '{mode}', neither 'same' nor 'valid' nor a number")
    return mode if isinstance(mode, str) else ""


READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "array": array,
        "int": whole,
        "pair": pair,
        "shape": shape,
        "padding1": padding1,
        "padding2": padding2,
    }
)


def metadata(value: Any, key: str = "") -> Any:
    """Metadata in the form that survives a file: what HDF5 can hold, as Python values.

    str, bool, int, float, other numpy numbers, read-only arrays of numbers, tuples of str and
    dictionaries of these. Raises ValueError naming the key of anything else.
    """
    name = f"'{key}'"
    value = text(value)
    if isinstance(value, Mapping):
        return {_key(k): metadata(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{name} is text with a NUL character, which a file cannot hold")
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        found = _texts(value)
        return _array(value, name) if found is None else found
    return _number(value, name)


def _key(key: Any) -> str:
    key = text(key)
    if not isinstance(key, str):
        raise ValueError(f"has a key that is not text: {key!r}")
    return key


def _number(value: Any, name: str) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.int64)):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{name} is {value}, which does not fit 64 bits")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.generic) and value.dtype.kind in "iuf":
        return value
    raise ValueError(f"{name} is of type {type(value).__name__}, which a file cannot hold")


def _array(value: Any, name: str) -> Any:
    try:
        found = array(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    return found if found.ndim else _number(found[()], name)


def _texts(value: Any) -> Text | None:
    """A list or array of text, nested or not, as tuples of str; None if it is not that."""
    if isinstance(value, (bytes, str)):
        return str(text(value))
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind in "USO" else ()
    if not isinstance(value, (list, tuple)) or not value:
        return None
    found = [_texts(part) for part in value]
    return None if None in found else tuple(part for part in found if part is not None)
