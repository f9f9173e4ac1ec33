"""What the digital part of a crossbar chip computes; the arithmetic is in `docs/numerics.md`."""

from __future__ import annotations

from dataclasses import replace

from snnstack.board import Board
from snnstack.errors import TargetError, fail
from snnstack.ir.step import StepGraph
from snnstack.quant.calibration import Calibration
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.numerics import INT32, Numerics
from snnstack.quant.quantise import quantise as general
from snnstack.quant.scales import Granularity

NUMERICS = INT32
"""With 8-bit weights; a board may hold fewer or more bits, see `numerics`."""

FEWEST, MOST = 2, 9
"""Bits of a weight, sign included."""


def numerics(weight_bits: int) -> Numerics:
    """The numbers of a chip whose weights are symmetric integers of `weight_bits` bits."""
    most = 2 ** (weight_bits - 1) - 1
    return replace(NUMERICS, weight_bits=weight_bits, weight_min=-most, weight_max=most)


def quantise(
    graph: StepGraph,
    board: Board,
    calibration: Calibration | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """The integer network for `board`; `weight_bits` None: as many as its hardware table says.

    `like`: keep the scales of this network. Raises TargetError for a width outside 2 to 9.
    """
    from snnstack.backends.crossbar.hardware import hardware

    bits = hardware(board).weight_bits if weight_bits is None else weight_bits
    if not FEWEST <= bits <= MOST:
        what = f"weights of {bits} bits, expected {FEWEST} to {MOST}"
        raise fail(TargetError, f"board {board.name}", what)
    return general(graph, numerics(bits), calibration, granularity, like)
