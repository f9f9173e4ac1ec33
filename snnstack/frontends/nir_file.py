"""NIR's HDF5 files: read into nested dictionaries exactly as they stand, and written.

Layout: a group `node` with `type`, `nodes`, `edges` and `metadata`; each node is a group
with its `type` and one data set per parameter (Pedersen et al. 2024 and nir 1.0).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, fail

DEEPEST = 40
"""Nested groups; a file with more has a link that leads back into itself."""

LARGEST = 2**32
"""Bytes of one data set; a damaged file can claim any number."""
MOST_TEXTS = 2**20
"""Pieces of text in one data set: half a million edges."""

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
"""What h5py raises, depending on where the damage is."""

PLAIN = "export the model again with plain numbers"


def read_tree(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """The group `node` as dictionaries of numpy values, strings and tuples of strings.

    What cannot be read is left out and added to `problems`; ModelError where nothing can be.
    """
    import h5py

    _check_openable(path)
    with _opened(path) as file:
        group = file.get("node")
        if not isinstance(group, h5py.Group):
            names = ", ".join(f"'{name}'" for name in file) or "nothing"
            what = "it is an HDF5 file but not a NIR model: it has no group 'node'"
            raise fail(ModelError, str(path), what, f"it holds {names}")
        return _group(group, str(path), 0, problems)


def _check_openable(path: Path) -> None:
    import h5py

    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        like = get_close_matches(path.name, names, n=3)
        hint = f"near names: {', '.join(like)}" if like else ""
        raise fail(ModelError, str(path), "there is no such file", hint)
    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a .nir file")
    if path.stat().st_size == 0:
        raise fail(ModelError, str(path), "it is empty", "export or download it again")
    if os.access(path, os.R_OK) and not h5py.is_hdf5(path):
        raise fail(ModelError, str(path), "it is not an HDF5 file", "NIR models are HDF5 files")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except PermissionError:
        raise fail(ModelError, str(path), "it may not be read", "change its permissions") from None
    except DAMAGE as error:
        again = "copy or download it again"
        stored = re.search(r"stored_eof = (\d+)", str(error))
        if stored:
            size = path.stat().st_size
            what = f"it is cut short: {size} of {stored.group(1)} bytes"
            raise fail(ModelError, str(path), what, again) from error
        raise fail(ModelError, str(path), f"it is damaged: {error}", again) from error


def _group(group: Any, where: str, depth: int, problems: list[Problem]) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}
    if depth > DEEPEST:
        problems.append(Problem(where, f"{group.name} is nested more than {DEEPEST} deep"))
        return found
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
            what = f"{group.name}/{name} is a link to elsewhere, not data"
            problems.append(Problem(where, what, "store the data in the file"))
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            found[name] = _group(item, where, depth + 1, problems)
        elif isinstance(item, h5py.Dataset):
            _dataset(item, name, where, problems, found)
    return found


def _dataset(
    item: Any, name: str, where: str, problems: list[Problem], found: dict[str, Any]
) -> None:
    import h5py

    text = h5py.check_string_dtype(item.dtype)
    if item.shape is None:
        problems.append(Problem(where, f"{item.name} is an empty data set", PLAIN))
    elif item.nbytes > LARGEST or (text is not None and item.size > MOST_TEXTS):
        what = f"{item.name} claims {item.size} elements of {item.dtype.itemsize} bytes: too many"
        problems.append(Problem(where, what, "copy or download it again"))
    elif text is not None:
        found[name] = _strings(item[()])
    elif item.dtype.kind in "biuf":
        found[name] = item[()]
    else:
        what = f"{item.name} holds {_kind(item.dtype)}, not numbers or text"
        problems.append(Problem(where, what, PLAIN))


def _kind(dtype: Any) -> str:
    if dtype.names:
        return f"records ({', '.join(dtype.names)})"
    return {"V": "opaque bytes (pickled data?)", "O": "objects or references"}.get(
        dtype.kind, f"{dtype} values"
    )


def _strings(value: Any) -> Any:
    """Text as str; an array of text as nested tuples of str."""
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    listed = value.tolist() if hasattr(value, "tolist") else value
    return tuple(_strings(part) for part in listed) if isinstance(listed, list) else str(listed)


def write_nir(nir_graph: Any, path: Path) -> None:
    """Write a `nir.NIRGraph` with nir's own writer, under a temporary name, then renamed.

    Raises ModelError where the folder is missing or cannot be written.
    """
    import nir

    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a file")
    if not path.parent.is_dir():
        raise fail(ModelError, str(path), f"there is no directory '{path.parent}'", "create it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        nir.write(part, nir_graph)
        os.replace(part, path)
    except OSError as error:
        raise fail(ModelError, str(path), f"it cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
