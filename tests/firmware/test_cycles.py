"""The instruction mix is what ran; the cycle model is linear, and holds the measured rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from snnstack.backends.mcu.cycles import COSTS, cpi, cycles, inference_cycles, worst_step
from snnstack.backends.mcu.mix import Mix, parse
from snnstack.backends.mcu.mlperf import AUTOENCODER, ROWS, Row, predict
from snnstack.backends.mcu.program import DenseTable, Program, Route
from snnstack.backends.mcu.run import run
from snnstack.board import Board, all_boards, load_board
from snnstack.energy import clocked_energy
from snnstack.errors import TargetError
from tests.firmware.firmware_model import layer, port, program, spikes, weights
from tests.firmware.test_firmware import CASES, M4

NOTHING = Mix(0, 0, 0, 0, 0, 0, 0, 0, 0)
LOG = """----------------
IN: net_step
0x00000100:  e92d 4010  push.w   {r4, lr}
0x00000104:  6803       ldr      r3, [r0]
0x00000106:  c80c       ldm      r0!, {r2, r3}
0x00000108:  fb03 f302  mul      r3, r3, r2
0x0000010c:  d1f8       bne      #0x104

Trace 0: 0x7f0000000100 [00800408/00000100/00000110/ff000200] net_step
----------------
IN: net_step
0x00000104:  6803       ldr      r3, [r0]
0x00000106:  c80c       ldm      r0!, {r2, r3}
0x00000108:  fb03 f302  mul      r3, r3, r2
0x0000010c:  d1f8       bne      #0x104

Trace 0: 0x7f0000000200 [00800408/00000104/00000110/ff000200] net_step
Trace 0: 0x7f0000000200 [00800408/00000104/00000110/ff000200] net_step
----------------
IN: net_step
0x0000010e:  fb94 f4f3  sdiv     r4, r4, r3
0x00000112:  fba1 2103  umull    r2, r1, r1, r3
0x00000116:  bd10       pop      {r4, pc}

Trace 0: 0x7f0000000300 [00800408/0000010e/00000110/ff000200] net_step
----------------
IN: main
0x00000200:  e7fe       b        #0x200

Trace 0: 0x7f0000000400 [00800408/00000200/00000110/ff000200] main
"""


def mlp(board: str) -> Program:
    hidden = layer("hidden", (30,), Route("input", 0, DenseTable(weights(40, 30))))
    out = layer("out", (10,), Route("hidden", 0, DenseTable(weights(30, 10))))
    return program(board, (hidden, out), port((40,)))


def test_a_log_is_counted_by_kind() -> None:
    """Two jumps back were taken; the third time the loop falls through."""
    assert parse(LOG.splitlines()) == Mix(
        instructions=5 + 4 + 4 + 3, loads=7, paired=3, stores=1, words=1 + 3 + 1, taken=2,
        multiplies=3, long_multiplies=1, divides=1,
    )  # fmt: skip


def test_a_log_of_risc_v_is_counted_as_well() -> None:
    log = """IN: net_step
