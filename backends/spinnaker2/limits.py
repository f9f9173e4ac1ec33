"""What an element, a chip and a board hold, and what work costs: each number once.

Capacities come from the board. Bytes and cycles per item are those of our element firmware's
layout (estimates of the maker's), written here for compiler, report and documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from snnstack.backends.spinnaker2.network import Application
from snnstack.board import Board
from snnstack.errors import TargetError, fail

ATOMS = 250
"""Neurons per element: a synapse word's index has 8 bits, the rest is reserved."""
SYNAPSE_BYTES = 2
NEURON_BYTES: dict[str, int] = {"lif": 20, "lif_curr_exp": 36, "lif_conv2d": 20}
"""float32 words: v, alpha, i_offset, threshold, v_reset; and Ie, Ii with their two decays."""
SLOT_BYTES = 8
"""One neuron's excitatory and inhibitory sum of one coming step, 32 bits each."""
SLOTS_WITH_DELAY = 8
SLOTS_WITHOUT_DELAY = 2
SOURCE_BYTES = 12
"""Per source block: key, mask, and where its rows begin."""
DIRECT_BYTES = 4
"""Per source neuron of a block in a direct table: first synapse and number of synapses."""
SEARCH_BYTES = 8
"""Per row in a sorted list: key, first synapse and number of synapses."""
QUEUE_BYTES = 4096
"""Packets that wait to be processed: 1,024 keys."""
CONV_BYTES = 64
"""The geometry of one convolution."""

CYCLES_STEP = 400.0
"""Timer interrupt, clearing a slot, sending the step's record: estimated."""
CYCLES_UPDATE: dict[str, float] = {"lif": 30.0, "lif_curr_exp": 45.0, "lif_conv2d": 30.0}
CYCLES_PACKET = 60.0
"""Interrupt, queue and source look-up: estimated."""
CYCLES_PROBE = 8.0
"""One probe of a binary search."""
CYCLES_SYNAPSE = 9.0
"""Unpacking and adding one synapse word: estimated, Cortex-M4 without wait states."""
CYCLES_TAP = 9.0
"""Adding one weight of a kernel."""
CYCLES_SEND = 20.0

LINKS = 6
"""East, north-east, north, west, south-west, south."""
TICK_S = 1e-3
"""The software's tick for networks whose step has no duration (dt of 1 or more)."""


@dataclass(frozen=True)
class Limits:
    """`chips` (columns, rows) of the whole board, `elements` usable ones of each chip."""

    atoms: int
    data_bytes: int
    elements: int
    entries: int
    chips: tuple[int, int]

    @property
    def total(self) -> int:
        """Processing elements of the board."""
        return self.elements * self.chips[0] * self.chips[1]


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
        raise fail(TargetError, f"board {board.name}", what)
    return Limits(
        atoms=figure("neurons_per_element"),
        data_bytes=figure("data_bytes_per_element"),
        elements=figure("usable_elements_per_chip"),
        entries=figure("routing_entries_per_chip"),
        chips=(int(chips[0]), int(chips[1])),
    )


def family(application: Application) -> str:
    """The application without its `_no_delay`: what decides memory and work of a neuron."""
    return application.removesuffix("_no_delay")


def slots(application: Application) -> int:
    """Coming steps for which an element sums input."""
    delayed = application in ("lif", "lif_curr_exp")
    return SLOTS_WITH_DELAY if delayed else SLOTS_WITHOUT_DELAY
