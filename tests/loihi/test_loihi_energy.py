"""Price: measured totals of published networks lie in the band that is stated for them."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.loihi import price, reference
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.errors import TargetError
from snnstack.ir.step import Conv, Dense, size
from snnstack.trace import Counts, Spikes, Trace


def _cuba(name, shape, threshold):
    one = np.ones(size(shape), dtype=np.int64)
    return Cuba(name, shape, one * 4096, one * 128, one * 0, one * (threshold << 6))


def _dense_program(board, sizes, threshold):
    rng = np.random.default_rng(0)
    populations, connections, source, before = [], [], "x", sizes[0]
    for i, n in enumerate(sizes[1:]):
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


def _counted(program, fan_out, rates, steps):
    """Counts of one inference in which every source fires at its rate."""
    counts = {}
    source = program.network.input.name
    for p in program.network.populations:
        events = rates[source] * steps * len(program.placement[source].core)
        messages = {
            key: np.array(
                [int(rates[p.name] * steps * getattr(program.placement[p.name], key).sum())]
            )
            for key in ("messages", "hops_x", "hops_y")
        }
        counts[p.name] = Counts(
            synops=np.array([int(events * fan_out[p.name])]),
            updates=np.array([p.n * steps]),
            spikes=np.array([int(rates[p.name] * steps * p.n)]),
            other={"active": np.array([p.n * steps]), **messages},
        )
        source = p.name
    return Trace({}, {}, counts)


def _uj(cost):
    return cost.energy.total


def test_keyword_spotting_on_loihi_1_lies_in_the_band():
    """390-256-256-29, 10 steps an inference, 296 a second: 110 mW in all, 29 mW of it idle."""
    program = _dense_program(load_board("loihi1"), (390, 256, 256, 29), 400)
    rates = {"x": 0.2, "p0": 0.2, "p1": 0.2, "p2": 0.2}
    fan_out = {"p0": 256, "p1": 256, "p2": 29}
    cost = price(program, _counted(program, fan_out, rates, 10), period_s=1 / 296)
    assert _uj(cost).low < 110e3 / 296 < _uj(cost).high
    idle = next(c for c in cost.energy.components if c.name == "idle")
    assert idle.band.typical == pytest.approx(29e3 / 296)
    above = [_uj(cost)[i] - idle.band[i] for i in range(3)]
    assert above[0] < 270 < above[2]


def test_pilotnet_on_loihi_2_lies_in_the_band():
    """Five convolutions and three dense layers, 408.9 frames a second: 1.661 mJ a frame."""
    board = load_board("oheo-gulch")
    layers = [(24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)]
    shape, populations, connections, source = (3, 66, 200), [], [], "x"
    rates, fan_out = {"x": 0.2}, {}
    for i, (channels, k, s) in enumerate(layers):
        out = (channels, (shape[1] - k) // s + 1, (shape[2] - k) // s + 1)
        weight = np.ones((channels, shape[0], k, k), dtype=np.int64)
        conv = Conv(weight, shape, out, (s, s), (0, 0), (1, 1), 1)
        populations.append(_cuba(f"c{i}", out, 400))
        connections.append(Connection(source, f"c{i}", conv, signs="excitatory"))
        source, shape = f"c{i}", out
        rates[source], fan_out[source] = 0.1, channels * k * k / s**2
    before = size(shape)
    for i, n in enumerate((100, 50, 10, 1)):
        populations.append(_cuba(f"d{i}", (n,), 400))
        dense = Dense(np.ones((n, before), dtype=np.int64))
        connections.append(Connection(source, f"d{i}", dense, signs="excitatory"))
        source, before = f"d{i}", n
        rates[source], fan_out[source] = 0.1, n
    network = ChipNetwork(
        2, ChipInput("x", (3, 66, 200)), tuple(populations), tuple(connections), (source,)
    )
    program = compile_chip(network, board)
    cost = price(program, _counted(program, fan_out, rates, 16), period_s=1 / 408.9)
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
    trace = _counted(program, {"p0": 20, "p1": 10}, {"x": 0.1, "p0": 0.1, "p1": 0.1}, 20)
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
