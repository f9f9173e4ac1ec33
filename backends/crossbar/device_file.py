"""Device presets by name, or from a file; everything wrong with a file is said at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from snnstack.backends.crossbar.device_types import Device
from snnstack.errors import Problem, TargetError, fail

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def device_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    return tuple(sorted(_presets()))


def load_device(name: str | Path) -> Device:
    """The preset called `name`, or the device in the file `name` (a path that ends in .toml).

    Raises `TargetError`: no such device (with near names), or everything wrong with the file.
    """
    if isinstance(name, Path) or name.endswith(".toml"):
        return _read(Path(name))
    presets = _presets()
    if name not in presets:
        near = get_close_matches(name, presets, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        known = f"presets: {', '.join(sorted(presets))}"
        raise fail(TargetError, f"device {name}", "there is no such device", hint + known)
    return _read(presets[name])


def _presets() -> dict[str, Traversable]:
    folder = resources.files("snnstack.backends.crossbar") / "devices"
    files = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): file for file in files}


def _read(file: Traversable) -> Device:
    where = str(file)
    try:
        raw = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise fail(TargetError, where, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise fail(TargetError, where, f"is not UTF-8 text: byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise fail(TargetError, where, f"is not TOML: {error}") from error
    device = decode_device(raw, where)
    if f"{device.name}.toml" != file.name:
        what = f"name = {device.name!r}, but the file is called {file.name}"
        raise fail(TargetError, where, what, f"call it {device.name}.toml")
    return device


def decode_device(raw: object, where: str) -> Device:
    """The device in the plain data `raw`; `TargetError` names `where` and all that is wrong."""
    try:
        return msgspec.convert(raw, Device)
    except msgspec.ValidationError as error:
        problems = tuple(_problems(raw, where)) or (Problem(where, _lower(str(error))),)
        raise TargetError(problems) from error


def _problems(raw: object, where: str) -> Iterator[Problem]:
    """Everything wrong in `raw`, one problem for each key or table."""
    if not isinstance(raw, Mapping):
        return
    fields = {field.name: field for field in msgspec.structs.fields(Device)}
    for key in sorted(raw.keys() - fields.keys()):
        yield Problem(where, f"{key}: unknown key", f"known: {', '.join(fields)}")
    for key, field in fields.items():
        if key not in raw:
            yield Problem(where, f"{key}: missing")
        else:
            yield from _problem(raw[key], field.type, where, key)


def _problem(value: object, kind: Any, where: str, key: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        inner = at.strip("`.")
        if inner and isinstance(value, Mapping):
            key, value = f"{key}.{inner}", value.get(inner)
        shown = "" if isinstance(value, Mapping | list) else f" = {value!r}"
        yield Problem(where, f"{key}{shown}: {_lower(reason)}")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
