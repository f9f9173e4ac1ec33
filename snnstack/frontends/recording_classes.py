"""Splits and classes of a folder of recordings: by what folders are called, never by what is there.

Where folders are not numbers, a class's number is its place among all names in all splits, or in
the list that `classes=` gives; how many there are is compared with the network's outputs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snnstack.errors import DataError, fail
from snnstack.frontends.spec import Spec

SPLITS = ("train", "test", "valid")
OTHER_NAMES = {"training": "train", "testing": "test", "validation": "valid", "val": "valid"}
USER = re.compile(r"user\d+", re.IGNORECASE)
"""Folders of DVS-Gesture as tonic unpacks it: a user's, with a file per class."""


@dataclass(frozen=True)
class Classes:
    """The class of every file (None: unknown); `names` in order, where the order gave numbers."""

    labels: Sequence[int | None]
    names: tuple[str, ...] | None = None


def split_of(name: str) -> str | None:
    """The split that a folder of this name holds: `Train`, `nmnist_test`, `ibmGestureTest`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    last = parts[-1].lower() if parts else ""
    found = OTHER_NAMES.get(last, last)
    return found if found in SPLITS else None


def split_folders(path: Path) -> dict[str, Path]:
    """The folders of splits in `path`."""
    found = {}
    for folder in sorted(path.iterdir()):
        split = split_of(folder.name) if folder.is_dir() else None
        if split is not None:
            found[split] = folder
    return found


def listed(path: Path, spec: Spec) -> set[str] | None:
    """File names of the wanted split where DVS-Gesture's lists say which, else None."""
    lists = {split: path / f"trials_to_{split}.txt" for split in ("train", "test")}
    present = {split: file for split, file in lists.items() if file.is_file()}
    wanted = spec.options.get("split")
    if not present:
        return None
    if wanted not in present:
        what = f"has the splits {', '.join(present)}"
        raise fail(DataError, str(path), what, "choose one: split=test")
    lines = present[wanted].read_text(encoding="utf-8", errors="replace").splitlines()
    return {line.strip() for line in lines if line.strip()}


def chosen_split(path: Path, spec: Spec) -> Path:
    """The folder of the wanted split, where there are folders for splits."""
    present, wanted = split_folders(path), spec.options.get("split")
    if listed(path, spec) is not None:
        return path
    if wanted is not None and wanted not in SPLITS:
        raise fail(DataError, spec.text, f"split is {wanted!r}", f"one of: {', '.join(SPLITS)}")
    known = [s for s in SPLITS if s in present]
    if wanted is None:
        if len(present) > 1:
            what = f"has the splits {', '.join(known)}"
            raise fail(DataError, str(path), what, "choose one: split=test")
        return next(iter(present.values()), path)
    if wanted in present:
        return present[wanted]
    if present:
        what = f"has no split {wanted!r}, only {', '.join(known)}"
        raise fail(DataError, str(path), what, "choose another split")
    if split_of(path.name) != wanted:
        raise fail(DataError, str(path), f"has no folder for the split {wanted!r}", "leave it out")
    return path


def classes_of(files: Sequence[Path], root: Path, spec: Spec) -> Classes:
    """The classes of files below `root`, from their folders, or from numbers as file names."""
    tops = [file.relative_to(root).parts for file in files]
    flat = [parts[0] for parts in tops if len(parts) == 1]
    if len(flat) == len(files):
        return Classes([None] * len(files))
    if flat:
        what = f"holds {flat[0]} beside folders of classes"
        raise fail(DataError, str(root), what, "every recording lies in the folder of its class")
    if all(USER.match(parts[-2]) and _gesture_number(parts[-1]) for parts in tops):
        return Classes([int(file.stem) for file in files])
    return numbered([parts[0] for parts in tops], _all_names(root, tops), spec)


def numbered(present: Sequence[str], everywhere: set[str], spec: Spec, limit: int = 8) -> Classes:
    """Class numbers of the names in `present`; `everywhere` are all that are known of."""
    given = names_given(spec)
    if given is None and all(name.isdecimal() for name in everywhere):
        return Classes([int(name) for name in present])
    names = tuple(sorted(everywhere)) if given is None else given
    unknown = sorted(set(present) - set(names))
    if unknown:
        what = f"has the classes {', '.join(unknown[:limit])}, which classes= does not name"
        raise fail(DataError, spec.text, what, f"named: {', '.join(names[:limit])}")
    place = {name: k for k, name in enumerate(names)}
    return Classes([place[name] for name in present], names if given is None else None)


def names_given(spec: Spec) -> tuple[str, ...] | None:
    """`classes=a,b,c`, or a text file with a name a line."""
    text = spec.options.get("classes")
    if text is None:
        return None
    file = Path(text)
    if os.path.isfile(text):  # of a list that can be no name as well
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise fail(DataError, text, "cannot be read as text") from error
        names = tuple(line.strip() for line in lines if line.strip())
    else:
        names = tuple(name.strip() for name in text.split(","))
    if len(set(names)) != len(names) or not all(names):
        raise fail(DataError, spec.text, f"classes is {text!r}", "every class once: classes=a,b,c")
    return names


def _gesture_number(name: str) -> bool:
    return name.endswith(".npy") and Path(name).stem.isdecimal()


def _all_names(root: Path, tops: Sequence[tuple[str, ...]]) -> set[str]:
    """The folders of classes in this split and in the ones beside it."""
    names = {parts[0] for parts in tops}
    if split_of(root.name) is not None:
        for beside in split_folders(root.parent).values():
            inside = [f.name for f in beside.iterdir() if f.is_dir()]
            names |= {name for name in inside if not name.startswith((".", "__"))}
    return names
