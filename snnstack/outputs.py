"""What a command may write: never what it reads, and under endings that say what it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.files import check_writable

FILE_ENDINGS = (".csv", ".htm", ".html", ".json", ".net", ".nir", ".npz", ".onnx", ".toml")
"""Endings that nobody gives a directory on purpose."""


@dataclass(frozen=True)
class Output:
    """What a command will write: a file with one of `endings`, or (no endings) a directory."""

    path: Path
    endings: tuple[str, ...] = ()


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path]) -> None:
    """TargetError, before any work is done, with all that is wrong with what will be written.

    An output is never one of the inputs, by whatever name, nor a file of a directory that is
    one; files end as what they hold; no two outputs are the same.
    """
    known = _Inputs([path for path in inputs if os.path.exists(path)])
    raise_if_any(TargetError, _output_problems(outputs, known))
    for output in outputs:
        if output.endings:
            check_writable(output.path)


def _output_problems(outputs: Sequence[Output], known: _Inputs) -> Iterator[Problem]:
    before: list[Path] = []
    for output in outputs:
        path, where, suffix = output.path, str(output.path), output.path.suffix
        if output.endings and suffix.lower() not in output.endings and not os.path.isdir(path):
            what = f"ends in {suffix!r}" if suffix else "has no ending"
            yield Problem(where, what, f"name a {' or '.join(output.endings)} file")
        if not output.endings and suffix.lower() in FILE_ENDINGS:
            yield Problem(where, f"ends in {suffix!r}, but a directory is written", "leave it out")
        if known.include(path):
            yield Problem(where, "is an input of the same command", "name another output")
        if any(_same(path, other) for other in before):
            yield Problem(where, "is named for two outputs", "name another output")
        before.append(path)


class _Inputs:
    """Files and directories that are read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def include(self, path: Path) -> bool:
        """Whether writing `path` would change one of them."""
        if not os.path.exists(path):
            return False
        return any(_same(path, known) or _holds(known, path) for known in self.paths)


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file: through links, or before it is there."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _holds(folder: Path, path: Path) -> bool:
    """Whether `path` is a file that is read with the directory `folder`.

    Of a program's directory: those that its manifest lists, others do not matter.
    """
    real, inside = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    if not folder.is_dir() or path.is_dir() or not inside.is_relative_to(real):
        return False
    manifest = real / "manifest.json"
    if not manifest.is_file():
        return True  # a folder of data: every file of it may be read
    try:
        listed = json.loads(manifest.read_bytes())["files"]
        return inside.relative_to(real).as_posix() in ("manifest.json", *listed)
    except (OSError, ValueError, LookupError, TypeError):
        return True
