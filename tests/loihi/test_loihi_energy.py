"""Price: measured totals of published networks lie in the band that is stated for them."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.loihi import price, reference
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.emulators.loihi import emulate
from snnstack.errors import TargetError
from snnstack.ir.step import Conv, Dense, size
from snnstack.trace import Counts, Spikes, Trace


def _cuba(name, shape, threshold):
    one = np.ones(size(shape), dtype=np.int64)
    return Cuba(name, shape, one * 4096, one * 128, one * 0, one * (threshold << 6))


def _dense_program(board, sizes, thresholds):
    rng = np.random.default_rng(0)
    populations, connections, source, before = [], [], "x", sizes[0]
    if isinstance(thresholds, int):
        thresholds = [thresholds] * (len(sizes) - 1)
    for i, (n, threshold) in enumerate(zip(sizes[1:], thresholds, strict=True)):
        weight = 2 * rng.integers(-60, 70, (n, before))
        populations.append(_cuba(f"p{i}", (n,), threshold))
        connections.append(Connection(source, f"p{i}", Dense(weight)))
        source, before = f"p{i}", n
    network = ChipNetwork(
        board.hardware["generation"],
        ChipInput("x", (sizes[0],)),
        tuple(populations),
        tuple(connections),
        (source,),
    )
    return compile_chip(network, board)


def _uj(cost):
    return cost.energy.total


def _run(program, rate, steps, batch):
    """Emulated on random input; the share of a layer's neurons that fire in a step."""
    rng = np.random.default_rng(1)
    shape = (batch, steps, *program.network.input.shape)
    trace = emulate(program, Spikes.from_dense((rng.random(shape) < rate).astype(np.uint8)))
    rates = [s.total / (s.batch * s.steps * s.n) for s in trace.spikes.values()]
    return trace, rates


@pytest.mark.parametrize(
    ("rate", "thresholds"), [(0.05, (1696, 1056, 992)), (0.2, (2144, 1312, 1248))]
)
def test_keyword_spotting_on_loihi_1_lies_in_the_band(rate, thresholds):
    """390-256-256-29, 10 steps an inference, 296 a second: 110 mW in all, 29 mW of it idle."""
    program = _dense_program(load_board("loihi1"), (390, 256, 256, 29), thresholds)
    trace, rates = _run(program, rate, 10, 4)
    assert all(0.5 * rate < found < 2 * rate for found in rates)
    cost = price(program, trace, period_s=1 / 296)
    assert _uj(cost).low < 110e3 / 296 < _uj(cost).high
    idle = next(c for c in cost.energy.components if c.name == "idle")
    assert idle.band.typical == pytest.approx(29e3 / 296)
    above = [_uj(cost)[i] - idle.band[i] for i in range(3)]
    assert above[0] < 270 < above[2]


def test_pilotnet_on_loihi_2_lies_in_the_band():
    """Five convolutions and four dense layers, 408.9 frames a second: 1.661 mJ a frame."""
    rng = np.random.default_rng(0)
    layers = [(24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)]
    thresholds = iter((864, 2848, 3936, 1760, 1824, 736, 32, 32, 32))
    shape, populations, connections, source = (3, 66, 200), [], [], "x"
    for i, (channels, k, s) in enumerate(layers):
        out = (channels, (shape[1] - k) // s + 1, (shape[2] - k) // s + 1)
        weight = 2 * rng.integers(-60, 70, (channels, shape[0], k, k))
        conv = Conv(weight, shape, out, (s, s), (0, 0), (1, 1), 1)
        populations.append(_cuba(f"c{i}", out, next(thresholds)))
        connections.append(Connection(source, f"c{i}", conv))
        source, shape = f"c{i}", out
    before = size(shape)
    for i, n in enumerate((100, 50, 10, 1)):
        populations.append(_cuba(f"d{i}", (n,), next(thresholds)))
        connections.append(
            Connection(source, f"d{i}", Dense(2 * rng.integers(-60, 70, (n, before))))
        )
        source, before = f"d{i}", n
    network = ChipNetwork(
        2, ChipInput("x", (3, 66, 200)), tuple(populations), tuple(connections), (source,)
    )
    program = compile_chip(network, load_board("oheo-gulch"))
    trace, rates = _run(program, 0.1, 16, 1)
    assert all(0.01 < found < 0.4 for found in rates[:-2])  # the last ones have few neurons
    cost = price(program, trace, period_s=1 / 408.9)
    assert _uj(cost).low < 1661 < _uj(cost).high


def test_hops_are_priced_from_spikes_where_they_were_not_counted():
    program = _dense_program(load_board("loihi1"), (40, 1500, 10), 100)
    x = np.ones((2, 8, 40), dtype=np.uint8)
    trace = reference(program, None, Spikes.from_dense(x))
    n = {p.name: p.n for p in program.network.populations}
    zero = np.zeros(2, dtype=np.int64)
    counts = {name: Counts(zero, zero + 9 * k, zero) for name, k in n.items()}
    cost = price(program, Trace(trace.spikes, {}, counts))
    sent = trace.spikes["p0"].per_neuron() @ program.placement["p0"].messages.astype(np.int64)
    sent = sent + trace.spikes["p1"].per_neuron() @ program.placement["p1"].messages
    assert cost.counts["messages"] == sent.mean() > 0
    assert cost.counts["steps"] == 9


def test_a_longer_period_only_adds_idle_energy():
    program = _dense_program(load_board("loihi1"), (40, 20, 10), 100)
    trace, _ = _run(program, 0.1, 20, 2)
    short, long = (price(program, trace, period_s=t) for t in (0.1, 1.1))
    idle = program.board.coefficients["idle_mw"].typical * 1e3
    assert _uj(long).typical - _uj(short).typical == pytest.approx(idle)
    assert short.energy.dynamic == long.energy.dynamic
    late = price(program, trace, period_s=1e-6)
    assert late.energy.notes[0].startswith("one inference takes ")


def test_a_trace_without_counts_cannot_be_priced():
    program = _dense_program(load_board("loihi1"), (40, 20, 10), 100)
    with pytest.raises(TargetError) as error:
        price(program, Trace({}))
    assert str(error.value) == (
        "network: the trace holds no event counts (price the trace of an emulation)"
    )
