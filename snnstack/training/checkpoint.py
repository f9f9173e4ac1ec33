"""Checkpoints: a training as it was after an epoch, on the disk whole or not at all.

Plain arrays and JSON, nothing pickled. What a training depends on is kept beside it and compared
before anything goes on: another network, other samples or another recipe would be another result.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.library import saved_form
from snnstack.dynamics.model import Model
from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.files import write_file
from snnstack.npz import NotArrays, read_npz

FORM = 1
"""Of the file; another one is not read."""
ABOUT = "about"
HINT = "start anew: delete it, or name another output"


@dataclass(frozen=True)
class State:
    """`arrays` and `values` (plain JSON) of a training after `epoch` epochs."""

    epoch: int
    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """The file at `path`; `resume`: go on from what is in it, where it is there."""

    path: Path
    resume: bool = False

    def write(self, state: State, config: Mapping[str, Any]) -> None:
        """Replace the file: a kill at any moment leaves the old one or the new one."""
        about = {"form": FORM, "epoch": state.epoch, "config": dict(config)}
        text = json.dumps({**about, "values": dict(state.values)}, allow_nan=False)
        content = io.BytesIO()
        raw = np.frombuffer(text.encode(), dtype=np.uint8)
        np.savez(content, allow_pickle=False, **{ABOUT: raw, **state.arrays})
        write_file(content.getvalue(), self.path)

    def read(self, config: Mapping[str, Any]) -> State | None:
        """The state to go on from, None for a new training.

        DataError: a file without `resume`, one that is none of ours, or one of another training,
        with all that differs.
        """
        self.check()
        if not self.path.exists():
            return None
        try:
            arrays = dict(read_npz(self.path))
            about = json.loads(arrays.pop(ABOUT).tobytes())
            form, known = about["form"], dict(about["config"])
            state = State(int(about["epoch"]), arrays, dict(about["values"]))
        except (NotArrays, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
            what = f"is no checkpoint of a training: {error}"
            raise fail(DataError, str(self.path), what, HINT) from error
        if form != FORM:
            raise fail(DataError, str(self.path), f"has form {form}, this version {FORM}", HINT)
        raise_if_any(DataError, _other(str(self.path), known, config))
        return state

    def check(self) -> None:
        """DataError if there is a file that nobody asked to go on from."""
        if self.path.exists() and not self.resume:
            what = "holds a training that was interrupted"
            raise fail(DataError, str(self.path), what, "go on with --resume, or delete it")

    def done(self) -> None:
        """The training's result is on the disk: the checkpoint is not needed any more."""
        self.path.unlink(missing_ok=True)


def _other(where: str, known: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[Problem]:
    """What this training does not have in common with that of the file."""
    plain = json.loads(json.dumps(dict(asked)))
    for name in dict.fromkeys([*known, *plain]):
        old, new = known.get(name), plain.get(name)
        if old != new:
            short = isinstance(old, str) and len(old) == 64
            what = "is another" if short else f"is {new}, it was {old}"
            yield Problem(f"{where}: {name}", what, HINT)


def content_digest(*values: Any) -> str:
    """SHA-256 (hex) of arrays, numbers, text, and dataclasses and containers of them."""
    total = hashlib.sha256()
    for piece in _pieces(values):
        total.update(piece)
    return total.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Model):
        yield repr(saved_form(value)).encode()
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        for field in fields(value):
            if field.compare or field.init:
                yield from _pieces(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield f"{key}:".encode()
            yield from _pieces(value[key])
    elif isinstance(value, tuple | list):
        yield f"({len(value)}".encode()
        for one in value:
            yield from _pieces(one)
    else:
        yield repr(value).encode()
