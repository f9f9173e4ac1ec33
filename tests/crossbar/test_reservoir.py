"""Reservoirs: weights that a chip was born with, seen through its wires and converters."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from snnstack import api
from snnstack.backends.crossbar.circuit import Wires
from snnstack.backends.crossbar.device import load_device, random_cells
from snnstack.backends.crossbar.reservoir import (
    draw_reservoir,
    fit_readout,
    forming_std,
    reservoir_graph,
    run_reservoir,
    software_reservoir,
    spike_counts,
)
from snnstack.engine import run_step_graph
from snnstack.errors import DataError, TargetError
from snnstack.loading import discretised
from snnstack.notices import LOGGER
from snnstack.trace import Spikes

DEVICE = load_device("random-forming")


def spikes(seed: int = 0, batch: int = 12, steps: int = 20, inputs: int = 40) -> Any:
    return np.random.default_rng(seed).random((batch, steps, inputs)) < 0.25


def test_weights_are_the_differences_of_a_chips_cells() -> None:
    reservoir = draw_reservoir(DEVICE, 40, 30, seed=5)
    cells = random_cells(DEVICE, (70, 60), 5)
    difference = cells[:, 0::2] - cells[:, 1::2]
    np.testing.assert_allclose(reservoir.weights * reservoir.unit, difference, rtol=1e-12)
    assert reservoir.weights.std() == pytest.approx(0.4, rel=0.05)
    other = draw_reservoir(DEVICE, 40, 30, seed=6)
    assert not np.array_equal(other.weights, reservoir.weights) and other.unit == reservoir.unit


def test_the_spread_of_a_formed_cell_follows_from_the_law() -> None:
    for volt in (3.3, 3.433, 3.6):
        cells = random_cells(DEVICE, (300, 300), 1, volt=volt)
        assert cells.std() == pytest.approx(forming_std(DEVICE, volt), rel=0.02)


def test_currents_without_wires_are_products() -> None:
    driven = np.random.default_rng(1).random((6, 70)) < 0.3
    for reservoir in (draw_reservoir(DEVICE, 40, 30, 1), software_reservoir(40, 30, 1)):
        found = reservoir.summed(driven)
        np.testing.assert_allclose(found, driven @ reservoir.weights, rtol=1e-9, atol=1e-12)
    coarse = draw_reservoir(DEVICE, 40, 30, 1, lsb=0.5, bits=3).summed(driven)
    np.testing.assert_allclose(coarse / 0.5, np.rint(coarse / 0.5), atol=1e-12)
    assert np.abs(coarse).max() == 1.5


def test_wires_weaken_what_many_rows_bring() -> None:
    driven = np.ones((1, 70))
    ideal = draw_reservoir(DEVICE, 40, 30, 1)
    wired = draw_reservoir(DEVICE, 40, 30, 1, wires=Wires(col=20.0))
    plus = [np.abs(r.summed(driven)).sum() for r in (ideal, wired)]
    assert 0.5 * plus[0] < plus[1] < plus[0]


def test_neurons_follow_the_published_equation() -> None:
    reservoir, x = draw_reservoir(DEVICE, 40, 30, 2), spikes()
    w_in, w_rec = np.split(reservoir.weights, [40])
    counts = np.zeros((len(x), 30))
    for n, sample in enumerate(x):
        u, s = np.zeros(30), np.zeros(30)
        for now in sample:
            u = 0.9 * u * (1 - s) + now @ w_in + s @ w_rec
            s = (u > 5.0).astype(float)
            counts[n] += s
    assert counts.sum() > 100
    assert np.array_equal(spike_counts(reservoir, x), counts)


def test_a_reservoir_is_a_network_of_any_board() -> None:
    """Its graph makes the same spikes and classes, and compiles for a microcontroller."""
    reservoir, x = draw_reservoir(DEVICE, 40, 30, 3), spikes(3, batch=40)
    labels = np.arange(40) % 3
    counts = spike_counts(reservoir, x)
    readout = fit_readout(counts, labels, penalty=1.0)
    graph = reservoir_graph(reservoir, readout, steps=20)
    trace = run_step_graph(discretised(graph), Spikes.from_dense(x), probes=(("sum", "v"),))
    assert np.array_equal(trace.spikes["reservoir"].dense().sum(axis=1), counts)
    found = trace.states["sum", "v"].sum(axis=1)
    np.testing.assert_allclose(found, counts @ readout.weight.T + readout.bias, atol=1e-9)
    assert np.array_equal(found.argmax(axis=1), readout.classes(counts))
    program = api.build(graph, "nucleo-l4r5zi", {"x": x}).program
    assert api.emulate(program, Spikes.from_dense(x)).spikes["reservoir"].dense().any()


def test_the_readout_learns_what_counts_tell() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 4, 300)
    counts = rng.poisson(3, (300, 20)).astype(float)
    counts[np.arange(300), labels] += 12
    counts[:, 19] = 7
    readout = fit_readout(counts[:200], labels[:200])
    assert (readout.classes(counts[200:]) == labels[200:]).mean() > 0.95
    assert np.isfinite(readout.weight).all()


def test_same_chip_same_spikes() -> None:
    x = spikes(7)
    one, again = (spike_counts(draw_reservoir(DEVICE, 40, 30, 9), x) for _ in range(2))
    assert np.array_equal(one, again)


def test_what_does_not_fit_is_said() -> None:
    reservoir = draw_reservoir(DEVICE, 40, 30, 1)
    with pytest.raises(DataError) as caught:
        spike_counts(reservoir, spikes(inputs=39))
    wanted = "spikes of a reservoir: shape (12, 20, 39), expected [batch, steps, 40]"
    assert str(caught.value) == wanted
    with pytest.raises(TargetError) as refused:
        draw_reservoir(load_device("pcm"), 4, 3, 1)
    wanted = "is programmed to targets; it does not draw conductances (use program_cells)"
    assert str(refused.value) == f"device pcm: {wanted}"


def test_conversions_that_clip_are_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Against the sums of a converter without loss."""
    given = spikes(batch=3, steps=5)
    coarse = draw_reservoir(DEVICE, 40, 30, 1, lsb=0.25, bits=3)
    fine = draw_reservoir(DEVICE, 40, 30, 1)
    driven = np.concatenate([given[:, 0], np.zeros((3, 30))], axis=1)
    beyond = int(np.sum(np.abs(np.rint(fine.summed(driven) / 0.25)) > 3))
    assert 0 < beyond < 90
    assert coarse.converted(driven)[1] == beyond
    run = run_reservoir(coarse, given)
    assert run.clipped.conversions == 3 * 5 * 30 and run.clipped.clipped >= beyond
    with caplog.at_level(logging.WARNING, LOGGER.name):
        LOGGER.addHandler(caplog.handler)
        spike_counts(coarse, given)
        coarse.summed(driven)
        spike_counts(fine, given)
        LOGGER.removeHandler(caplog.handler)
    numbers = f"{run.clipped.clipped} of 450 conversions clipped ({100 * run.clipped.share:.3g} %)"
    first, second = dict.fromkeys(caplog.messages)
    assert first == (f"reservoir: {numbers} (more bits than 3, or a larger lsb than 0.25)")
    assert second.startswith(f"reservoir: {beyond} of 90 conversions clipped")
