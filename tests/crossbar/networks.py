"""Boards with small, odd arrays, and programs on them: every way to write and to read weights."""

from __future__ import annotations

from functools import cache
from typing import Any

from snnstack.backends.crossbar import Program
from snnstack.board import Board, load_board, with_values
from snnstack.compilers.crossbar import compile
from snnstack.integers import quantise_for
from snnstack.ir.step import StepGraph
from snnstack.quant.network import QuantizedNetwork

WAYS: dict[str, dict[str, Any]] = {
    "pairs": {"cell_bits": 7},
    "pairs, digital, sliced": {"cell_bits": 3, "subtraction": "digital"},
    "offset": {"mapping": "offset", "cell_bits": 8},
    "offset, digital, sliced": {"mapping": "offset", "cell_bits": 2, "subtraction": "digital"},
    "counts as voltages": {"dac_bits": 3},
    "unrolled": {"convolution": "unrolled", "cell_bits": 4},
    "few bits": {"weight_bits": 4, "cell_bits": 1},
    "gated": {"topology": "gated_bl", "cell_bits": 4},
    "gated rows": {"topology": "gated_wl", "cell_bits": 4, "mapping": "offset"},
}
QUIET: dict[str, Any] = {
    "programming": False, "read_noise": False, "stuck": False, "wires": False,
    "adc_offset_lsb": 0.0, "adc_gain_error": 0.0,
}  # fmt: skip
"""A chip without any deviation."""


@cache
def board(way: str, rows: int = 21, columns: int = 34) -> Board:
    """A board with many small arrays."""
    hardware = {f"hardware.{k}": v for k, v in WAYS[way].items()}
    if "dac_bits" not in WAYS[way]:
        hardware["hardware.dac_bits"] = 1
    size = {"capacity.rows": rows, "capacity.columns": columns, "capacity.arrays": 100_000}
    return with_values(load_board("neurram"), hardware | size | {"capacity.neurons": 100_000})


def changed(base: Board, **hardware: Any) -> Board:
    """`base` with other entries of its hardware table."""
    return with_values(base, {f"hardware.{k}": v for k, v in hardware.items()})


def program(steps: StepGraph, base: Board) -> tuple[QuantizedNetwork, Program]:
    """The integer network for a board, and its program."""
    network = quantise_for(steps, base, None)
    return network, compile(network, base)
