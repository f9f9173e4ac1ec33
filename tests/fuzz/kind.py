"""A kind of input: the whole files, what is damaged in them, and what reads them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from tests.fuzz.damage import Rng, damaged, damaged_header, damaged_json, damaged_npz, damaged_text
from tests.fuzz.trees import damaged_onnx

BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")
TARGETS = dict(zip(("mcu", "loihi", "spinnaker2", "crossbar"), BOARDS, strict=True))
Damage = Callable[[Path, Rng], None]
Read = Callable[[Path, Rng], Any]


@dataclass(frozen=True)
class Kind:
    """`sources` write whole files into a folder; `damage` changes files that match `pattern`;
    `read` is what a user does with the folder."""

    sources: tuple[Callable[[Path], None], ...]
    pattern: str
    damage: tuple[Damage, ...]
    read: Read
    needs: tuple[str, ...] = field(default_factory=tuple)


def make(kind: Kind, folder: Path, rng: Rng, wholes: Path) -> None:
    """One damaged input of a kind in the empty `folder`."""
    number = int(rng.integers(len(kind.sources)))
    whole = wholes / str(number)
    if not whole.is_dir():
        whole.mkdir(parents=True)
        kind.sources[number](whole)
    shutil.copytree(whole, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    files = sorted(f for f in folder.rglob(kind.pattern) if f.is_file())
    if files:
        one_of(kind.damage, rng)(one_of(files, rng), rng)


def generator(kind: str, seed: int) -> Rng:
    """The numbers of one input: they depend on its kind and its seed alone."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed])


def one_of(values: Any, rng: Rng) -> Any:
    """One of a list."""
    return values[int(rng.integers(len(values)))]


def mixed(*readers: Read) -> Read:
    """One of several ways to read."""
    return lambda folder, rng: one_of(readers, rng)(folder, rng)


@cache
def board(name: str) -> Any:
    """A whole board; reading it takes longer than what is tried with it."""
    return snnstack.load_board(name)


def some_board(rng: Rng) -> Any:
    """A board of one of the targets."""
    return board(one_of(BOARDS, rng))


def content(change: Callable[[bytes, Rng], bytes]) -> Damage:
    """Damage of a file's bytes."""

    def damage(path: Path, rng: Rng) -> None:
        path.write_bytes(change(path.read_bytes(), rng))

    return damage


BYTES, TEXT, JSON = (content(f) for f in (damaged, damaged_text, damaged_json))
NPZ, HEADER, ONNX = (content(f) for f in (damaged_npz, damaged_header, damaged_onnx))


def nothing(path: Path, rng: Rng) -> None:
    """Whole files, of which something else is asked."""
