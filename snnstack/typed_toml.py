"""Strict TOML files as typed data; everything wrong with a file is said at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import msgspec

from snnstack.errors import Problem, TargetError, fail

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

LARGEST = 2**22
"""Bytes of a file; the largest board has ten thousand."""
Hints = Mapping[str, str]
"""{end of a key: hint} for values that are not what they should be."""
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read(file: Traversable, kind: type[_Struct], hints: Hints | None = None) -> _Struct:
    """The `kind` in `file`, which must be called as its `name` says.

    Raises `TargetError` with the file's name: unreadable, not TOML, or all that is wrong in it.
    """
    raw = read_table(file)
    found = decode(raw, kind, str(file), hints)
    check_name(file, getattr(found, "name"))  # noqa: B009
    return found


def read_table(file: Traversable) -> dict[str, Any]:
    """The plain data in `file`; `TargetError` with its name: unreadable, or not TOML."""
    where = str(file)
    _check_place(file)
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise fail(TargetError, where, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise fail(TargetError, where, f"is not UTF-8 text: byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise fail(TargetError, where, f"is not TOML: {error}") from error


def _check_place(file: Traversable) -> None:
    """TargetError for what never ends, such as a pipe or a device, and for what is no board."""
    if not isinstance(file, Path) or file.is_dir() or not file.exists():
        return
    if not file.is_file():
        raise fail(TargetError, str(file), "is no regular file", "copy it into one")
    if file.stat().st_size > LARGEST:
        what = f"has {file.stat().st_size} bytes, at most {LARGEST} are read"
        raise fail(TargetError, str(file), what)


def check_name(file: Traversable, name: object) -> None:
    """TargetError unless `file` is called as the `name` in it says."""
    if f"{name}.toml" != file.name:
        what = f"name = {name!r}, but the file is called {file.name}"
        raise fail(TargetError, str(file), what, f"call it {name}.toml")


def decode(raw: object, kind: type[_Struct], where: str, hints: Hints | None = None) -> _Struct:
    """The `kind` in the plain data `raw`; `TargetError` names `where` and all that is wrong."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        found = tuple(_problems(raw, kind, where, hints or {}))
        raise TargetError(found or (Problem(where, _lower(str(error))),)) from error


def plain_value(text: str) -> bool | int | float | str:
    """What a file would hold for a word of the command line.

    >>> [plain_value(word) for word in ("true", "6", "2.5", "fast")]
    [True, 6, 2.5, 'fast']
    """
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _problems(raw: object, kind: Any, where: str, hints: Hints) -> Iterator[Problem]:
    """Everything wrong in `raw`, one problem for each key or entry of a table."""
    if not isinstance(raw, Mapping):
        return
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key in sorted(raw.keys() - fields.keys()):
        yield Problem(where, f"{key}: unknown key", f"known: {', '.join(fields)}")
    for key, field in fields.items():
        if key not in raw:
            if field.required:
                yield Problem(where, f"{key}: missing")
        elif (entry := _entry_of(field.type)) and isinstance(raw[key], Mapping):
            for name, value in raw[key].items():
                yield from _problem(value, entry, where, f"{key}.{name}", hints)
        else:
            yield from _problem(raw[key], field.type, where, key, hints)


def _entry_of(kind: Any) -> Any:
    """What a table of structures holds, None for other types."""
    inner = get_args(kind)[1:] if get_origin(kind) is dict else ()
    structures = [k for k in inner if isinstance(k, type) and issubclass(k, msgspec.Struct)]
    return structures[0] if structures else None


def _problem(value: object, kind: Any, where: str, key: str, hints: Hints) -> Iterator[Problem]:
    """What is wrong with `value`, the entry at `key`, as a `kind`: file, key, value, reason."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        inner = at.strip("`.")
        if inner and isinstance(value, Mapping):
            key, value = f"{key}.{inner}", value.get(inner)
        shown = "" if isinstance(value, Mapping | list) else f" = {value!r}"
        hint = next((text for end, text in hints.items() if key.endswith(end)), "")
        yield Problem(where, f"{key}{shown}: {_lower(reason)}", hint)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
