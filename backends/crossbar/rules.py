"""What a crossbar chip can hold: each limit a short rule, its docstring the manual."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from snnstack.backends.crossbar.coding import coding
from snnstack.backends.crossbar.device import device_of
from snnstack.backends.crossbar.device_types import Forming
from snnstack.backends.crossbar.hardware import array_shape, hardware
from snnstack.backends.crossbar.numerics import MOST
from snnstack.backends.crossbar.program import Program
from snnstack.board import Board
from snnstack.errors import Problem
from snnstack.quant.common_rules import learning, one_input, silent_sources
from snnstack.quant.network import QuantizedNetwork

HINT = "choose a larger board"


def the_network_has_one_input(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """The network has exactly one input."""
    yield from one_input(network, "the chip takes 1")


def weights_stay(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """No synapse learns."""
    yield from learning(network, "crossbar")


def sources_fire(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Only populations that fire drive rows; a non-spiking one is a result."""
    yield from silent_sources(network, "rows take spikes and counts, not values")


def weights_fit_their_cells(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """A weight is a symmetric integer of 2 to 9 bits."""
    most = 2 ** (min(network.numerics.weight_bits, MOST) - 1) - 1
    for projection in network.projections:
        largest = int(np.abs(projection.synapses.weight).max(initial=0))
        if largest > most:
            what = f"weight of magnitude {largest}, at most {most}"
            yield Problem(str(projection), what, "quantise the network for this board")


def cells_can_be_programmed(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """The memory device can be programmed, to as many levels as a cell shall hold."""
    machine = hardware(board)
    device = device_of(board)
    where = f"board {board.name}"
    asked = coding(machine, network.numerics.weight_bits).levels
    if isinstance(device.programming, Forming):
        what = f"device {device.name} draws its conductances and cannot be programmed"
        yield Problem(where, what, "use such a chip as a reservoir")
    elif 0 < device.range.levels < asked:
        what = f"cells of {asked} levels, device {device.name} has {device.range.levels}"
        yield Problem(where, what, "lower [hardware] cell_bits")


def an_array_holds_one_weight(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """An array has the columns that a single weight takes."""
    code, columns = coding(hardware(board), network.numerics.weight_bits), array_shape(board)[1]
    if code.outputs(columns) < 1:
        needed = code.columns(1)
        what = f"a weight needs {needed} columns, {columns} available"
        yield Problem(f"board {board.name}", what, "take more bits per cell or wider arrays")


def neurons_fit_the_chip(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """The digital part has a state for every neuron."""
    if "neurons" not in board.capacity:
        return
    needed = sum(p.n for p in network.populations)
    available = int(board.capacity["neurons"].value)
    if needed > available:
        what = f"needs {needed} neurons, {available} available"
        yield Problem(f"board {board.name}", what, HINT)


def weights_fit_the_cells_of_the_chip(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """The non-zero weights alone do not need more cells than the chip has."""
    code, (rows, columns) = (
        coding(hardware(board), network.numerics.weight_bits),
        array_shape(board),
    )
    each = code.columns(2) - code.columns(1)
    needed = sum(each * int(np.count_nonzero(p.synapses.weight)) for p in network.projections)
    available = rows * columns * int(board.capacity["arrays"].value)
    if needed > available:
        what = f"needs {needed} cells, {available} available"
        yield Problem(f"board {board.name}", what, HINT)


def blocks_fit_the_arrays(program: Program) -> Iterator[Problem]:
    """All blocks of weights together fit the arrays of the chip."""
    available = int(program.board.capacity["arrays"].value)
    if program.arrays > available:
        what = (
            f"needs {program.arrays} arrays for {len(program.tiles)} tiles, {available} available"
        )
        yield Problem(f"board {program.board.name}", what, HINT)


def cells_are_linear(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """The cells are emulated as resistors; a curved current-voltage law is refused."""
    device = device_of(board)
    law = device.nonlinearity
    if law.a2_per_v or law.a3_per_v2:
        what = f"device {device.name} has a curved law (a2 {law.a2_per_v:g}, a3 {law.a3_per_v2:g})"
        hint = "at one read voltage it is a common factor: set both to 0; `circuit` solves curves"
        yield Problem(f"board {board.name}", what, hint)


NETWORK_RULES: tuple[Callable[[QuantizedNetwork, Board], Iterator[Problem]], ...] = (
    the_network_has_one_input,
    weights_stay,
    sources_fire,
    weights_fit_their_cells,
    cells_can_be_programmed,
    cells_are_linear,
)
FIT_RULES: tuple[Callable[[QuantizedNetwork, Board], Iterator[Problem]], ...] = (
    an_array_holds_one_weight,
    neurons_fit_the_chip,
    weights_fit_the_cells_of_the_chip,
)
PROGRAM_RULES: tuple[Callable[[Program], Iterator[Problem]], ...] = (blocks_fit_the_arrays,)
RULES = (*NETWORK_RULES, *FIT_RULES, *PROGRAM_RULES)
