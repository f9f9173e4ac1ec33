"""Every packaged board says where its numbers come from; a wrong file says all that is wrong."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import snnstack.boards
from snnstack.board import (
    STATUSES,
    Board,
    Coefficient,
    Figure,
    all_boards,
    board_digest,
    board_names,
    decode_board,
    encode_board,
    load_board,
    worst,
)
from snnstack.errors import TargetError

PACKAGED = sorted(path.stem for path in Path(snnstack.boards.__path__[0]).glob("*.toml"))
CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32")

GOOD = """
name = "mine"
title = "My board"
target = "mcu"
status = "estimated"
url = ""
hardware = {}

[clock]
value = 16_000_000
unit = "Hz"
status = "published"
source = "a data sheet"

[voltage]
value = 3.3
unit = "V"
status = "published"
source = "a data sheet"

[capacity.ram_bytes]
value = 1024
unit = "byte"
status = "measured"
source = "counted"

[coefficients.cpi]
low = 1
typical = 1.5
high = 2
unit = "cycles/instruction"
status = "estimated"
source = "a guess"
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def message(path: str | Path) -> str:
    with pytest.raises(TargetError) as caught:
        load_board(path)
    return str(caught.value)


def test_the_ten_microcontrollers_are_packaged_and_cover_every_core() -> None:
    boards = [board for board in all_boards() if board.target == "mcu"]
    assert len(boards) >= 10
    assert set(CORES) <= {board.hardware["core"] for board in boards}
    assert set(PACKAGED) <= set(board_names())


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_board_is_complete_and_sourced(name: str) -> None:
    board = load_board(name)
    figures: list[Figure | Coefficient] = [*board.capacity.values(), board.clock, board.voltage]
    figures += board.coefficients.values()
    assert board.name == name
    assert board.url.startswith("https://")
    assert all(len(figure.source) >= 10 for figure in figures)
    assert board.status == worst(figure.status for figure in figures)
    assert all(c.scope and c.low > 0 for c in board.coefficients.values())


MICROCONTROLLERS = [board.name for board in all_boards() if board.target == "mcu"]


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_packaged_microcontroller_can_be_built_placed_and_priced(name: str) -> None:
    board = load_board(name)
    assert {"flash_bytes", "ram_bytes"} <= board.capacity.keys()
    assert {"active_pj_per_cycle", "sleep_mw", "cpi"} <= board.coefficients.keys()
    flash, ram = board.hardware["flash_origin"], board.hardware["ram_origin"]
    assert flash + board.capacity["flash_bytes"].value <= ram or flash > ram
    active_mw = board.coefficients["active_pj_per_cycle"].high * board.clock.value * 1e-9
    assert board.coefficients["sleep_mw"].high <= active_mw


@pytest.mark.parametrize(
    ("name", "energies"),
    [
        ("nucleo-l4r5zi", (38.73e-3 / 120e6, 203.368e-6 * 190.458 / 120e6)),
        ("nucleo-h7a3zi-q", (135.63e-3 / 280e6, 235.833e-6 * 547.234 / 280e6)),
        ("nucleo-u575zi-q", (24.02e-3 / 160e6, 119.113e-6 * 207.366 / 160e6)),
    ],
)
def test_measured_band_holds_the_published_runs(name: str, energies: tuple[float, ...]) -> None:
    active = load_board(name).coefficients["active_pj_per_cycle"]
    assert active.status == "measured"
    assert all(active.low - 0.5 <= joules * 1e12 <= active.high + 0.5 for joules in energies)


def test_a_board_can_be_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert load_board(path) == load_board(str(path))
    assert load_board(path).coefficients["cpi"] == Coefficient(
        1, 1.5, 2, "cycles/instruction", "estimated", "a guess"
    )


def test_json_returns_the_same_board_and_digest(tmp_path: Path) -> None:
    board = load_board(write(tmp_path, GOOD))
    again = decode_board(encode_board(board), "board.json")
    assert again == board
    assert board_digest(again) == board_digest(board)
    assert board_digest(load_board("rpi-pico")) != board_digest(board)


def test_worst_orders_the_statuses() -> None:
    assert [worst(STATUSES[: i + 1]) for i in range(3)] == ["measured", "published", "estimated"]
    assert worst([]) == "measured"


def test_unknown_board_lists_near_names() -> None:
    assert message("esp32c3") == (
        "board esp32c3: there is no such board (did you mean esp32-c3? `snnstack boards` lists all)"
    )
    assert message("!") == "board !: there is no such board (`snnstack boards` lists all)"


