"""Frozen dataclasses to files and back: structure as JSON, arrays as .npz, nothing executable."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from snnstack.board import Board
from snnstack.dynamics.library import from_saved, saved_form
from snnstack.dynamics.model import Model
from snnstack.errors import TargetError, fail
from snnstack.ir.nodes import Array
from snnstack.npz import read_npz
from snnstack.typed_fields import check_fields

KIND, ARRAY, TUPLE, MODEL = "$kind", "$array", "$tuple", "$model"
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    BadZipFile,
    msgspec.MsgspecError,
    struct.error,
    zlib.error,
)
"""What reading a file that was cut or changed can raise, in JSON, zip, deflate or NumPy."""


def to_files(value: Any, stem: str) -> dict[str, bytes]:
    """`{stem.json, stem.npz}` of a tree of dataclasses, mappings, tuples, arrays and scalars."""
    arrays: dict[str, Array] = {}
    tree = _encode(value, arrays)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    text = json.dumps(tree, indent=1, sort_keys=True)
    return {f"{stem}.json": f"{text}\n".encode(), f"{stem}.npz": buffer.getvalue()}


def from_files(files: Mapping[str, bytes], stem: str, kinds: tuple[type[Any], ...]) -> Any:
    """The inverse of `to_files`: one of `kinds[0]`; only the dataclasses in `kinds` are built.

    Raises TargetError for a missing or malformed file.
    """
    for name in (f"{stem}.json", f"{stem}.npz"):
        if name not in files:
            raise fail(TargetError, name, "is missing", "the program's directory is incomplete")
    try:
        tree = json.loads(files[f"{stem}.json"])
        arrays = read_npz(files[f"{stem}.npz"])
        known: dict[str, type[Any]] = {kind.__name__: kind for kind in kinds}
        return _expected(_decode(tree, arrays, known), kinds[0])
    except DAMAGED as error:
        what = f"is malformed: {error or type(error).__name__}"
        raise fail(TargetError, f"{stem}.json", what, "compile the model again") from error


def _expected(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"holds a {type(value).__name__}, not a {kind.__name__}")
    return value


def _encode(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, Board):
        return {KIND: "Board", "board": msgspec.to_builtins(value)}
    if isinstance(value, Model):
        return {MODEL: saved_form(value)}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _encode(getattr(value, f.name), arrays) for f in fields(value)}
        return {KIND: type(value).__name__, **parts}
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {ARRAY: key}
    if isinstance(value, Mapping):
        # in the order in which the file will have them, so that it is the same when it was read
        return {key: _encode(item, arrays) for key, item in sorted(_by_text(value).items())}
    if isinstance(value, tuple | list):
        return {TUPLE: [_encode(item, arrays) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _by_text(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()}


def _decode(tree: Any, arrays: Mapping[str, Array], kinds: Mapping[str, type[Any]]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if ARRAY in tree:
        return arrays[tree[ARRAY]]
    if MODEL in tree:
        return from_saved(tree[MODEL])
    if TUPLE in tree:
        return tuple(_decode(item, arrays, kinds) for item in tree[TUPLE])
    if tree.get(KIND) == "Board":
        return msgspec.convert(tree["board"], Board)
    parts = {k: _decode(v, arrays, kinds) for k, v in tree.items() if k != KIND}
    if KIND not in tree:
        return parts
    kind = kinds[tree[KIND]]
    check_fields(kind, parts)
    return kind(**parts)
