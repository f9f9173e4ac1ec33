"""What a netx file holds, as it stands: groups and data sets, before any meaning."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, fail
from snnstack.frontends.hdf5 import is_hdf5
from snnstack.frontends.hdf5_tree import read_tree
from snnstack.ir.given import integers
from snnstack.ir.nodes import Shape

Layer = dict[str, Any]


def read_layers(path: Path, problems: list[Problem]) -> tuple[list[Layer], Layer]:
    """(the groups `layer/0`, `layer/1`, ..., everything else in the file)."""
    _check_openable(path)
    tree = read_tree(path, "/", "it has no groups", problems)
    found = tree.pop("layer", None)
    if not isinstance(found, dict):
        names = ", ".join(f"'{name}'" for name in tree) or "nothing"
        what = "it is an HDF5 file but not a netx network: it has no group 'layer'"
        raise fail(ModelError, str(path), what, f"it holds {names}")
    missing = [str(i) for i in range(len(found)) if str(i) not in found]
    if missing or not found:
        what = f"its layers are {sorted(found)}, not numbered from 0 without a gap"
        raise fail(ModelError, str(path), what)
    return [found[str(i)] for i in range(len(found))], tree


def _check_openable(path: Path) -> None:
    if not path.exists():
        raise fail(ModelError, str(path), "there is no such file")
    if path.is_dir():
        raise fail(ModelError, str(path), "it is a directory", "name a .net file")
    if not path.is_file():
        raise fail(ModelError, str(path), "it is no regular file", "name a .net file")
    if path.stat().st_size == 0:
        raise fail(ModelError, str(path), "it is empty", "export or download it again")
    if os.access(path, os.R_OK) and not is_hdf5(path):
        raise fail(ModelError, str(path), "it is not an HDF5 file", "netx networks are HDF5 files")


def layer_type(layer: Layer) -> str:
    """The layer's `type`, whether it is stored as text or as an array of one text."""
    kind = layer.get("type", "")
    return str(kind[0] if isinstance(kind, tuple) and kind else kind)


LARGEST = 2**24
"""Neurons of a layer, each with numbers of its own: 16 times those of a whole Loihi 2."""
MOST_NUMBERS = 32
"""Of a shape, as numpy has it."""
Pair = tuple[int, int]


def shape_of(where: str, layer: Layer, problems: list[Problem]) -> Shape:
    """[C, H, W] or [n], as it is stored."""
    if layer.get("shape") is None:
        problems.append(Problem(where, "it has no 'shape'"))
        return (1,)
    shape = whole_numbers(where, "shape", layer["shape"], problems)
    if shape is None:
        return (1,)
    if not shape or min(shape) < 1 or math.prod(shape) > LARGEST:
        problems.append(Problem(where, f"its shape is {list(shape)}"))
        return (1,)
    return shape


def pair_of(
    where: str, name: str, layer: Layer, usual: int | Pair, problems: list[Problem]
) -> Pair:
    """(y, x) of what a layer stores under `name` as one number or two; `usual` without it."""
    found = whole_numbers(where, name, layer.get(name, usual), problems)
    if found is not None and len(found) not in (1, 2):
        problems.append(Problem(where, f"its {name} has {len(found)} numbers, not one or two"))
    return (1, 1) if not found else (found[0], found[-1])


def whole_numbers(
    where: str, name: str, value: Any, problems: list[Problem]
) -> tuple[int, ...] | None:
    """What is stored under `name`, in a row; None and a problem where that is anything else."""
    before = len(problems)
    found = integers(where, f"its {name}", value, problems).ravel()
    if len(problems) == before and (len(found) > MOST_NUMBERS or np.any(np.abs(found) > LARGEST)):
        problems.append(Problem(where, f"its {name} is {found[:MOST_NUMBERS].tolist()}"))
    return tuple(map(int, found)) if len(problems) == before else None


def record(layer: Mapping[str, Any], prefix: str = "") -> Layer:
    """Form and, where it is small, value of every data set of a layer; plain numbers and text."""
    found: Layer = {}
    for key, value in layer.items():
        if isinstance(value, dict):
            found |= record(value, f"{prefix}{key}/")
        elif isinstance(value, (str, tuple)):
            found[prefix + key] = {"text": value}
        else:
            array = np.asarray(value)
            entry: Layer = {"dtype": array.dtype.str, "shape": list(array.shape)}
            if array.size == 1 or prefix + key not in ("weight", "weight_rec", "recWeight"):
                entry["value"] = array.ravel().tolist()
            found[prefix + key] = entry
    return found
