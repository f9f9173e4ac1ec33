"""`Program`: a placed network for one board, and how a directory of it is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from snnstack.board import Board
from snnstack.door import shown
from snnstack.errors import TargetError, fail
from snnstack.ir.step import StepInput

MANIFEST = "manifest.json"
"""The file that makes a directory a program: JSON with at least "target" and "format"."""


class Program(Protocol):
    """What every compiler returns: plain data, in the form its backend defines."""

    @property
    def target(self) -> str:
        """The target's name in the entry-point groups."""

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def board(self) -> Board:
        """The board the program was placed on."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the result populations."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How the model was read, discretised and quantised."""

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""

    @property
    def fires(self) -> Mapping[str, bool]:
        """{population: whether it sends spikes}."""

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""


def program_of(program: Any) -> Program:
    """`program` if it is one; else TargetError with what it is."""
    if not isinstance(getattr(program, "board", None), Board) or not hasattr(program, "port"):
        what = f"is {type(program).__name__} {shown(program)}"
        raise fail(
            TargetError, "program", what, "give what snnstack.compile or open_program returns"
        )
    found: Program = program
    return found


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) of a set of files, names included, in any order."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()


def with_manifest(
    program: Program, files: Mapping[str, bytes], form: int, **more: Any
) -> dict[str, bytes]:
    """`files` of a program and their manifest: target, `form` of the directory, digests.

    `more`: what a target adds, plain values, mappings or arrays.
    """
    manifest = {
        "format": form,
        "target": program.target,
        "name": program.name,
        "board": program.board.name,
        "digest": digest(files),
        "files": {name: digest({name: content}) for name, content in sorted(files.items())},
        **more,
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, default=_plain)
    return {**files, MANIFEST: f"{text}\n".encode()}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.tolist()


def read_directory(path: Path) -> dict[str, bytes]:
    """All files under `path`; `TargetError` if it is not a program's directory."""
    if not (path / MANIFEST).is_file():
        other = "is not a directory" if path.exists() else "there is no such directory"
        what = f"has no {MANIFEST}" if path.is_dir() else other
        raise fail(TargetError, str(path), what, "give a directory made by `snnstack compile`")
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
