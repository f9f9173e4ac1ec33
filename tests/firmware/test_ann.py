"""The opponent computes what numpy computes, counts exactly, and the crossing is where it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from snnstack.backends.mcu.ann import Crossing, crossing_rate, opponent, run_ann
from snnstack.backends.mcu.ann_emit import emit_ann, kernel
from snnstack.backends.mcu.ann_stages import Stage, permutation, stages, stages_of
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.program import DenseTable, Program, Route
from snnstack.board import load_board
from snnstack.errors import TargetError
from snnstack.quant.opponent_int8 import reciprocal
from tests.firmware.firmware_model import conv, layer, port, program, sparse, weights
from tests.firmware.test_firmware import M4, after_pool, convolution, grouped
from tests.unit import opponents

BOARDS = (
    "microbit-v1", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q", "nucleo-u575zi-q",
    "mps3-an547", "hifive1-revb",
)  # fmt: skip


def mlp(board: str, *sizes: int) -> Program:
    """Dense layers of these sizes."""
    names = ["input", *(f"fc{k}" for k in range(1, len(sizes)))]
    layers = tuple(
        layer(
            names[k],
            (sizes[k],),
            Route(names[k - 1], 0, DenseTable(weights(*sizes[k - 1 : k + 1]))),
        )
        for k in range(1, len(sizes))
    )
    return program(board, layers, port((sizes[0],)))


def expected(net: Program, x: NDArray[np.int8]) -> NDArray[np.int64]:
    """The definition: matrices, windows and shifts in numpy, nothing packed."""
    values = x.astype(np.int64)
    for stage in stages(net):
        if stage.pool is not None:
            values = _pooled(stage, values)
            continue
        sums = _convolved(stage, values) if stage.table is not None else _dense(stage, values)
        rounded = (sums + (1 << stage.shift >> 1)) >> stage.shift
        values = np.clip(rounded, stage.least, 127)
    return values


def _dense(stage: Stage, x: NDArray[np.int64]) -> NDArray[np.int64]:
    assert stage.weight is not None
    return stage.weight.astype(np.int64) @ x


def _convolved(stage: Stage, x: NDArray[np.int64]) -> NDArray[np.int64]:
    t, w = stage.table, stage.weight
    assert t is not None and w is not None
    channels, height, width = t.in_shape
    padded = np.zeros((height + 2 * t.padding[0], width + 2 * t.padding[1], channels), np.int64)
    padded[t.padding[0] : t.padding[0] + height, t.padding[1] : t.padding[1] + width] = x.reshape(
        height, width, channels
    )
    out, per_in, per_out = t.out_shape, channels // t.groups, t.out_shape[0] // t.groups
    found = np.zeros((out[1], out[2], out[0]), np.int64)
    for oy, ox, o in np.ndindex(*found.shape):
        for ky, kx in np.ndindex(*w.shape[1:3]):
            y = oy * t.stride[0] + ky * t.dilation[0]
            z = ox * t.stride[1] + kx * t.dilation[1]
            first = o // per_out * per_in
            found[oy, ox, o] += w[o, ky, kx].astype(np.int64) @ padded[y, z, first : first + per_in]
    return found.ravel()


def _pooled(stage: Stage, x: NDArray[np.int64]) -> NDArray[np.int64]:
    p = stage.pool
    assert p is not None
    channels, height, width = p.in_shape
    padded = np.pad(
        x.reshape(height, width, channels),
        (
            (p.padding[0], p.padding[0] + p.kernel[0]),
            (p.padding[1], p.padding[1] + p.kernel[1]),
            (0, 0),
        ),
    )
    found = np.zeros((*p.out_shape[1:], channels), np.int64)
    for oy, ox in np.ndindex(*p.out_shape[1:]):
        y, z = oy * p.stride[0], ox * p.stride[1]
        found[oy, ox] = padded[y : y + p.kernel[0], z : z + p.kernel[1]].sum(axis=(0, 1))
    return ((found * reciprocal(p.kernel[0] * p.kernel[1]) + 32768) >> 16).ravel()


def chain(case: str, board: str = M4) -> Program:
    if case == "dense":
        return mlp(board, 30, 17, 5)
    if case == "sparse":
        layers = (layer("out", (9,), Route("input", 0, sparse(20, 9))),)
        return program(board, layers, port((20,)))
    if case == "pool":
        (first, *_), image = after_pool(3, 2, 1)
        return program(board, (first,), image)  # type: ignore[arg-type]
    if case == "grouped":
        return program(board, *grouped())  # type: ignore[arg-type]
    if case == "strided":
        return program(board, *convolution(stride=(2, 3), dilation=(3, 2), padding=(3, 2)))  # type: ignore[arg-type]
    table = conv(3, 6, (7, 7), (3, 3), padding=(1, 1))
    maps = layer("map", table.out_shape, Route("input", 0, table), order="hwc")
    dense = layer("fc", (10,), Route("map", 0, DenseTable(weights(6 * 49, 10))))
    return program(board, (maps, dense), port((3, 7, 7), order="hwc"))


CASES = ("dense", "sparse", "pool", "grouped", "strided", "conv and dense")


def check(net: Program) -> None:
    x = np.random.default_rng(3).integers(-128, 128, int(np.prod(net.input.shape))).astype(np.int8)
    found = run_ann(net, x)
    np.testing.assert_array_equal(found.outputs, expected(net, x))
    assert found.instructions > found.macs / 16


@pytest.mark.needs_qemu
@pytest.mark.parametrize("case", CASES)
def test_the_opponent_computes_its_definition(case: str) -> None:
    check(chain(case))


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_every_core_computes_the_definition(board: str) -> None:
    check(chain("conv and dense", board))


@pytest.mark.needs_qemu
def test_the_opponent_is_as_fast_as_the_best_known_kernel() -> None:
    """784-128-10 on a Cortex-M4: 0.198 M instructions with CMSIS-NN (shared design notes)."""
    found = run_ann(mlp(M4, 784, 128, 10))
    assert found.macs == 784 * 128 + 128 * 10
    assert found.instructions < 198_000


@pytest.mark.needs_qemu
def test_the_performance_is_priced_as_the_program_is() -> None:
    net = mlp(M4, 30, 17, 5)
    trained, frames = opponents.int8(opponents.chain(30, 17, 5))
    given = trained.given(frames)[:3]
    found, outputs = opponent(net, trained, given)
    np.testing.assert_array_equal(outputs, trained.run(given))
    count = run_ann(net, given, stages_of(trained)).instructions
    assert found.counts["instructions"] == count
    cpi = net.board.coefficients["cpi"].typical
    assert found.latency.typical == pytest.approx(count * cpi / 120e6)
    assert opponent(net, trained, given, 1.0)[0].energy.static.typical > 0


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", BOARDS)
def test_the_kernels_compute_the_integers_that_accuracy_is_counted_with(board: str) -> None:
    trained, frames = opponents.int8(opponents.maps())
    given = trained.given(frames)[:3]
    chain = stages_of(trained)
    found = run_ann(mlp(board, 168, 5), given[:, permutation(trained.net, 0)], chain)
    wanted = trained.run(given)[:, permutation(trained.net, len(trained.net.layers))]
    np.testing.assert_array_equal(found.outputs, wanted)


@pytest.mark.needs_qemu
def test_the_crossing_lies_between_a_rate_that_wins_and_one_that_loses() -> None:
    net = mlp(M4, 300, 40, 10)
    found = crossing_rate(net, steps=4, rates=(0.01, 0.05, 0.1, 0.3, 1.0))
    assert found.rate is not None and 0 < found.rate < 1
    assert found.spikes_per_input == pytest.approx(4 * found.rate)
    for rate, instructions in found.curve:
        assert (rate < found.rate) == (instructions < found.ann_instructions)


@pytest.mark.needs_qemu
def test_a_network_that_always_wins_or_never_is_said_so() -> None:
    net = mlp(M4, 20, 8)
    always = crossing_rate(net, 3, 10**9, rates=(0.1, 1.0))
    assert always.rate is None and str(always) == (
        "the int8 network without spikes needs 1000000000 instructions; the spiking one needs "
        "fewer at every input rate"
    )
    never = crossing_rate(net, 3, 1, rates=(0.1, 1.0))
    assert (never.rate, never.spikes_per_input) == (0, 0)


def test_the_crossing_reads_as_a_sentence() -> None:
    assert str(Crossing(0.0562, 1.405, 150000, 25, ())) == (
        "the int8 network without spikes needs 150000 instructions; the spiking one needs fewer "
        "below 5.6 % input rate (1.4 spikes per input in 25 steps)"
    )


def test_a_network_that_is_no_chain_has_no_opponent() -> None:
    into, back = (
        Route("input", 0, DenseTable(weights(4, 3))),
        Route("fc", 1, DenseTable(weights(3, 3))),
    )
    net = program(M4, (layer("fc", (3,), into, back), layer("out", (2,))), port((4,)))
    with pytest.raises(TargetError) as error:
        stages(net)
    hint = "(only feed-forward networks have an opponent of the same shape)"
    assert str(error.value).splitlines() == [
        "fc: reads input (0 steps later), fc (1 steps later); a network without spikes needs a "
        f"chain {hint}",
        f"out: reads nothing; a network without spikes needs a chain {hint}",
    ]


def test_the_same_opponent_has_the_same_bytes() -> None:
    net = chain("conv and dense")
    x = np.zeros(147, np.int8)
    assert emit_ann(net, stages(net), x) == emit_ann(net, stages(net), x)
    kernels = {name: kernel(hardware(load_board(name))) for name in (M4, "rpi-pico", "ek-ra8m1")}
    assert kernels == {M4: "dsp", "rpi-pico": "plain", "ek-ra8m1": "mve"}
