"""Damage by a seeded generator: bytes of any file, text of TOML and JSON, arrays, trees."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import numpy as np

from tests.fuzz.odd_values import LEAVES, TOKENS, WORDS

Rng = np.random.Generator


def damaged(content: bytes, rng: Rng) -> bytes:
    """A few bytes of a file changed, moved, lost or doubled."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 8]))):
        if not data:
            break
        _BYTES[int(rng.integers(len(_BYTES)))](data, int(rng.integers(len(data))), rng)
    return bytes(data)


def _flip(data: bytearray, at: int, rng: Rng) -> None:
    data[at] ^= 1 << int(rng.integers(8))


def _set(data: bytearray, at: int, rng: Rng) -> None:
    data[at] = int(rng.choice([0, 1, 127, 128, 255, 32, 48]))


def _word(data: bytearray, at: int, rng: Rng) -> None:
    word = WORDS[int(rng.integers(len(WORDS)))]
    data[at : at + len(word)] = word


def _lose(data: bytearray, at: int, rng: Rng) -> None:
    del data[at : at + int(rng.choice([1, 2, 7, 64]))]


def _cut(data: bytearray, at: int, rng: Rng) -> None:
    del data[at:]


def _double(data: bytearray, at: int, rng: Rng) -> None:
    data[at:at] = data[at : at + int(rng.choice([1, 4, 16, 300]))]


def _zeros(data: bytearray, at: int, rng: Rng) -> None:
    size = min(int(rng.choice([2, 8, 64, 512])), len(data) - at)
    data[at : at + size] = bytes(size)


def _move(data: bytearray, at: int, rng: Rng) -> None:
    size = int(rng.choice([1, 4, 8, 32]))
    other = int(rng.integers(len(data)))
    data[at : at + size] = data[other : other + size]


_BYTES = (_flip, _flip, _set, _word, _word, _lose, _cut, _double, _zeros, _move)


