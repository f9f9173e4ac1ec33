"""What one core, chip and board can hold, read from the board's figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from snnstack.board import Board
from snnstack.errors import TargetError, fail

WORD_BITS = 64
"""Synaptic memory is read in words of this many bits."""
HEADER_BITS = 10
"""At the start of every word group of a synapse list: format index and number of synapses."""
GROUP = 64
"""Most synapses in one such group."""
WEIGHT_BITS = (0, 1, 2, 3, 4, 5, 6, 8)
"""Widths that a weight can be stored with; the sign is the format's or one of these bits."""
LEAST_INDEX_BITS = 6
DELAY_BITS = 6


@dataclass(frozen=True)
class Limits:
    """Per core, and how many cores there are. A limit of None is not known to exist.

    `tiles`: (columns, rows) of routers on a chip, each with `cores_per_tile` cores; `chips`:
    (columns, rows) of chips.
    """

    generation: Literal[1, 2]
    compartments: int
    input_axons: int | None
    output_axons: int | None
    synaptic_memory_bytes: int
    cores_per_chip: int
    cores_per_tile: int
    tiles: tuple[int, int]
    chips: tuple[int, int]

    @property
    def cores(self) -> int:
        """Of the whole board."""
        return self.cores_per_chip * self.chips[0] * self.chips[1]

    @property
    def shared_weights(self) -> bool:
        """Whether a core stores a convolution's kernel once instead of every synapse."""
        return self.generation == 2


def limits_of(board: Board) -> Limits:
    """The limits of `board`; TargetError names a figure that is missing."""

    def figure(name: str) -> int:
        if name not in board.capacity:
            what = f"has no capacity {name}"
            raise fail(TargetError, f"board {board.name}", what, "every Loihi board needs it")
        return int(board.capacity[name].value)

    def optional(name: str) -> int | None:
        return figure(name) if name in board.capacity else None

    generation = board.hardware.get("generation")
    if generation not in (1, 2):
        what = f"hardware.generation = {generation!r}, expected 1 or 2"
        raise fail(TargetError, f"board {board.name}", what, "choose a Loihi board")
    return Limits(
        generation=cast(Literal[1, 2], generation),
        compartments=figure("compartments_per_core"),
        input_axons=optional("input_axons_per_core"),
        output_axons=optional("output_axons_per_core"),
        synaptic_memory_bytes=figure("synaptic_memory_bytes_per_core"),
        cores_per_chip=figure("cores_per_chip"),
        cores_per_tile=int(board.hardware["cores_per_tile"]),
        tiles=_pair(board, "tiles"),
        chips=_pair(board, "chips"),
    )


def _pair(board: Board, name: str) -> tuple[int, int]:
    columns, rows = board.hardware[name]
    return int(columns), int(rows)
