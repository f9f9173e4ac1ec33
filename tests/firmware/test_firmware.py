"""The emitted firmware, run in QEMU, must compute what the dense model computes: every bit."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from snnstack.backends.mcu.full import can_be_full
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.program import DenseTable, Layer, Program, Route
from snnstack.backends.mcu.run import run
from snnstack.ir.step import Pool
from snnstack.trace import Spikes, Trace
from tests.firmware.firmware_model import (
    conv,
    layer,
    matrix,
    needs_gcc,
    port,
    program,
    simulate,
    sparse,
    spikes,
    weights,
)

pytestmark = pytest.mark.needs_qemu

BOARDS = (
    "microbit-v1", "rpi-pico", "nucleo-l152re", "nucleo-l4r5zi", "nucleo-h7a3zi-q",
    "nucleo-u575zi-q", "mps3-an547", "hifive1-revb",
)  # fmt: skip
"""One for each core: M0, M0+, M3, M4, M7, M33, M55, RV32."""
M4, M55 = "nucleo-l4r5zi", "mps3-an547"
N = 37


def dense(source: int, target: int, seed: int = 1) -> DenseTable:
    return DenseTable(weights(source, target, seed=seed))


def packed(bits: int, source: int, target: int, seed: int = 1) -> DenseTable:
    return DenseTable(low_bit(bits, source, target, seed=seed), bits)


def low_bit(bits: int, *shape: int, seed: int = 1) -> NDArray[np.int8]:
    """Random weights as a table of `bits` can hold them."""
    most = max(1, 2 ** (bits - 1) - 1)
    levels = np.array([-1, 1]) if bits == 1 else np.arange(-most, most + 1)
    return np.random.default_rng(seed).choice(levels, shape).astype(np.int8)


def lif(*routes: Route, n: int = N, **changes: object) -> Layer:
    return layer("hidden", (n,), *(routes or (Route("input", 0, dense(20, n)),)), **changes)


def pooled(kernel: int, stride: int, padding: int) -> Pool:
    out = (7 + 2 * padding - kernel) // stride + 1
    return Pool((3, 7, 7), (3, out, out), (kernel, kernel), (stride, stride), (padding, padding))


def packed_kinds(bits: int) -> tuple[tuple[Layer, ...], object]:
    """Dense, sparse, and convolutions whose rows are whole table words or are not."""
    whole, odd = conv(3, 32, (7, 7), (3, 3)), conv(3, 3, (7, 7), (3, 2), groups=3, stride=(2, 1))
    tables = [replace(t, weight=low_bit(bits, *t.weight.shape), bits=bits) for t in (whole, odd)]
    first = sparse(147, 21)
    few = replace(first, weight=low_bit(bits, *first.weight.shape), bits=bits)
    narrow = {"accumulator_bits": 16}
    return image(
        layer("whole", whole.out_shape, Route("input", 0, tables[0]), order="hwc", threshold=500),
        layer("narrow", whole.out_shape, Route("input", 0, tables[0]), order="hwc", **narrow),
        layer("odd", odd.out_shape, Route("input", 0, tables[1]), order="hwc", **narrow),
        layer("few", (21,), Route("input", 0, few), Route("odd", 0, packed(bits, 54, 21))),
        layer("much", (70,), Route("whole", 0, packed(bits, 800, 70)), **narrow),
        layer("out", (3,), Route("much", 0, packed(bits, 70, 3)), threshold=None),
    )


def image(*layers: Layer) -> tuple[tuple[Layer, ...], object]:
    return layers, port((3, 7, 7), order="hwc")


def convolution(bits: int = 32, **options: object) -> tuple[tuple[Layer, ...], object]:
    table = conv(3, 6, (7, 7), (3, 3), **options)  # type: ignore[arg-type]
    into = Route("input", 0, table)
    return image(layer("map", table.out_shape, into, order="hwc", accumulator_bits=bits))


def grouped() -> tuple[tuple[Layer, ...], object]:
    first = conv(3, 4, (7, 7), (3, 2), stride=(2, 1), padding=(1, 0))
    second = conv(4, 6, first.out_shape[1:], (2, 2), groups=2)
    return image(
        layer("map", first.out_shape, Route("input", 0, first), order="hwc", threshold=9000),
        layer("deep", second.out_shape, Route("map", 0, second), order="hwc"),
    )


def after_pool(kernel: int, stride: int, padding: int) -> tuple[tuple[Layer, ...], object]:
    pool = pooled(kernel, stride, padding)
    table = conv(3, 4, pool.out_shape[1:], (2, 2), padding=(1, 1))
    flat = int(np.prod(pool.out_shape))
    return image(
        layer("map", table.out_shape, Route("input", 0, table, pool), order="hwc"),
        layer("fc", (9,), Route("input", 0, dense(flat, 9), pool)),
        layer("few", (9,), Route("input", 0, sparse(flat, 9), pool)),
    )


PLAIN = port((20,))
EACH = np.arange(N)
CASES = {
    "dense": ((lif(),), PLAIN),
    "dense with narrow sums": ((lif(n=64, accumulator_bits=16),), PLAIN),
    "two dense routes with narrow sums": (
        (lif(Route("input", 0, dense(20, 40)), Route("input", 0, dense(20, 40, 3)),
             n=40, accumulator_bits=16),), PLAIN,
    ),
    "sparse": ((lif(Route("input", 0, sparse(20, N))),), PLAIN),
    "sparse with narrow sums": (
        (lif(Route("input", 0, sparse(20, N)), accumulator_bits=16),), PLAIN,
    ),
    "wide sparse": ((lif(Route("input", 0, sparse(20, 300)), n=300),), PLAIN),
    "counts": ((lif(),), port((20,), max_count=9)),
    "no synapses": ((layer("hidden", (5,), bias=700),), PLAIN),
    "current": ((lif(beta=50000),), PLAIN),
    "a parameter per neuron": (
        (lif(alpha=65536 - 900 * EACH, beta=40000 + 500 * EACH, bias=EACH - 20, leak=3 * EACH,
             threshold=900 + 90 * EACH, v_reset=-EACH),), PLAIN,
    ),
    "decay of 1 and 0": ((lif(alpha=65536 * (EACH % 2), beta=0),), PLAIN),
    "integrate and fire": ((lif(alpha=65536),), PLAIN),
    "integrate and fire, subtract": ((lif(alpha=65536, reset="subtract"),), PLAIN),
    "subtract": ((lif(reset="subtract", threshold=500 + EACH),), PLAIN),
    "no reset": ((lif(reset="none", threshold=500 + EACH),), PLAIN),
    "no reset, saturation": (
        (lif(alpha=65536, beta=65535, shift=16, threshold=900, reset="none", saturate_i=True,
             saturate_v=True),), PLAIN,
    ),
    "subtract in the next step": (
        (lif(reset="subtract", reset_time="next", threshold=500 + EACH),), PLAIN,
    ),
    "subtract in the next step, greater or equal": (
        (lif(reset="subtract", reset_time="next", threshold=64, shift=0, alpha=65536,
             compare="ge"),), PLAIN,
    ),
    "subtract in the next step, saturation": (
        (lif(alpha=65536, beta=65535, shift=16, leak=2**28, threshold=2**29 - 1, reset="subtract",
             reset_time="next", saturate_i=True, saturate_v=True),), PLAIN,
    ),
    "subtract and recheck": (
        (lif(reset="subtract", reset_time="recheck", threshold=700 + EACH, bias=900),), PLAIN,
    ),
    "subtract and recheck, saturation": (
        (lif(alpha=65536, beta=65535, shift=16, leak=2**28, threshold=2**29 - 1, reset="subtract",
             reset_time="recheck", saturate_i=True, saturate_v=True, compare="ge"),), PLAIN,
    ),
    "integrate, subtract in the next step": (
        (lif(alpha=65536, reset="subtract", reset_time="next"),), PLAIN,
    ),
    "integrate, subtract and recheck": (
        (lif(alpha=65536, reset="subtract", reset_time="recheck", threshold=2000),), PLAIN,
    ),
    "negative threshold": ((lif(reset="subtract", threshold=-50000),), PLAIN),
    "reset value": ((lif(v_reset=-1234),), PLAIN),
    "greater than": ((lif(alpha=65536, shift=0, threshold=0, bias=0),), PLAIN),
    "greater or equal": ((lif(alpha=65536, shift=0, threshold=0, compare="ge"),), PLAIN),
    "refractory": ((lif(refractory=2, beta=60000),), PLAIN),
    "long refractory": ((lif(refractory=300),), PLAIN),
    "saturation": (
        (lif(alpha=65536, beta=65535, shift=16, leak=2**28, threshold=2**30 - 2,
             saturate_i=True, saturate_v=True),), PLAIN,
    ),
    "readout": ((lif(), layer("out", (3,), Route("hidden", 0, dense(N, 3)), threshold=None,
                              beta=50000)), PLAIN),
    "integrator": ((lif(threshold=None, alpha=65536),), PLAIN),
    "recurrent": (
        (lif(Route("input", 0, dense(20, N)), Route("hidden", 1, dense(N, N, 7)), history=2),),
        PLAIN,
    ),
    "recurrent with one slot": (
        (lif(Route("input", 0, dense(20, N)), Route("hidden", 1, dense(N, N, 7))),), PLAIN,
    ),
    "feedback from a later layer": (
        (lif(Route("input", 0, dense(20, N)), Route("out", 1, sparse(8, N))),
         layer("out", (8,), Route("hidden", 0, dense(N, 8)))), PLAIN,
    ),
    "delays": (
        (lif(Route("input", 3, dense(20, N)), Route("input", 0, sparse(20, N)), history=4),
         layer("out", (8,), Route("hidden", 3, dense(N, 8)), Route("hidden", 0, sparse(N, 8)))),
        port((20,), history=4, max_count=2),
    ),
    "delayed counts": (
        (lif(Route("input", 6, dense(80, N)), Route("input", 2, sparse(80, N)), shift=0),
         layer("map", (4, 3, 2), Route("input", 4, conv(5, 4, (4, 4), (2, 3))), order="hwc",
               shift=0),
         layer("out", (8,), Route("hidden", 0, dense(N, 8)), Route("map", 0, dense(24, 8)))),
        port((5, 4, 4), order="hwc", history=7, max_count=300),
    ),
    "31 delays": (
        (lif(*(Route("input", d, sparse(20, N, 0.06, seed=d)) for d in range(31)),
             Route("hidden", 30, dense(N, N)), history=31, threshold=1500),),
        port((20,), history=31),
    ),
    "idle layer with history": (
        (lif(Route("input", 0, dense(20, N)), Route("hidden", 3, sparse(N, N)), history=4,
             alpha=65536, reset="subtract", threshold=20000),), PLAIN,
    ),
    "convolution": convolution(),
    "convolution with narrow sums": convolution(bits=16, padding=(1, 1)),
    "convolution, padding": convolution(padding=(1, 2)),
    "convolution, stride 2": convolution(stride=(2, 2), padding=(1, 1)),
    "convolution, stride 3 and 1": convolution(stride=(3, 1)),
    "convolution, dilation": convolution(dilation=(2, 3), padding=(2, 3)),
    "convolution, stride and dilation": convolution(stride=(2, 3), dilation=(3, 2), padding=(3, 2)),
    "convolution, stride and dilation share a factor":
        convolution(stride=(2, 2), dilation=(2, 2), padding=(1, 2)),
    "convolution by channel": convolution(groups=3),
    "grouped convolution of a convolution": grouped(),
    "packed weights of 4 bits": packed_kinds(4),
    "packed weights of 2 bits": packed_kinds(2),
    "packed weights of 1 bit": packed_kinds(1),
    "pool": after_pool(2, 2, 0),
    "overlapping pool": after_pool(3, 2, 1),
    "pool with gaps": after_pool(1, 3, 0),
    "pool with wide overlap": after_pool(5, 1, 2),
}  # fmt: skip


def everything(board: str, bits: int = 8) -> Program:
    """All kinds of connection and state in one network that fits 16 KB of RAM."""
    net = _everything(board)
    return net if bits == 8 else replace(net, layers=tuple(in_bits(x, bits) for x in net.layers))


def in_bits(x: Layer, bits: int) -> Layer:
    """The layer with random weights of `bits`, and a threshold that they reach."""
    tables = (
        replace(r.table, weight=low_bit(bits, *r.table.weight.shape), bits=bits) for r in x.routes
    )
    routes = tuple(replace(r, table=t) for r, t in zip(x.routes, tables, strict=True))
    lower = None if x.threshold is None else np.full_like(x.threshold, 60 * 2 ** (bits - 1))
    return replace(x.with_lif(threshold=lower), routes=routes)


def _everything(board: str) -> Program:
    table = conv(2, 4, (6, 6), (3, 3), stride=(2, 1), padding=(1, 1))
    pool = Pool(table.out_shape, (4, 2, 3), (2, 2), (1, 2), (0, 0))
    to = {"history": 3, "threshold": 7000}
    return program(
        board,
        (
            layer("conv 1", table.out_shape, Route("input", 0, table), order="hwc", **to,
                  alpha=65536, reset="subtract", accumulator_bits=16),
            layer("conv-1", (40,), Route("conv 1", 2, dense(24, 40), pool),
                  Route("conv-1", 1, sparse(40, 40)), beta=50000, refractory=1, history=1),
            layer("out", (5,), Route("conv-1", 0, dense(40, 5)), Route("input", 1, dense(72, 5)),
                  threshold=None, alpha=np.array([1, 9, 65536, 65535, 40000])),
            layer("late", (9,), Route("conv-1", 0, dense(40, 9)), reset="subtract",
                  reset_time="next", threshold=800),
            layer("twice", (9,), Route("late", 0, dense(9, 9)), reset="subtract",
                  reset_time="recheck", threshold=800, bias=500),
        ),
        port((2, 6, 6), order="hwc", history=2, max_count=3),
    )  # fmt: skip


def all_states(net: Program) -> list[tuple[str, str]]:
    found = [(x.name, "v") for x in net.layers]
    return found + [(x.name, "i") for x in net.layers if x.beta is not None]


def assert_equal(net: Program, given: Spikes, trace: Trace) -> None:
    expected = simulate(net, given)
    for x in net.layers:
        if x.threshold is not None:
            got = trace.spikes[x.name].dense().reshape(given.batch, given.steps, -1)
            np.testing.assert_array_equal(got, expected[x.name, "s"], err_msg=x.name)
    for probe in all_states(net):
        np.testing.assert_array_equal(trace.states[probe], expected[probe], err_msg=str(probe))


@pytest.mark.parametrize("board", [M4, M55])
@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_layer_equals_the_model(case: str, board: str) -> None:
    layers, entry = CASES[case]
    net = program(board, layers, entry)  # type: ignore[arg-type]
    steps = 12 if net.input.history < 12 else 70  # twice around the longest ring
    given = spikes(net.input.shape, 0.15, most=net.input.max_count, steps=steps)
    assert_equal(net, given, run(net, given, probes=all_states(net), timeout_s=60))


FULL = ("dense", "two dense routes with narrow sums", "counts", "recurrent", "delays",
        "convolution with narrow sums", "convolution, stride and dilation",
        "grouped convolution of a convolution", "overlapping pool", "pool with gaps")  # fmt: skip


def in_full(net: Program) -> Program:
    """The same network with every route that can multiply everything doing so."""
    return replace(net, layers=tuple(_in_full(x) for x in net.layers))


def _in_full(x: Layer) -> Layer:
    routes = (replace(r, form="full") if can_be_full(r, 9) else r for r in x.routes)
    return replace(x, routes=tuple(routes))


@pytest.mark.parametrize("board", [M4, M55, "microbit-v1"])
@pytest.mark.parametrize("case", FULL)
def test_the_full_form_equals_the_model(case: str, board: str) -> None:
    net = in_full(program(board, *CASES[case]))  # type: ignore[misc]
    assert any(r.form == "full" for x in net.layers for r in x.routes)
    given = spikes(net.input.shape, 0.3, most=net.input.max_count)
    assert_equal(net, given, run(net, given, probes=all_states(net), timeout_s=60))


@pytest.mark.parametrize("board", BOARDS)
def test_every_core_computes_the_full_form(board: str) -> None:
    net = in_full(everything(board))
    given = spikes(net.input.shape, 0.4, most=3)
    assert_equal(net, given, run(net, given, probes=all_states(net), timeout_s=60))


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_every_core_equals_the_model(board: str, bits: int) -> None:
    net = everything(board, bits)
    given = spikes(net.input.shape, 0.2, most=3, batch=3, steps=15)
    trace = run(net, given, probes=all_states(net), timeout_s=60)
    assert_equal(net, given, trace)
    assert trace.spikes["conv-1"].total > 0


@needs_gcc
@pytest.mark.needs_zig
@pytest.mark.parametrize("board", [M4, M55, "microbit-v1", "hifive1-revb"])
def test_both_compilers_give_the_same_outputs(board: str) -> None:
    pytest.importorskip("ziglang", reason="pip install ziglang")
    net = everything(board)
    given = spikes(net.input.shape, 0.2, most=3)
    traces = [run(net, given, probes=all_states(net), toolchain=t) for t in ("gcc", "zig")]
    for trace in traces:
        assert_equal(net, given, trace)


def test_events_above_65535_are_wide() -> None:
    net = program(M4, (layer("hidden", (3,), Route("input", 0, sparse(70000, 3))),), port((70000,)))
    given = spikes((70000,), 0.001, steps=3, batch=1)
    assert_equal(net, given, run(net, given, probes=all_states(net)))


def test_silence_and_an_empty_batch_are_runs_too() -> None:
    net = everything(M4)
    silent = spikes(net.input.shape, 0.0)
    assert_equal(net, silent, run(net, silent, probes=all_states(net)))
    empty = run(net, silent.samples(0, 0), probes=all_states(net))
    assert empty.spikes["conv-1"].batch == 0
    assert empty.states["out", "v"].shape == (0, 12, 5)


@pytest.mark.parametrize("board", BOARDS)
def test_counted_instructions_are_the_same_for_equal_samples(board: str) -> None:
    net = everything(board)
    one = spikes(net.input.shape, 0.3, batch=1, most=3).dense()
    trace = run(net, Spikes.from_dense(np.concatenate([one, 0 * one, one])))
    for name, counts in trace.counts.items():
        first, quiet, second = counts.other["instructions"]
        assert first == second, name
        assert 0 < quiet <= first, name


def test_a_known_loop_is_counted_exactly() -> None:
    """Each further neuron of a plain integrator costs the same number of instructions."""
    counts = []
    for n in (400, 401, 402, 403):
        net = program(M4, (layer("hidden", (n,), beta=None, threshold=None, bias=1),), port((1,)))
        trace = run(net, spikes((1,), 0.0, batch=1, steps=40))
        counts.append(int(trace.counts["hidden"].other["instructions"][0]))
    steps = np.diff(counts)
    assert all(step % 40 == 0 for step in steps)


def test_synaptic_operations_are_synapses_reached() -> None:
    net = everything(M4)
    given = spikes(net.input.shape, 0.3, most=3)
    trace = run(net, given)
    sent = {"input": given, **trace.spikes}
    from snnstack.backends.mcu.events import memory_order

    orders = {"input": net.input.order} | {x.name: x.order for x in net.layers}
    ones = {id(r): _ones(r) for x in net.layers for r in x.routes}
    for x in net.layers:
        total = np.zeros(given.batch, dtype=np.int64)
        for r in x.routes:
            s = sent[r.source].dense().reshape(given.batch, given.steps, -1).astype(np.int64)
            s = s[:, : given.steps - r.delay, memory_order(sent[r.source].shape, orders[r.source])]
            total += (s @ matrix(ones[id(r)], 0, x.n)).sum(axis=(1, 2))
        np.testing.assert_array_equal(trace.counts[x.name].synops, total)


def _ones(route: Route) -> Route:
    return replace(route, table=replace(route.table, weight=np.ones_like(route.table.weight)))


def test_progress_reports_every_sample() -> None:
    seen: list[tuple[int, int]] = []
    net = everything(M4)
    given = spikes(net.input.shape, 0.1, batch=4)
    run(net, given, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)
    assert seen == sorted(seen)


def test_all_boards_have_a_machine_and_a_tool() -> None:
    for board in BOARDS:
        assert hardware(program(board, (lif(),), PLAIN).board).qemu_machine
    assert shutil.which("qemu-system-arm")
