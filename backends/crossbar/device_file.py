"""Device presets by name, or from a file; everything wrong with a file is said at once."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from snnstack.backends.crossbar.device_types import Device
from snnstack.backends.crossbar.hardware import hardware
from snnstack.board import Board
from snnstack.errors import TargetError, fail
from snnstack.typed_toml import decode, read

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
        return read(Path(name), Device)
    presets = _presets()
    if name not in presets:
        near = get_close_matches(name, presets, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        known = f"presets: {', '.join(sorted(presets))}"
        raise fail(TargetError, f"device {name}", "there is no such device", hint + known)
    return read(presets[name], Device)


def device_of(board: Board) -> Device:
    """The memory device of a crossbar board: a preset, or the one that the board holds.

    `TargetError` names what is wrong with it.
    """
    found = hardware(board).device
    if not isinstance(found, str):
        return decode_device(found, f"board {board.name}: device {found.get('name', '')}".rstrip())
    if found.endswith(".toml"):
        hint = "load_board and with_values read it; compile an older program again"
        raise fail(TargetError, f"board {board.name}", f"device {found} was not read", hint)
    return load_device(found)


def _presets() -> dict[str, Traversable]:
    folder = resources.files("snnstack.backends.crossbar") / "devices"
    files = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): file for file in files}


def decode_device(raw: object, where: str) -> Device:
    """The device in the plain data `raw`; `TargetError` names `where` and all that is wrong."""
    return decode(raw, Device, where)
