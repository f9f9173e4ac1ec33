"""What a microcontroller's file says of memories, clocks, flash and runners goes together."""

from __future__ import annotations

from itertools import pairwise

import pytest

from snnstack.backends.mcu.hardware import data_region, hardware, memory_bytes
from snnstack.backends.mcu.qemu import MACHINES
from snnstack.board import STATUSES, Board, all_boards, load_board
from snnstack.errors import TargetError

BOARDS = [board for board in all_boards() if board.target == "mcu"]
each = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


def test_there_are_more_than_fifteen_boards_from_m0_to_m85_and_risc_v() -> None:
    assert len(BOARDS) > 15
    assert {hardware(board).core for board in BOARDS} >= {
        "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33",
        "cortex-m85", "rv32",
    }  # fmt: skip


@each
def test_the_linkers_memories_are_regions_of_the_board(board: Board) -> None:
    known, (flash, ram) = hardware(board), memory_bytes(board)
    regions = {region.origin: region for region in known.regions}
    assert regions[known.flash_origin].kind == "flash"
    assert regions[known.flash_origin].bytes == flash
    assert regions[known.ram_origin].kind in ("ram", "dtcm")
    assert regions[known.ram_origin].bytes == ram


@pytest.mark.parametrize(
    ("name", "need", "region"),
    [
        ("stm32f4-discovery", 65_536, "ccm"),
        ("stm32f4-discovery", 65_537, "sram"),
        ("nucleo-h7a3zi-q", 4_096, "dtcm"),
        ("nucleo-h7a3zi-q", 200_000, "axi"),
        ("ek-ra8m1", 4_096, "sram"),  # its tightly coupled memory is not certain
        ("alif-ensemble-e8", 2_000_000, "sram0"),
        ("rpi-pico", 10**9, "ram"),
    ],
)
def test_data_stand_in_the_closest_memory_that_holds_them(
    name: str, need: int, region: str
) -> None:
    found = data_region(load_board(name), need).name
    assert found == region or (need == 10**9 and found == main_region(name))


def main_region(name: str) -> str:
    known = hardware(load_board(name))
    return next(r.name for r in known.regions if r.origin == known.ram_origin)


@each
def test_regions_do_not_overlap(board: Board) -> None:
    regions = sorted(hardware(board).regions, key=lambda region: region.origin)
    for one, two in pairwise(regions):
        assert one.origin + one.bytes <= two.origin, f"{one.name} and {two.name}"
    assert len({region.name for region in regions}) == len(regions)


@each
def test_the_boards_clock_is_one_of_its_points_with_its_wait_states(board: Board) -> None:
    known = hardware(board)
    assert known.flash_reads is not None
    point = next(point for point in known.points if point.hz == board.clock.value)
    assert point.wait_states == known.flash_reads.wait_states
    assert point.hz == max(p.hz for p in known.points)
    assert all(p.wait_states <= point.wait_states for p in known.points)


@each
def test_every_further_figure_has_a_status_and_a_source(board: Board) -> None:
    known = hardware(board)
    assert known.flash_reads is not None
    for figure in (*known.regions, *known.points, known.flash_reads):
        assert figure.status in STATUSES and len(figure.source) >= 10


@each
def test_the_stand_in_exists(board: Board) -> None:
    assert hardware(board).qemu_machine in MACHINES


def test_a_wrong_region_is_named() -> None:
    board = load_board("rpi-pico")
    table = {**board.hardware, "regions": [{**board.hardware["regions"][0], "kind": "rom"}]}
    fields = {name: getattr(board, name) for name in board.__struct_fields__}
    with pytest.raises(TargetError) as error:
        hardware(Board(**{**fields, "hardware": table}))
    assert str(error.value) == (
        "board rpi-pico: [hardware]: Invalid enum value 'rom' - at `$.regions[0].kind`"
    )
