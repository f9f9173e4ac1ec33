"""Weights of the opponent in an .npz: `w1`, `b1`, `w2`, `b2`, ... as torch and ONNX hold them.

A layer's weight is [output, input] or [output, input / groups, y, x]; `largest` is the largest
count in a frame of the training: frames are divided by it. `about`, which may be left out, says
what the weights were trained on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.npz import NotArrays, read_npz
from snnstack.quant.opponent import Opponent, with_arrays

HINT = "give an .npz with w1, b1, w2, b2, ... and largest"
RANGES = "weights are finite, largest is at least 1"
Arrays = dict[str, NDArray[np.float64]]


def read_weights(path: Path, net: Opponent) -> tuple[Opponent, int, str]:
    """`net` with the real weights in `path`, the largest count of its training, and about it."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise fail(DataError, str(path), what, HINT)
    try:
        held = read_npz(path)
        about = str(held.pop("about", ""))
        if any(array.dtype.kind not in "biuf" for array in held.values()):
            raise NotArrays("holds something else")
    except (NotArrays, OSError) as error:
        raise fail(DataError, str(path), "is not an .npz file of numbers", HINT) from error
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in held.items()}
    raise_if_any(DataError, _unlike(str(path), net, arrays))
    pairs = [(arrays[f"w{k + 1}"], arrays[f"b{k + 1}"]) for k in range(len(net.layers))]
    return with_arrays(net, pairs), int(arrays["largest"]), about


def _unlike(where: str, net: Opponent, arrays: Arrays) -> Iterator[Problem]:
    wanted: dict[str, tuple[int, ...]] = {"largest": ()}
    for k, layer in enumerate(net.layers):
        wanted |= {f"w{k + 1}": layer.synapses.weight.shape, f"b{k + 1}": layer.bias.shape}
    for name, shape in wanted.items():
        if name not in arrays:
            yield Problem(where, f"holds no {name}", HINT)
        elif arrays[name].shape != shape:
            found = list(arrays[name].shape)
            what = f"{name} has shape {found}, a network of the same shape {list(shape)}"
            yield Problem(where, what, f"its widths are {net}")
        elif not np.isfinite(arrays[name]).all() or (name == "largest" and arrays[name] < 1):
            yield Problem(where, f"{name} holds numbers out of range", RANGES)


def weights_file(net: Opponent, largest: int, about: str) -> bytes:
    """What `read_weights` reads."""
    arrays: dict[str, Any] = {"largest": np.int64(largest), "about": np.str_(about)}
    for k, layer in enumerate(net.layers):
        arrays |= {
            f"w{k + 1}": layer.synapses.weight.astype(np.float32),
            f"b{k + 1}": layer.bias.astype(np.float32),
        }
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()
