"""Plain data as bytes and back: a length, JSON for the structure, then the arrays as they lie.

Nothing in a message is executed: it makes None, numbers, text, bytes, tuples, lists, dictionaries
and arrays of numbers or text of fixed width, of stated sizes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

LENGTH = struct.Struct("<Q")
MOST_STRUCTURE = 2**28
"""Bytes of JSON."""
KINDS = "biufcSU"
"""numpy's letters for what an array may hold."""

Receive = Callable[[int], Any]
"""`receive(n)` waits for n bytes and gives them as a writable buffer."""


def packed(value: Any) -> Iterator[Any]:
    """The pieces of a message; TypeError for what is not plain."""
    buffers: list[Any] = []
    heads: list[Any] = []
    tree = _flat(value, heads, buffers)
    text = json.dumps({"tree": tree, "arrays": heads}).encode()
    yield LENGTH.pack(len(text)) + text
    yield from buffers


def unpacked(receive: Receive, most: int) -> Any:
    """The next message; ValueError for one that is malformed or has above `most` bytes."""
    (length,) = LENGTH.unpack(receive(LENGTH.size))
    if length > MOST_STRUCTURE:
        raise ValueError(f"a message of {length} bytes")
    head = json.loads(bytes(receive(length)))
    arrays = []
    for kind, shape, size in head["arrays"]:
        most -= int(size)
        if size < 0 or most < 0:
            raise ValueError("a message that is too long")
        arrays.append(_array(receive(size), kind, shape))
    return _built(head["tree"], arrays)


def _flat(value: Any, heads: list[Any], buffers: list[Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.ndarray | np.generic | bytes):
        key = "$bytes" if isinstance(value, bytes) else "$array"
        key = "$scalar" if isinstance(value, np.generic) else key
        array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
        if array.dtype.kind not in KINDS or array.dtype.names:
            raise TypeError(f"an array of {array.dtype}")
        heads.append([array.dtype.str, list(array.shape), array.nbytes])
        if array.nbytes:
            flat: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            buffers.append(memoryview(flat))
        return {key: len(heads) - 1}
    if isinstance(value, dict):
        pairs = [[_key(k), _flat(v, heads, buffers)] for k, v in value.items()]
        return {"$dict": pairs}
    if isinstance(value, tuple):
        return {"$tuple": [_flat(v, heads, buffers) for v in value]}
    if isinstance(value, list):
        return [_flat(v, heads, buffers) for v in value]
    raise TypeError(f"a {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a {type(key).__name__} as key")
    return key


def _array(content: Any, kind: Any, shape: Any) -> Any:
    dtype = np.dtype(str(kind))
    sizes = tuple(int(n) for n in shape)
    if dtype.kind not in KINDS or any(n < 0 for n in sizes):
        raise ValueError(f"an array of {kind} {shape}")
    if math.prod(sizes) * dtype.itemsize != len(content):
        raise ValueError(f"an array of {kind} {shape} in {len(content)} bytes")
    return np.frombuffer(content, dtype=dtype).reshape(sizes)


def _built(tree: Any, arrays: list[Any]) -> Any:
    if isinstance(tree, list):
        return [_built(part, arrays) for part in tree]
    if not isinstance(tree, dict):
        return tree
    ((key, value),) = tree.items()
    if key == "$dict":
        return {str(k): _built(v, arrays) for k, v in value}
    if key == "$tuple":
        return tuple(_built(part, arrays) for part in value)
    found = arrays[value]
    return {"$array": found, "$scalar": found[()]}[key] if key != "$bytes" else found.tobytes()
