"""Loihi's boards: every limit the compiler needs, and every coefficient the price needs."""

from __future__ import annotations

import pytest

from snnstack.backends.loihi.limits import limits_of
from snnstack.board import load_board
from snnstack.energy.price import factor
from snnstack.errors import TargetError

BOARDS = ("loihi1", "nahuku-32", "oheo-gulch", "kapoho-point", "hala-point")
CORES = {
    "loihi1": 128,
    "nahuku-32": 4096,
    "oheo-gulch": 128,
    "kapoho-point": 960,
    "hala-point": 140_544,
}
COEFFICIENTS = (
    "synop_dense_pj",
    "synop_sparse_pj",
    "synop_conv_pj",
    "update_active_pj",
    "update_inactive_pj",
    "spike_pj",
    "hop_x_pj",
    "hop_y_pj",
    "input_nj",
    "barrier_us",
    "host_us",
    "synop_ns",
    "update_ns",
    "message_ns",
    "idle_mw",
    "running_mw",
)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_has_the_limits_and_coefficients_of_its_generation(name):
    board = load_board(name)
    limits = limits_of(board)
    assert board.target == "loihi"
    assert limits.cores == CORES[name]
    assert limits.chips[0] * limits.chips[1] == board.capacity["chips"].value
    assert limits.tiles[0] * limits.tiles[1] * limits.cores_per_tile >= limits.cores_per_chip
    for coefficient in COEFFICIENTS:
        factor(board, coefficient)
    generation_1 = limits.generation == 1
    assert limits.compartments == (1024 if generation_1 else 8192)
    assert (limits.input_axons, limits.output_axons) == (
        (4096, 4096) if generation_1 else (None,) * 2
    )
    assert limits.synaptic_memory_bytes == 131_072


def test_a_board_of_another_target_is_refused():
    with pytest.raises(TargetError) as error:
        limits_of(load_board("rpi-pico"))
    assert str(error.value) == (
        "board rpi-pico: hardware.generation = None, expected 1 or 2 (choose a Loihi board)"
    )