def damaged_text(content: bytes, rng: Rng) -> bytes:
    """TOML, CSV or JSON with a token, a line or a bracket replaced."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        kind = int(rng.integers(4))
        if kind < 2:
            found = list(re.finditer(r'"[^"\n]*"|[-\w.]+|\S', text))
            if found:
                one = found[int(rng.integers(len(found)))]
                text = text[: one.start()] + _token(rng) + text[one.end() :]
            continue
        lines = text.splitlines(keepends=True) or [""]
        at, other = (int(k) for k in rng.integers(len(lines), size=2))
        if kind == 2:
            del lines[at]
        else:
            lines.insert(at, lines[other])
        text = "".join(lines)
    return text.encode("utf-8", "replace")


def _token(rng: Rng) -> str:
    return TOKENS[int(rng.integers(len(TOKENS)))]


def leaf(rng: Rng) -> Any:
    """Some value that is rarely expected."""
    return LEAVES[int(rng.integers(len(LEAVES)))]


def damaged_json(content: bytes, rng: Rng) -> bytes:
    """JSON with values replaced, lost, renamed or doubled somewhere in its tree."""
    tree = json.loads(content)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        tree = _changed(tree, rng)
    return json.dumps(tree).encode()


def _changed(tree: Any, rng: Rng) -> Any:
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.1:
        return leaf(rng)
    if isinstance(tree, list):
        at = int(rng.integers(len(tree)))
        kept = list(tree)
        kind = rng.random()
        if kind < 0.1:
            del kept[at]
        elif kind < 0.15:
            kept.append(kept[at])
        else:
            kept[at] = _changed(kept[at], rng)
        return kept
    name = list(tree)[int(rng.integers(len(tree)))]
    kind = rng.random()
    if kind < 0.1:
        return {k: v for k, v in tree.items() if k != name}
    if kind < 0.15:
        return {("x" if k == name else k): v for k, v in tree.items()}
    return {**tree, name: _changed(tree[name], rng)}


def array(rng: Rng, like: Any = None) -> Any:
    """An array of some other type, shape or values."""
    kinds: tuple[Any, ...] = (
        "f4",
        "f8",
        "f2",
        "i1",
        "i8",
        "u1",
        "u8",
        "?",
        "c8",
        "S3",
        "U2",
        "M8[s]",
        [("a", "f4"), ("b", "i2")],
        ">f8",
        ">i2",
        "V3",
    )
    if like is not None and like.size and rng.random() < 0.5:
        return _other_values(np.array(like), rng)
    if like is not None and rng.random() < 0.5:
        shape = list(like.shape)
        if shape and rng.random() < 0.5:
            shape[int(rng.integers(len(shape)))] = int(rng.choice([0, 1, 2, 5]))
        else:
            shape = shape[1:] if rng.random() < 0.5 else [1, *shape]
    else:
        shape = [int(n) for n in rng.choice([0, 1, 2, 3, 4], size=int(rng.integers(5)))]
    kind = kinds[int(rng.integers(len(kinds)))]
    return (
        np.zeros(shape, dtype=kind)
        if rng.random() < 0.5
        else np.ones(shape)
        .astype("u1")
        .astype(kind if isinstance(kind, str) and kind not in ("V3",) else "u1")
    )


def _other_values(values: Any, rng: Rng) -> Any:
    if values.dtype.kind not in "fiu":
        return values.astype("S8") if values.dtype.kind in "SU" else np.zeros(values.shape)
    if values.dtype.kind == "f":
        new = rng.choice([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e30, 1e300, 1e-40, 0.5, 1e4])
    else:
        info = np.iinfo(values.dtype)
        new = rng.choice([info.min, info.max, 0, 1, 2])
    flat = values.reshape(-1)
    with np.errstate(all="ignore"):
        if rng.random() < 0.5:
            flat[:] = new
        else:
            flat[int(rng.integers(len(flat)))] = new
    return values


def damaged_npz(content: bytes, rng: Rng) -> bytes:
    """An .npz with another array, another header, another name or another way of packing."""
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: file[name] for name in file.files}
    name = list(arrays)[int(rng.integers(len(arrays)))]
    parts = {f"{k}.npy": _npy(v) for k, v in arrays.items()}
    kind = int(rng.integers(6))
    if kind == 0:
        del parts[f"{name}.npy"]
    elif kind == 1:
        parts[str(leaf(rng))] = parts.pop(f"{name}.npy")
    elif kind == 2:
        head = parts[f"{name}.npy"]
        parts[f"{name}.npy"] = damaged_header(head, rng)
    elif kind == 3:
        parts[f"{name}.npy"] = damaged(parts[f"{name}.npy"], rng)
    else:
        parts[f"{name}.npy"] = _npy(array(rng, arrays[name]))
    made = io.BytesIO()
    way = int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
    with zipfile.ZipFile(made, "w", way) as archive:
        for key, part in parts.items():
            archive.writestr(zipfile.ZipInfo(key or "x"), part, way)
    return made.getvalue()


def _npy(values: Any) -> bytes:
    made = io.BytesIO()
    np.save(made, values, allow_pickle=False)
    return made.getvalue()


def damaged_header(content: bytes, rng: Rng) -> bytes:
    """A .npy whose header says something else."""
    size = int.from_bytes(content[8:10], "little")
    text = content[10 : 10 + size].decode("latin1")
    descrs = (
        "'|O'",
        "'<f16'",
        "'|V0'",
        "'S0'",
        "[]",
        "[('a', '<f4')]",
        "[('a', '<f4', (9, 9))]",
        "'<M8[ns]'",
        "'<i3'",
        "3",
        "None",
        "('<f4', (2, 2))",
        "'<f4,<i2'",
        "'|S999999999'",
    )
    shapes = (
        "()",
        "(0,)",
        "(-1,)",
        "(10**9,)",
        "(1099511627776, 1099511627776)",
        "(2, 3)",
        "3",
        "(1.5,)",
        "(True,)",
        "None",
        "(4294967296,)",
        "[2, 3]",
        "(9223372036854775807,)",
    )
    kind = int(rng.integers(4))
    if kind == 0:
        text = re.sub(
            r"'descr': [^,]*,", f"'descr': {descrs[int(rng.integers(len(descrs)))]},", text
        )
    elif kind == 1:
        shape = shapes[int(rng.integers(len(shapes)))]
        text = re.sub(r"'shape': \([^)]*\)", f"'shape': {shape}", text)
    elif kind == 2:
        text = text.replace("False", ("True", "None", "3", "[]")[int(rng.integers(4))])
    else:
        text = damaged_text(text.encode(), rng).decode("utf-8", "replace")
    head = text.encode("utf-8", "replace")[:60000]
    version = bytes([int(rng.choice([1, 1, 1, 2, 3, 9])), int(rng.choice([0, 0, 0, 1]))])
    length = len(head).to_bytes(2 if version[0] == 1 else 4, "little")
    return content[:6] + version + length + head + content[10 + size :]
