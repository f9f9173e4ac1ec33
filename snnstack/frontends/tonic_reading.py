"""What tonic reads, read in the process with limits: plain data go in and come out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import DataError, fail
from snnstack.foreign import ForeignFile
from snnstack.foreign.limits import MEGABYTE, Limits, limits_of
from snnstack.frontends.spec import Spec
from snnstack.frontends.tonic_offline import opened_set

MOST_FILES = 200_000
"""Of a folder, whose sizes are added up for the limits."""
LOADING = Limits(10, 1000)
"""What tonic and the libraries that it loads take themselves."""


def tonic_folder(path: Path) -> ForeignFile:
    """The folder of a set, with limits for all that lies in it."""
    size = 0
    for number, found in enumerate(_sizes(path)):
        size += found
        if number > MOST_FILES:
            break
    own = limits_of(size / MEGABYTE)
    limits = Limits(own.seconds + LOADING.seconds, own.megabytes + LOADING.megabytes)
    return ForeignFile(path, DataError, limits=limits)


def _sizes(path: Path) -> Any:
    if path.is_file():
        yield path.stat().st_size
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                yield os.stat(os.path.join(folder, name)).st_size
            except OSError:  # a link to nowhere: whoever reads it says so
                continue


def plain(spec: Spec) -> dict[str, Any]:
    """`spec` as a question has it."""
    return {"text": spec.text, "place": spec.place, "options": dict(spec.options)}


def set_of(path: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """`count` of recordings, whether that is `partial`, `sensor` ([width, height, polarities] or
    None), and `targets`.

    A target is a whole number, text that names no file, or None where it is no class.
    """
    _opened.cache_clear()  # the folder may hold another set by now
    found = _set(path, said)
    count = len(found)
    return {
        "count": count,
        "partial": bool(getattr(found, "partial", False)),
        "sensor": _sensor(found),
        "targets": _targets(found, count) if count else [],
    }


def recording_of(path: str, said: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Fields by name of one recording; of several cameras and signals, the first events."""
    where = f"{said['text']}: {number}"
    try:
        sample = _set(path, said)[number][0]
    except MemoryError:  # of the limits, which `ForeignFile` says
        raise
    except Exception as error:  # tonic and what it uses raise whatever they stumble over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "the file is damaged, or is not what tonic takes it for"
        raise fail(DataError, where, f"cannot be read by tonic: {reason}", hint) from error
    for part in sample if isinstance(sample, tuple | list) else [sample]:
        names = getattr(getattr(part, "dtype", None), "names", None)
        if names:
            return {name: np.array(part[name]) for name in names}
    raise fail(DataError, where, "holds no events", "the set has other kinds of samples")


def _set(path: str, said: Mapping[str, Any]) -> Any:
    return _opened(path, said["text"], said["place"], tuple(sorted(said["options"].items())))


@lru_cache(maxsize=4)
def _opened(path: str, text: str, place: str, options: tuple[tuple[str, str], ...]) -> Any:
    return opened_set(Path(path), Spec(text, "tonic", place, dict(options)))


def _sensor(found: Any) -> list[int | None] | None:
    """What tonic says of the sensor: None where recordings are of any size."""
    size = getattr(found, "sensor_size", None)
    if size is None:
        return None
    width, height, polarities = (*(int(n) for n in size), 1)[:3]
    line = "y" not in (getattr(found, "ordering", None) or ("y",))
    return [width, None if line else height, polarities]


def _targets(found: Any, count: int) -> list[int | str | None]:
    targets = getattr(found, "targets", None)
    if targets is None or len(targets) != count:
        targets = getattr(found, "label_data", None)
    if targets is None or len(targets) != count:
        kept = _target(found, 0)
        known = isinstance(kept, int | str | np.integer)
        targets = [_target(found, k) for k in range(count)] if known else [None] * count
    if all(isinstance(t, str) for t in targets) and not any(map(os.path.isfile, targets)):
        return [str(t) for t in targets]
    return [int(t) if isinstance(t, int | np.integer) else None for t in targets]


def _target(found: Any, number: int) -> Any:
    try:
        return found[number][1]
    except Exception:  # what is wrong with a recording is said when it is read
        return None
