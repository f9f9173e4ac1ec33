"""A board is data: sizes, clock and energies in one strict TOML file, each with its source."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from snnstack.door import path
from snnstack.errors import Problem, TargetError, fail, raise_if_any
from snnstack.typed_toml import check_name, decode, read, read_table

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Status = Literal["measured", "published", "estimated"]
"""How a number is known: measured on silicon, published by others, or our estimate."""

STATUSES: tuple[Status, ...] = get_args(Status)
"""From best to worst."""

GROUP = "snnstack.boards"
"""Entry-point group; each value is a package with `.toml` files, or a directory's path."""

TEXT_LIMIT = 200
"""Characters of a board's name, title or address."""

_TEXTS = (
    ("name", re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*"), "letters, digits, `.`, `_`, `+` and `-`"),
    ("title", re.compile(r"[\w .,:;()&/'+-]*"), "words, spaces and .,:;()&/'+-"),
    ("url", re.compile(r"(https?://[A-Za-z0-9._~:/?#\[\]@!&'()*+,;=%-]+)?"), "a web address"),
)
_HINTS = {"status": f"one of {', '.join(STATUSES)}"}
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Positive = Annotated[float, msgspec.Meta(ge=0)]


def worst(statuses: Iterable[Status]) -> Status:
    """The least certain of `statuses`; "measured" if there are none.

    >>> worst(["measured", "published"])
    'published'
    """
    return max(statuses, key=STATUSES.index, default="measured")


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number with its unit and where it comes from."""

    value: float | int
    unit: _Text
    status: Status
    source: _Text

    def __post_init__(self) -> None:
        if not abs(self.value) < 2**63:
            raise ValueError(f"value = {self.value}, expected a number below 2**63")


class Coefficient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A band 0 <= low <= typical <= high. `process`: silicon; `scope`: what it includes."""

    low: _Positive
    typical: _Positive
    high: _Positive
    unit: _Text
    status: Status
    source: _Text
    process: str = ""
    scope: str = ""

    def __post_init__(self) -> None:
        band = f"low = {self.low:g}, typical = {self.typical:g}, high = {self.high:g}"
        if not self.low <= self.typical <= self.high < math.inf:
            raise ValueError(f"{band}, expected low <= typical <= high, all finite")


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One piece of hardware.

    `target` names who compiles for it. `status` is that of its least certain figure.
    `capacity`: sizes, e.g. "flash_bytes". `clock` in Hz, `voltage` in V. `coefficients`:
    energies, powers and ratios by name. `hardware`: what only the target understands; a value
    that ends in `.toml` names a file beside the board's, whose content takes its place.
    """

    name: _Text
    title: _Text
    target: _Text
    status: Status
    url: str
    capacity: dict[str, Figure]
    clock: Figure
    voltage: Figure
    coefficients: dict[str, Coefficient]
    hardware: dict[str, Any]
    notes: str = ""

    def __post_init__(self) -> None:
        _check_text(self)
        for name, figure, unit in (("clock", self.clock, "Hz"), ("voltage", self.voltage, "V")):
            if figure.unit != unit or figure.value <= 0:
                text = f"{figure.value:g} {figure.unit}"
                raise ValueError(f"{name} = {text}, expected a positive number of {unit}")
        expected = worst(self.statuses())
        if self.status != expected:
            raise ValueError(f"status = {self.status!r}, but its worst figure is {expected!r}")

    def statuses(self) -> Iterator[Status]:
        """The status of every figure and coefficient."""
        yield from (figure.status for figure in self.capacity.values())
        yield from (self.clock.status, self.voltage.status)
        yield from (coefficient.status for coefficient in self.coefficients.values())


def _check_text(board: Board) -> None:
    """Name, title and address reach files, pages and programs in other languages."""
    for key, pattern, allowed in _TEXTS:
        found = getattr(board, key)
        if not pattern.fullmatch(found) or len(found) > TEXT_LIMIT:
            shown = found if len(found) <= 60 else f"{found[:57]}..."
            raise ValueError(f"board {board.name!r:.64}: {key} = {shown!r}, expected {allowed}")


def load_board(name: str | PathLike[str]) -> Board:
    """The board called `name`, or the one in the file `name` (a path that ends in .toml).

    Raises `TargetError`: no such board (with near names), or everything wrong with the file.
    """
    if not isinstance(name, str) or name.endswith(".toml"):
        return _read(path(name, "board"))
    files = _files()
    if name not in files:
        near = get_close_matches(name, files, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        listing = "`snnstack boards` lists all"
        raise fail(TargetError, f"board {name}", "there is no such board", hint + listing)
    return _read(files[name])


def board_of(board: Any) -> Board:
    """A board as it is, by its name, or from its file; TargetError for anything else."""
    return board if isinstance(board, Board) else load_board(board)


def boards_of(boards: Any) -> list[Board]:
    """One board or several, each once; TargetError lists every name that is not a board."""
    alone = isinstance(boards, str | PathLike | Board) or not isinstance(boards, Iterable)
    found: dict[str, Board] = {}
    problems: list[Problem] = []
    for given in [boards] if alone else boards:
        try:
            board = board_of(given)
            found.setdefault(board.name, board)
        except TargetError as error:
            problems += error.problems
    raise_if_any(TargetError, problems)
    if not found:
        raise fail(TargetError, "boards", "none are given", "`snnstack boards` lists all")
    return list(found.values())


def board_names() -> tuple[str, ...]:
    """The names of all boards, packaged and from the entry-point group, sorted."""
    return tuple(sorted(_files()))


def all_boards() -> tuple[Board, ...]:
    """All boards in order of their names; raises `TargetError` if one file is wrong."""
    return tuple(_read(file) for _, file in sorted(_files().items()))


def with_values(board: Board, values: Mapping[str, Any]) -> Board:
    """`board` with figures of the user's own: {"hardware.adc_bits": 6, "capacity.rows": 64}.

    A coefficient takes one number for its whole band. Replaced figures count as estimated; the
    target checks what stands in `hardware`; a file named there is one of the caller's, like
    every file that is given by name. Raises TargetError for a key that is not there.
    """
    raw = msgspec.to_builtins(board)
    raise_if_any(TargetError, _set_all(raw, values, f"board {board.name}"))
    raw["hardware"] = with_files(raw["hardware"], Path())
    raw["status"] = worst(_statuses(raw))
    return _board(raw, f"board {board.name}")


def _statuses(raw: Mapping[str, Any]) -> Iterator[Status]:
    yield from (raw["clock"]["status"], raw["voltage"]["status"])
    yield from (entry["status"] for t in ("capacity", "coefficients") for entry in raw[t].values())


def _set_all(raw: dict[str, Any], values: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Put `values` into the builtins of a board; what cannot be put there is a problem."""
    for key, value in values.items():
        table, _, name = key.partition(".")
        if table not in ("hardware", "capacity", "coefficients") or not name:
            hint = "use hardware.NAME, capacity.NAME or coefficients.NAME"
            yield Problem(where, f"{key}: no such figure", hint)
        elif table == "hardware":
            raw[table][name] = value
        elif name not in raw[table]:
            hint = f"known: {', '.join(raw[table]) or 'none'}"
            yield Problem(where, f"{key}: no such figure", hint)
        else:
            names = ("value",) if table == "capacity" else ("low", "typical", "high")
            own = {"status": "estimated", "source": "set by the user"}
            raw[table][name] |= dict.fromkeys(names, value) | own


def encode_board(board: Board) -> bytes:
    """JSON with sorted keys: the same bytes for equal boards. `decode_board` reads it back."""
    return msgspec.json.format(msgspec.json.encode(board, order="deterministic"), indent=1)


def decode_board(data: bytes, where: str) -> Board:
    """The board in the JSON `data`; `TargetError` names `where` and all that is wrong."""
    try:
        raw = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise fail(TargetError, where, f"is not JSON: {error}") from error
    return _board(raw, where)


def board_digest(board: Board) -> str:
    """SHA-256 (hex) of all figures: says which numbers a result was computed with."""
    return hashlib.sha256(encode_board(board)).hexdigest()


def _files() -> dict[str, Traversable]:
    """{board name: its file}; a name that exists twice is an error, never a choice."""
    found: dict[str, Traversable] = {}
    for file in _toml_files():
        name = file.name.removesuffix(".toml")
        if name in found and str(found[name]) != str(file):
            what = f"exists twice, in {found[name]} and {file}"
            raise fail(TargetError, f"board {name}", what, "rename one of the files")
        found[name] = file
    return found


def _toml_files() -> Iterator[Traversable]:
    from importlib import resources  # here and below: 50 ms that `import snnstack` need not pay
    from importlib.metadata import entry_points

    folders = [resources.files("snnstack.boards")]
    folders += [_plugin_folder(point.name, point.load) for point in entry_points(group=GROUP)]
    for folder in folders:
        yield from (file for file in folder.iterdir() if file.name.endswith(".toml"))


def _plugin_folder(name: str, load: Any) -> Traversable:
    from importlib import resources

    try:
        value = load()
        folder = resources.files(value) if isinstance(value, ModuleType) else Path(value)
        if not folder.is_dir():
            raise NotADirectoryError(str(folder))
    except Exception as error:  # a plug-in can fail in any way; its name must be in the message
        what = f"cannot be loaded: {type(error).__name__}: {error}"
        hint = "repair or uninstall the package that provides it"
        raise fail(TargetError, f"entry point {name} of {GROUP}", what, hint) from error
    return folder


def _read(file: Traversable) -> Board:
    board = read(file, Board, _HINTS)
    hardware = with_files(board.hardware, Path(str(file)).parent)
    return msgspec.structs.replace(board, hardware=hardware)


def with_files(hardware: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """`hardware` with the content of the files that it names, relative to `folder`.

    What is computed then depends neither on where it runs nor on what becomes of the files.
    """
    return {key: file_content(value, folder) for key, value in hardware.items()}


def file_content(value: Any, folder: Path) -> Any:
    """The table in the file that a value of `[hardware]` names; any other value as it is."""
    if not (isinstance(value, str) and value.endswith(".toml")):
        return value
    file = folder / value
    found = read_table(file)
    check_name(file, found.get("name"))
    return found


def _board(raw: object, where: str) -> Board:
    return decode(raw, Board, where, _HINTS)