Priv: 3; Virt: 0
0x80000010:  4118              lw                      a4,0(a0)
0x80000012:  c11c              sw                      a5,0(a0)
0x80000014:  02e787b3          mul                     a5,a5,a4
0x80000018:  bfe5              j                       -8                      # 0x80000010
Trace 0: 0x7efd34000100 [00000000/80000010/00109003/ff000200] net_step
Trace 0: 0x7efd34000100 [00000000/80000010/00109003/ff000200] net_step
"""
    assert parse(log.splitlines()) == Mix(8, 2, 0, 2, 0, 1, 2, 0, 0)


def test_functions_can_be_left_out() -> None:
    assert parse(LOG.splitlines(), ["net_step"]) == NOTHING


def test_each_kind_costs_what_the_table_says() -> None:
    board = load_board("stm32f4-discovery")
    mix = Mix(100, 10, 4, 5, 3, 7, 2, 1, 1)
    by_hand = 100 + (10 - 4) + 3 + 2 * 7 + 6
    found = cycles(mix, board, 0)
    assert found == (by_hand, by_hand, by_hand + 4 + 5 * 7)


def test_flash_waits_for_constants_that_do_not_fit_the_cache() -> None:
    board = load_board("stm32f4-discovery")
    mix = replace(NOTHING, instructions=1000)
    assert cycles(mix, board, 128) == (1000, 1000, 1000 + 5 * 8)
    assert cycles(mix, board, 1601) == (1000, 1000 + 5 * 101, 1000 + 5 * 101)


def test_more_of_anything_never_takes_less() -> None:
    for board in (b for b in all_boards() if b.target == "mcu"):
        one = cycles(Mix(100, 20, 5, 9, 4, 7, 3, 1, 1), board, 5000)
        two = cycles(Mix(200, 40, 10, 18, 8, 14, 6, 2, 2), board, 10000)
        assert one.low <= one.typical <= one.high
        assert all(less < more for less, more in zip(one, two, strict=True))


def test_every_board_has_costs_and_says_how_its_flash_is_read() -> None:
    for board in (b for b in all_boards() if b.target == "mcu"):
        assert cpi(replace(NOTHING, instructions=10), board, 10).typical > 0
    assert all(len(costs.source) > 10 for costs in COSTS.values())


def test_a_board_without_flash_figures_is_refused() -> None:
    board = load_board(M4)
    hardware = {k: v for k, v in board.hardware.items() if k != "flash_reads"}
    fields = {name: getattr(board, name) for name in board.__struct_fields__}
    bare = Board(**{**fields, "hardware": hardware})
    with pytest.raises(TargetError) as error:
        cycles(NOTHING, bare, 0)
    assert str(error.value) == (
        "board nucleo-l4r5zi: has no [hardware.flash_reads] (say how its flash is read)"
    )


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, "nucleo-l152re", "microbit-v1", "hifive1-revb"])
def test_the_mix_has_the_instructions_that_the_timer_counts(board: str) -> None:
    net = mlp(board)
    given = spikes((40,), 0.3, batch=2, steps=8)
    found = inference_cycles(net, given)
    counted = sum(c.other["instructions"].mean() for c in run(net, given).counts.values())
    assert found.mix.instructions == pytest.approx(counted, rel=0.02)
    assert found.constant_bytes >= 0.3 * 40 * 8 * 30 * 0.5
    assert found.seconds.typical == pytest.approx(
        found.cycles.typical / float(net.board.clock.value)
    )
    ratio = cpi(found.mix, net.board, found.constant_bytes)
    energy = clocked_energy(found.mix.instructions, net.board, cpi=ratio)
    assert energy.total.typical == pytest.approx(
        found.cycles.typical * net.board.coefficients["active_pj_per_cycle"].typical * 1e-6,
        rel=1e-3,
    )


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    "case", ["mlp", "delays", "recurrent", "refractory", "subtract", "sparse, integrating"]
)
def test_no_step_takes_longer_than_the_worst(case: str) -> None:
    net = mlp(M4) if case == "mlp" else program(M4, *CASES[case.partition(",")[0]])  # type: ignore[misc]
    if case == "sparse, integrating":  # neurons without input are skipped
        ones = np.full(net.layers[0].n, 65536, np.int32)
        net = replace(net, layers=(net.layers[0].with_lif(alpha=ones, reset="subtract"),))
    worst = worst_step(net)
    given = spikes(net.input.shape, 0.6, batch=4, steps=9, seed=4)
    totals = [
        sum(c.other["instructions"].sum() for c in run(net, part).counts.values())
        for part in (given, given.window(0, 8))
    ]
    mean = (totals[0] - totals[1]) / given.batch
    assert 0 < mean <= worst.mix.instructions * 1.02
    assert worst.seconds.high >= worst.seconds.typical > 0


@pytest.mark.needs_qemu
def test_more_spikes_an_element_make_the_worst_step_longer() -> None:
    first = CASES["counts"][0]
    net = program(M4, first, port((20,), max_count=9))
    assert worst_step(net, count=9).mix.instructions > worst_step(net).mix.instructions


def test_the_auto_encoder_has_the_multiplications_of_the_suite() -> None:
    assert sum(a * b for a, b in pairwise(AUTOENCODER)) == 264_192
    assert {row.role for row in ROWS} == {"calibration", "left out"}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.board}, {row.role}")
def test_measured_rows_lie_in_the_predicted_band(row: Row) -> None:
    found = predict(row)
    assert found.cycles.low <= found.measured_cycles <= found.cycles.high
    assert found.cycles.typical == pytest.approx(found.measured_cycles, rel=0.15)
    assert found.holds
    assert found.energy_uj.typical == pytest.approx(row.energy_uj, rel=0.2)


def test_a_mix_can_be_scaled_and_subtracted() -> None:
    mix = Mix(10, 4, 2, 2, 6, 8, 2, 0, 0)
    assert mix.scaled(0.5) == Mix(5, 2, 1, 1, 3, 4, 1, 0, 0)
    assert mix - mix == NOTHING
