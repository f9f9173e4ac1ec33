"""Currents that are only not expected to wrap are watched while they are computed."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import build
from snnstack.backends.loihi.wraps import KEY
from snnstack.errors import ModelError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.matrix import matrix
from snnstack.ir.nodes import CubaLIF, Input, Linear, Output
from snnstack.measure import Choices, Subject, measure_program
from snnstack.notices import LOGGER
from snnstack.samples import as_stream

INPUTS = 300


def cuba(n: int) -> CubaLIF:
    one = np.ones(n)
    return CubaLIF(tau_mem=one * 20e-3, tau_syn=one * 50e-3, r=one * 20, w_in=one,
                   v_leak=one * 0, v_threshold=one, v_reset=one * 0)  # fmt: skip


def network() -> Graph:
    """Strong weights of both signs, which the proof would leave no room for the threshold."""
    rng = np.random.default_rng(0)
    nodes: dict[str, Any] = {
        "x": Input((INPUTS,), "binary"),
        "w": Linear(rng.uniform(-5, 20, (30, INPUTS))),
        "p": cuba(30),
        "w2": Linear(rng.uniform(-60, 120, (3, 30))),
        "q": cuba(3),
        "out": Output((3,)),
    }
    names = ["x", "w", "p", "w2", "q", "out"]
    edges = tuple(Edge(a, b) for a, b in pairwise(names))
    return Graph(nodes, edges, 1e-3, "euler")


def samples(share: float, batch: int = 4) -> dict[str, Any]:
    x = np.random.default_rng(1).random((batch, 60, INPUTS)) < share
    return {"x": x.astype(np.uint8), "y": np.zeros(batch, np.int64)}


def counted(program: Any, name: str, trace: Any, given: Any) -> list[int]:
    """By the definition, in integers of any size: sums outside of -2^23..2^23 - 1."""
    net, u = program.network, 0
    batch, length = given.shape[0], trace.states[name, "i"].shape[1]
    sent = {k: s.dense().reshape(batch, length, -1) for k, s in trace.spikes.items()}
    sent["x"] = np.pad(given, ((0, 0), (0, length - given.shape[1]), (0, 0)))
    found = np.zeros(batch, dtype=int)
    for t in range(length):
        total = np.zeros((batch, net.population(name).n), dtype=np.int64)
        for c in net.into(name):
            weight = matrix(c.synapses, net.population(name).n).toarray().astype(np.int64)
            if t > c.delay:
                total += sent[c.source][:, t - 1 - c.delay].astype(np.int64) @ weight.T << 6
        kept = np.asarray(u) * (4096 - net.population(name).i_decay)
        total += np.sign(kept) * (np.abs(kept) >> 12)
        outside = (total < -(2**23)) | (total > 2**23 - 1)
        found += outside.sum(axis=1)
        u = (total + 2**23) % 2**24 - 2**23
        np.testing.assert_array_equal(u, trace.states[name, "i"][:, t])
    return found.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_wraps_are_those_of_integers_without_end(share: float) -> None:
    program = build(network(), "oheo-gulch", samples(0.01)).program
    registers = program.settings["registers"]
    marked = [n for n, r in registers.items() if r["current_wraps"] == "not expected"]
    assert "p" in marked
    given = samples(share)
    trace = snnstack.emulate(program, given, probes=[(name, "i") for name in marked])
    for name in marked:
        found = counted(program, name, trace, given["x"])
        assert trace.counts[name].other[KEY].tolist() == found
        assert (sum(found) > 0) == (share > 0.1) or name != "p"


def test_it_is_said_with_numbers_and_strict_refuses(caplog: pytest.LogCaptureFixture) -> None:
    quiet, busy = samples(0.01), samples(0.5)
    program = build(network(), "oheo-gulch", quiet).program
    with caplog.at_level(logging.WARNING, LOGGER.name):
        LOGGER.addHandler(caplog.handler)
        trace = snnstack.emulate(program, busy)
        LOGGER.removeHandler(caplog.handler)
    wrapped = int(trace.counts["p"].other[KEY].sum())
    of = 4 * 30 * (60 + program.drain)
    text = f"p: current: {wrapped:,} of {of:,} updates wrapped at 24 bits"
    assert any(message.startswith(text) for message in caplog.messages)
    assert trace.states == {}
    (row,) = snnstack.bench(
        network(), "oheo-gulch", busy, calibrate=quiet, verify_samples=0, figures=False
    )
    assert any(note.startswith(text) for note in row.notes)
    built = build(network(), "oheo-gulch", quiet)
    stream = as_stream(busy, built.program.port)
    with pytest.raises(ModelError, match="updates wrapped at 24 bits"):
        measure_program(Subject.of(built), stream, Choices(verify_samples=0, strict=True))


def test_a_proven_current_is_not_watched() -> None:
    program = build(network(), "oheo-gulch", samples(0.9)).program
    trace = snnstack.emulate(program, samples(0.9))
    for name, register in program.settings["registers"].items():
        watched = register["current_wraps"] == "not expected"
        assert (KEY in trace.counts[name].other) == watched
