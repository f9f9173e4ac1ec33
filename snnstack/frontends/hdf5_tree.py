"""Small HDF5 files, NIR's and netx's, as nested dictionaries exactly as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, fail
from snnstack.foreign import ForeignFile
from snnstack.frontends.hdf5 import AGAIN, opened, oversized

MOST_TEXTS = 2**20
"""Pieces of text in one data set: half a million edges."""
MOST_BYTES = 2**32
"""Of all data sets together."""
PLAIN = "export the model again with plain numbers"


def read_tree(path: Path, group: str, missing: str, problems: list[Problem]) -> dict[str, Any]:
    """The group called `group` as dictionaries of numpy values, strings and tuples of strings.

    `missing` is said of a file without such a group. What cannot be read is left out and added
    to `problems`; ModelError where nothing can be.
    """
    tree, found = ForeignFile(path, ModelError).read(tree_of, group, missing)
    problems += [Problem(*parts) for parts in found]
    return dict(tree)


def tree_of(path: str, group: str, missing: str) -> tuple[dict[str, Any], list[list[str]]]:
    """(tree, problems as lists of texts) of a group; read it with `read_tree`."""
    import h5py

    with opened(path, ModelError) as file:
        found = file.get(group)
        if not isinstance(found, h5py.Group):
            names = ", ".join(f"'{name}'" for name in file) or "nothing"
            raise fail(ModelError, path, missing, f"it holds {names}")
        reader = _Reader(path)
        tree = reader.group(found)
    return tree, [[p.where, p.what, p.hint] for p in reader.problems]


class _Reader:
    """What has been read, and what was wrong with it."""

    def __init__(self, path: str) -> None:
        self.path, self.bytes = path, 0
        self.problems: list[Problem] = []

    def group(self, group: Any) -> dict[str, Any]:
        """`opened` has seen to it that the tree is finite."""
        import h5py

        found: dict[str, Any] = {}
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                found[name] = self.group(item)
            elif isinstance(item, h5py.Dataset):
                self._dataset(item, name, found)
        return found

    def _dataset(self, item: Any, name: str, found: dict[str, Any]) -> None:
        import h5py

        text = h5py.check_string_dtype(item.dtype)
        if item.shape is None:
            self._refuse(f"{item.name} is an empty data set", PLAIN)
        elif wrong := oversized(item):
            self._refuse(wrong, AGAIN)
        elif text is not None and item.size > MOST_TEXTS:
            self._refuse(f"{item.name} claims {item.size} pieces of text: too many", AGAIN)
        elif self._over(item.nbytes):
            raise fail(ModelError, self.path, f"it claims more than {MOST_BYTES} bytes", AGAIN)
        elif text is not None:
            found[name] = _strings(item[()])
        elif item.dtype.kind in "biuf":
            found[name] = item[()]
        else:
            what = f"{item.name} holds {_kind(item.dtype)}, not numbers or text"
            self._refuse(what, PLAIN)

    def _over(self, size: int) -> bool:
        self.bytes += size
        return self.bytes > MOST_BYTES

    def _refuse(self, what: str, hint: str) -> None:
        self.problems.append(Problem(self.path, what, hint))


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