def test_unreadable_files_say_so(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert message(path) == f"{path}: cannot be read: No such file or directory"
    path.write_bytes(b"\xff")
    assert message(path) == f"{path}: is not UTF-8 text: byte 0"
    path.write_text("name = ")
    assert message(path) == f"{path}: is not TOML: Invalid value (at end of document)"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("low = 1\n", "low = 1.75\n", "coefficients.cpi: low = 1.75, typical = 1.5, high = 2, "
         "expected low <= typical <= high, all finite"),
        ("high = 2", "high = inf", "coefficients.cpi: low = 1, typical = 1.5, high = inf, "
         "expected low <= typical <= high, all finite"),
        ("low = 1\n", "low = -1\n", "coefficients.cpi.low = -1: expected `float` >= 0.0"),
        ("low = 1\n", "", "coefficients.cpi: object missing required field `low`"),
        ("value = 1024", "value = '1 K'", "capacity.ram_bytes.value = '1 K': "
         "expected `int | float`, got `str`"),
        ("value = 1024", "value = nan", "capacity.ram_bytes: value = nan, "
         "expected a number below 2**63"),
        ('unit = "byte"', "unit = ''", "capacity.ram_bytes.unit = '': "
         "expected `str` of length >= 1"),
        ('unit = "byte"', "units = 'byte'", "capacity.ram_bytes: "
         "object contains unknown field `units`"),
        ('status = "measured"', "status = 'sure'", "capacity.ram_bytes.status = 'sure': "
         "invalid enum value 'sure' (one of measured, published, estimated)"),
        ("hardware = {}", "hardware = 1", "hardware = 1: expected `object`, got `int`"),
        ("hardware = {}", "", "hardware: missing"),
        ('url = ""', 'url = ""\nprice = 5', "price: unknown key (known: name, title, target, "
         "status, url, capacity, clock, voltage, coefficients, hardware, notes)"),
        ("value = 16_000_000", "value = 0", "clock = 0 Hz, expected a positive number of Hz"),
        ('unit = "V"', 'unit = "mV"', "voltage = 3.3 mV, expected a positive number of V"),
        ('status = "estimated"\nurl', 'status = "measured"\nurl',
         "status = 'measured', but its worst figure is 'estimated'"),
        ('name = "mine"', 'name = "yours"', "name = 'yours', but the file is called mine.toml "
         "(call it yours.toml)"),
    ],
)  # fmt: skip
def test_a_wrong_entry_names_file_key_and_value(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert GOOD.count(old) == 1
    path = write(tmp_path, GOOD.replace(old, new))
    assert message(path) == f"{path}: {problem}"


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("low = 1\n", "low = 9\n").replace("value = 1024", "value = true")
    path = write(tmp_path, "colour = 'red'\n" + text.replace('title = "My board"', ""))
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in message(path).split("\n")] == [
        "colour",
        "title",
        "capacity.ram_bytes.value = True",
        "coefficients.cpi",
    ]


def test_foreign_json_is_refused() -> None:
    with pytest.raises(TargetError) as caught:
        decode_board(b"[]", "board.json")
    assert str(caught.value) == "board.json: expected `object`, got `array`"
    with pytest.raises(TargetError) as caught:
        decode_board(b"{", "board.json")
    assert str(caught.value) == "board.json: is not JSON: Input data was truncated"


def install(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    point = SimpleNamespace(name="extra", load=load)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])


def test_a_package_may_add_boards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    install(monkeypatch, lambda: str(tmp_path))
    assert "mine" in board_names()
    assert isinstance(load_board("mine"), Board)


def test_a_board_may_not_exist_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "rpi-pico.toml")
    install(monkeypatch, lambda: tmp_path)
    packaged = Path(snnstack.boards.__path__[0]) / "rpi-pico.toml"
    assert message("rpi-pico") == (
        f"board rpi-pico: exists twice, in {packaged} and {path} (rename one of the files)"
    )


def test_a_broken_plug_in_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, lambda: tmp_path / "gone")
    assert message("rpi-pico") == (
        "entry point extra of snnstack.boards: cannot be loaded: NotADirectoryError: "
        f"{tmp_path / 'gone'} (repair or uninstall the package that provides it)"
    )


def test_the_table_in_the_documentation_is_that_of_the_files() -> None:
    text = (Path(__file__).parents[2] / "docs" / "boards.md").read_text()
    for path in Path(snnstack.boards.__path__[0]).glob("*.toml"):
        raw = tomllib.loads(path.read_text())
        if raw["target"] == "mcu":
            band = raw["coefficients"]["active_pj_per_cycle"]
            pj = f"{band['low']} / {band['typical']} / {band['high']} ({band['status']})"
            assert any(
                f"`{raw['name']}`" in row and f"| {pj} |" in row for row in text.split("\n")
            ), raw["name"]
