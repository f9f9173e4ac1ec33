"""Figures of a board replaced by the user's own: checked like a file, marked as estimated."""

from __future__ import annotations

import pytest

from snnstack.board import load_board, with_values
from snnstack.cli.options import with_figures
from snnstack.errors import TargetError


def test_replaced_figures_are_the_users_and_count_as_estimated() -> None:
    base = load_board("neurram")
    changed = with_values(
        base,
        {"hardware.adc_bits": 5, "capacity.rows": 64, "coefficients.wire_row_ohm": 2.5},
    )
    assert changed.hardware["adc_bits"] == 5
    assert changed.capacity["rows"].value == 64
    wire = changed.coefficients["wire_row_ohm"]
    assert (wire.low, wire.typical, wire.high) == (2.5, 2.5, 2.5)
    assert (wire.status, wire.source) == ("estimated", "set by the user")
    assert changed.status == "estimated"
    assert base.hardware["adc_bits"] == 8


def test_a_figure_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(TargetError) as told:
        with_values(load_board("microbit-v1"), {"capacity.arrays": 3, "speed": 1})
    assert str(told.value) == (
        "board microbit-v1: capacity.arrays: no such figure (known: flash_bytes, ram_bytes)\n"
        "board microbit-v1: speed: no such figure "
        "(use hardware.NAME, capacity.NAME or coefficients.NAME)"
    )


def test_a_wrong_kind_of_value_is_refused() -> None:
    with pytest.raises(TargetError, match="rows"):
        with_values(load_board("neurram"), {"capacity.rows": "many"})


def test_the_command_line_reads_values_as_toml_does() -> None:
    board = with_figures("neurram", ("hardware.adc_bits=6", "hardware.wires=false"))
    assert not isinstance(board, str)
    assert board.hardware["adc_bits"] == 6
    assert board.hardware["wires"] is False
    assert with_figures("neurram", ()) == "neurram"
    with pytest.raises(TargetError, match="names no value"):
        with_figures("neurram", ("hardware.adc_bits",))
