"""What a crossbar board says about its arrays: how weights are written, driven and read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from snnstack.board import Board
from snnstack.errors import Problem, TargetError, fail, raise_if_any

Mapping = Literal["differential", "offset"]
Subtraction = Literal["analogue", "digital"]
Topology = Literal["passive", "gated_bl", "gated_wl"]
AdcKind = Literal["sar", "ramp", "flash"]
DacKind = Literal["voltage", "pulses"]
Convolution = Literal["reuse", "unrolled"]
Compensation = Literal["none", "global"]

CAPACITIES = ("arrays", "rows", "columns")
MOST_LINES = 4096
"""Rows or columns of an array beyond which nothing is built, and its circuit is not solved."""

_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
_Spread = Annotated[float, msgspec.Meta(ge=0, le=100)]


class CrossbarHardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[hardware]` table of a crossbar board.

    `device`: a preset of `snnstack.backends.crossbar.devices`, or the content of a device file
    (`device_of` reads either). `topology`: how cells are wired,
    see `docs/targets/crossbar.md`. `mapping`: a signed weight as a pair of cells, or as one cell
    against an offset column; `subtraction`: before or after conversion. A cell holds `cell_bits`
    bits; a weight of `weight_bits` takes as many slices as it needs. Rows take `dac_bits` bits
    of a count at a time, as a voltage or, one bit after the other, as pulses that add up before the
    conversion. The converter has `adc_bits` (0: no loss) and serves `columns_per_adc`
    columns in turn; `adc_offset_lsb` and `adc_gain_error` are the spread over converters.
    `convolution`: one copy of the kernel read at every position, or one copy per position.
    `drift_s`: seconds since the cells were written; `drift_compensation`: "global" multiplies what
    an array's converters give by what a calibration read has lost since. The switches
    `programming`, `read_noise`, `stuck` and `wires` leave out one deviation of a chip each.
    """

    device: str | dict[str, Any]
    topology: Topology = "passive"
    mapping: Mapping = "differential"
    subtraction: Subtraction = "analogue"
    weight_bits: Annotated[int, msgspec.Meta(ge=2, le=9)] = 8
    cell_bits: Annotated[int, msgspec.Meta(ge=1, le=8)] = 7
    dac_bits: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    dac_kind: DacKind = "voltage"
    adc_bits: Annotated[int, msgspec.Meta(ge=0, le=16)] = 8
    adc_kind: AdcKind = "sar"
    columns_per_adc: Annotated[int, msgspec.Meta(ge=1)] = 1
    adc_offset_lsb: _Spread = 0.0
    adc_gain_error: _Share = 0.0
    convolution: Convolution = "reuse"
    drift_s: Annotated[float, msgspec.Meta(ge=0, le=1e10)] = 0.0
    drift_compensation: Compensation = "none"
    programming: bool = True
    read_noise: bool = True
    stuck: bool = True
    wires: bool = True


def hardware(board: Board) -> CrossbarHardware:
    """The typed form of `board.hardware`; `TargetError` names what is missing or wrong."""
    try:
        found = msgspec.convert(dict(board.hardware), CrossbarHardware)
    except msgspec.ValidationError as error:
        raise fail(TargetError, f"board {board.name}", f"[hardware]: {error}") from error
    raise_if_any(TargetError, _problems(board, found))
    return found


def _problems(board: Board, found: CrossbarHardware) -> Iterator[Problem]:
    where = f"board {board.name}"
    for name in CAPACITIES:
        if name not in board.capacity:
            yield Problem(where, f"no [capacity] {name}")
    for name in ("rows", "columns"):
        size = board.capacity[name].value if name in board.capacity else 1
        if not 1 <= size <= MOST_LINES:
            yield Problem(where, f"[capacity] {name} = {size:g}, expected 1 to {MOST_LINES}")
    if found.topology != "passive" and found.dac_bits > 1:
        what = f"[hardware] dac_bits = {found.dac_bits} with topology {found.topology}"
        yield Problem(where, what, "a gate is on or off: use 1, counts are sent bit by bit")


def array_shape(board: Board) -> tuple[int, int]:
    """(rows, columns) of one array."""
    return int(board.capacity["rows"].value), int(board.capacity["columns"].value)


def rows_at_once(board: Board) -> int:
    """How many rows of an array may be read together."""
    rows = array_shape(board)[0]
    limit = board.capacity.get("rows_at_once")
    return rows if limit is None else max(1, min(rows, int(limit.value)))
