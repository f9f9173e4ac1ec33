"""The directory of a program: written, and opened again as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from snnstack import door
from snnstack.building import Build
from snnstack.errors import Problem, TargetError, fail, raise_if_any
from snnstack.files import write_directory
from snnstack.program import MANIFEST, Program, digest, program_of, read_directory
from snnstack.quant.network import QuantizedNetwork
from snnstack.saved_networks import beside_problems, network_problems, opened
from snnstack.serial import to_files
from snnstack.simple import NETWORK_KINDS
from snnstack.target import backend, target_names

NETWORK = "network"
CONVERSION = "conversion.json"


def save(built: Build | Program, path: str | PathLike[str]) -> None:
    """Write program, integer network and conversion report to the new directory `path`.

    Of a program alone (`snnstack.compile`), without the latter two.
    """
    write_directory(program_files(_build_of(built)), door.path(path, "save"))


def _build_of(built: Any) -> Build:
    """What was built, or a program as one without its float side."""
    if isinstance(built, Build):
        return built
    return Build(None, None, None, program_of(built), None)


def save_all(built: Mapping[str, Build], path: str | PathLike[str]) -> None:
    """`save` into one new directory, each under its name: all of them, or nothing at all."""
    files = {
        f"{name}/{file}": content
        for name, one in built.items()
        for file, content in program_files(one).items()
    }
    write_directory(files, door.path(path, "save"))


def program_files(built: Build) -> dict[str, bytes]:
    """What `save` writes: {relative path: content}; the manifest has the digest of every file."""
    files = backend(built.program.target).emit(built.program)
    if built.network is not None:
        files |= to_files(built.network, NETWORK)
    if built.conversion is not None:
        text = json.dumps(built.conversion.to_dict(), indent=2)
        files[CONVERSION] = f"{text}\n".encode()
    manifest = json.loads(files.pop(MANIFEST))
    manifest["files"] = {name: digest({name: content}) for name, content in files.items()}
    text = json.dumps(manifest, indent=2, sort_keys=True)
    return files | {MANIFEST: f"{text}\n".encode()}


def open_program(path: str | PathLike[str]) -> tuple[Program, QuantizedNetwork | None]:
    """The program in a directory made by `save`, and its integer network if it is there.

    Raises TargetError for a file that is missing, malformed or not as it was saved: what is
    loaded is what stands in the directory, C text included. Files that were added do not matter.
    """
    path = door.path(path, "program")
    files = read_directory(path)
    target, digests = _manifest(files[MANIFEST], str(path / MANIFEST))
    raise_if_any(TargetError, _changed(files, digests, path))
    kept = {name: files[name] for name in (*digests, MANIFEST)}
    program = backend(target).load(kept)
    if f"{NETWORK}.json" not in kept:
        return program, None
    network = opened(kept, NETWORK, NETWORK_KINDS, network_problems)
    raise_if_any(TargetError, beside_problems(network, program))
    return program, network


def unlike_emitted(program: Program, path: str | Path) -> list[str]:
    """Files of a program's directory that `program` is not written out as, by name.

    They stem from another version, or from someone who changed them together with their digests.
    Arrays are left out: what is loaded is what they hold, and compression differs.
    """
    files, known = read_directory(Path(path)), backend(program.target).emit(program)
    same = {MANIFEST} | {name for name in known if name.endswith(".npz")}
    return sorted(n for n in known if n not in same and n in files and files[n] != known[n])


def saved_conversion(path: str | PathLike[str]) -> dict[str, Any] | None:
    """The conversion report in a program's directory, as plain data; None if there is none."""
    content = read_directory(door.path(path, "program")).get(CONVERSION)
    if content is None:
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        found = error
    if not isinstance(found, dict):
        where = str(Path(path) / CONVERSION)
        raise fail(TargetError, where, "is not a conversion report", "compile the model again")
    return found


def _manifest(content: bytes, where: str) -> tuple[str, dict[str, str]]:
    """The target, and the digest of every file."""
    again = "compile the model again"
    try:
        manifest = json.loads(content)
        target, digests = str(manifest["target"]), dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise fail(TargetError, where, "is not a program's manifest", again) from error
    if target not in target_names():
        hint = f"installed: {', '.join(target_names())}"
        raise fail(TargetError, where, f"target {target!r} is not installed", hint)
    return target, digests


def _changed(
    files: Mapping[str, bytes], digests: Mapping[str, str], path: Path
) -> Iterator[Problem]:
    for name, known in digests.items():
        if name not in files:
            yield Problem(str(path / name), "is missing", "compile the model again")
        elif digest({name: files[name]}) != known:
            what = "is not as `snnstack compile` wrote it"
            yield Problem(str(path / name), what, "compile the model again")
