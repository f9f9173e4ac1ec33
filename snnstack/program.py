"""`Program`: a placed network for one board, and how a directory of it is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from snnstack.board import Board
from snnstack.door import shown
from snnstack.errors import Problem, TargetError, fail, raise_if_any
from snnstack.ir.step import StepInput

MANIFEST = "manifest.json"
"""The file that makes a directory a program: JSON with at least "target" and "format"."""
LARGEST_MANIFEST = 2**26
LARGEST = 2**32
"""Bytes of a program's files, together."""


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


INPUTS = "inputs"
"""In a program's settings: [name, shape] of each of several inputs."""


def port_of(program: Program) -> StepInput:
    """The program's input, with the inputs of the network behind it, where there are several."""
    port, listed = program.port, program.settings.get(INPUTS)
    if port.parts or not listed:
        return port
    parts = tuple(StepInput(str(k), tuple(map(int, shape)), port.events) for k, shape in listed)
    if sum(part.n for part in parts) != port.n:
        what = f"lists inputs of {sum(part.n for part in parts)} elements, it takes {port.n}"
        raise fail(TargetError, program.name, what, "compile the model again")
    return replace(port, parts=parts)


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
    """The manifest in `path` and the files that it lists and that are there; no others.

    Nothing but files of the directory itself is read: `TargetError` for names that lead out of
    it and for links, with all there are, for what is not a program's directory, or too large.
    """
    if not (path / MANIFEST).is_file():
        other = "is not a directory" if path.exists() else "there is no such directory"
        what = f"has no {MANIFEST}" if path.is_dir() else other
        raise fail(TargetError, str(path), what, "give a directory made by `snnstack compile`")
    raise_if_any(TargetError, _out_of(path, MANIFEST))
    names = dict.fromkeys((MANIFEST, *_listed(path / MANIFEST)))
    raise_if_any(TargetError, (problem for name in names for problem in _out_of(path, name)))
    found: dict[str, bytes] = {}
    left = LARGEST
    for name in names:
        file = path / name
        if not file.is_file():
            continue
        left -= file.stat().st_size
        if left < 0:
            what = f"has files of more than {LARGEST} bytes"
            raise fail(TargetError, str(path), what, "compile the model again")
        found[name] = _content(file)
    return found


def _listed(manifest: Path) -> list[str]:
    """Names in a manifest; none where it is malformed, which whoever reads it will say."""
    if manifest.stat().st_size > LARGEST_MANIFEST:
        return []
    try:
        return list(map(str, json.loads(_content(manifest))["files"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise fail(TargetError, str(file), f"cannot be read: {error.strerror}") from error


def _out_of(path: Path, name: str) -> Iterator[Problem]:
    """Whether `name` is anything but a file that lies in `path` itself."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name or "\\" in name:
        what = f"names the file {name[:80]!r}, which is outside of the directory"
        yield Problem(str(path / MANIFEST), what, "compile the model again")
        return
    steps = [path.joinpath(*parts[: k + 1]) for k in range(len(parts))]
    linked = next((step for step in steps if step.is_symlink()), None)
    if linked is not None:
        hint = "copy the file that it leads to, if you trust it"
        yield Problem(str(linked), "is a link; a program is made of files alone", hint)
