"""NIR's HDF5 files: read into nested dictionaries exactly as they stand, and written.

Layout: a group `node` with `type`, `nodes`, `edges` and `metadata`; each node is a group
with its `type` and one data set per parameter (Pedersen et al. 2024 and nir 1.0).
"""

from __future__ import annotations

import io
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, fail
from snnstack.frontends import hdf5_tree
from snnstack.frontends.hdf5 import is_hdf5, write_model

NO_MODEL = "it is an HDF5 file but not a NIR model: it has no group 'node'"


def read_tree(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """The group `node` as dictionaries of numpy values, strings and tuples of strings.

    What cannot be read is left out and added to `problems`; ModelError where nothing can be.
    """
    _check_openable(path)
    return hdf5_tree.read_tree(path, "node", NO_MODEL, problems)


def _check_openable(path: Path) -> None:
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        like = get_close_matches(path.name, names, n=3)
        hint = f"near names: {', '.join(like)}" if like else ""
        raise fail(ModelError, str(path), "there is no such file", hint)
    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a .nir file")
    if not path.is_file():
        raise fail(ModelError, str(path), "it is no regular file", "name a .nir file")
    if path.stat().st_size == 0:
        raise fail(ModelError, str(path), "it is empty", "export or download it again")
    if os.access(path, os.R_OK) and not is_hdf5(path):
        raise fail(ModelError, str(path), "it is not an HDF5 file", "NIR models are HDF5 files")


def write_nir(nir_graph: Any, path: Path) -> None:
    """Write a `nir.NIRGraph` with nir's own writer, under a temporary name, then renamed.

    Raises ModelError where the folder is missing or cannot be written.
    """
    import nir

    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a file")
    if not path.parent.is_dir():
        raise fail(ModelError, str(path), f"there is no directory '{path.parent}'", "create it")
    content = io.BytesIO()
    nir.write(content, nir_graph)
    write_model(content.getvalue(), path)
