"""What the firmware tools must know about a board: core, compiler flags, memory map, stand-in."""

from __future__ import annotations

import msgspec

from snnstack.backends.mcu.board_text import board_text_problems
from snnstack.backends.mcu.hardware_types import McuHardware, Region
from snnstack.board import Board
from snnstack.errors import Problem, TargetError, fail, raise_if_any


def hardware(board: Board) -> McuHardware:
    """The typed form of `board.hardware`; `TargetError` names what is missing or wrong."""
    where = f"board {board.name}"
    try:
        found = msgspec.convert(dict(board.hardware), McuHardware)
    except msgspec.ValidationError as error:
        raise fail(TargetError, where, f"[hardware]: {error}") from error
    raise_if_any(TargetError, board_text_problems(where, found))
    return found


def data_region(board: Board, need: int) -> Region:
    """Where state and stack of `need` bytes stand: the memory closest to the core that holds them.

    Tightly coupled memory first, then the board's main RAM, then another RAM bank; the main RAM
    if nothing is large enough. Memories whose figures are estimated are left alone.
    """
    known, (_, ram) = hardware(board), memory_bytes(board)
    named = next((r for r in known.regions if r.origin == known.ram_origin), None)
    main = named or Region("ram", "ram", known.ram_origin, ram, "estimated", "the board's capacity")
    sure = [r for r in known.regions if r.status != "estimated" and r is not named]
    close = [r for r in sure if r.kind in ("dtcm", "ccm")]
    banks = sorted((r for r in sure if r.kind == "ram"), key=lambda r: -r.bytes)
    return next((r for r in (*close, main, *banks) if r.bytes >= need), main)


def memory_bytes(board: Board) -> tuple[int, int]:
    """(flash, RAM) of the board in bytes, from its capacities."""
    missing = [name for name in ("flash_bytes", "ram_bytes") if name not in board.capacity]
    raise_if_any(
        TargetError, (Problem(f"board {board.name}", f"no [capacity] {name}") for name in missing)
    )
    return int(board.capacity["flash_bytes"].value), int(board.capacity["ram_bytes"].value)
