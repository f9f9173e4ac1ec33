"""Values read from a file against the annotations of the dataclass they are for."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from snnstack.door import shown

LARGEST = 2**64
"""No number that is saved is this large: what computes with 64 bits would fail far from here."""


def check_fields(kind: type[Any], parts: Mapping[str, Any]) -> None:
    """ValueError, naming the field, for a value that is not what `kind` says it holds.

    Arrays are checked to be arrays of numbers, not for their shapes.
    """
    known = _hints(kind)  # type: ignore[arg-type]
    for name, value in parts.items():
        # A name that is not known is refused by the constructor.
        if name in known and not _fits(value, known[name]):
            raise ValueError(f"{kind.__name__}.{name} is {type(value).__name__} {shown(value)}")


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    found = get_type_hints(kind)
    return {field.name: found[field.name] for field in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str | int) and value in inner
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(value, inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_fits(v, inner[1]) for v in value.values())
    if hint in (int, float):
        kinds = int if hint is int else int | float
        return isinstance(value, kinds) and not (isinstance(value, int) and abs(value) >= LARGEST)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _all_fit(values: tuple[Any, ...], inner: tuple[Any, ...]) -> bool:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return all(_fits(value, inner[0]) for value in values)
    return len(values) == len(inner) and all(map(_fits, values, inner))
