"""What one processing element, chip and board can hold, read from the board's figures."""

from __future__ import annotations

from dataclasses import dataclass

from snnstack.board import Board
from snnstack.errors import TargetError, fail


@dataclass(frozen=True)
class Limits:
    """`chips`: (columns, rows) of the machine; the others per element or per chip."""

    chips: tuple[int, int]
    elements: int
    neurons: int
    data_bytes: int
    entries: int

    @property
    def count(self) -> int:
        """Chips of the whole machine."""
        return self.chips[0] * self.chips[1]


def limits_of(board: Board) -> Limits:
    """The limits of `board`; TargetError names a figure that is missing."""

    def figure(name: str) -> int:
        if name not in board.capacity:
            what = f"has no capacity {name}"
            raise fail(TargetError, f"board {board.name}", what, "every SpiNNaker 2 board needs it")
        return int(board.capacity[name].value)

    chips = board.hardware.get("chips")
    if not isinstance(chips, list | tuple) or len(chips) != 2:
        what = f"hardware.chips = {chips!r}, expected [columns, rows]"
        raise fail(TargetError, f"board {board.name}", what, "choose a SpiNNaker 2 board")
    return Limits(
        chips=(int(chips[0]), int(chips[1])),
        elements=figure("usable_elements_per_chip"),
        neurons=figure("neurons_per_element"),
        data_bytes=figure("data_bytes_per_element"),
        entries=figure("routing_entries_per_chip"),
    )
