"""Delays beyond 62 steps: relays pass spikes on, to the step, and are counted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snnstack.backends.loihi import emit, load, quantise, reference, utilization
from snnstack.board import load_board
from snnstack.compilers.loihi import compile
from snnstack.emulators.loihi import emulate
from snnstack.errors import DataError
from snnstack.ir.step import (
    Conv,
    Dense,
    Pool,
    Population,
    Projection,
    Sparse,
    StepGraph,
    StepInput,
    Synapses,
    lif,
)
from snnstack.reference import run_quantized
from snnstack.report.readout import aligned
from snnstack.trace import Spikes

BOARDS = {"loihi1": load_board("loihi1"), "oheo-gulch": load_board("oheo-gulch")}
RNG = np.random.default_rng


def neurons(name: str, shape: tuple[int, ...], beta: float | None = None) -> Population:
    n = int(np.prod(shape))
    one = np.ones(n)
    return lif(
        name=name,
        shape=shape,
        alpha=one * 0.8,
        beta=None if beta is None else one * beta,
        gain_in=one,
        gain=one,
        bias=one * (0.05 if beta is None else 0.02),
        leak=one * 0,
        threshold=one,
        v_reset=one * 0,
    )


def network(delay: int, events: Any = "binary") -> StepGraph:
    """Dense, sparse and self-feeding synapses, each of them `delay` steps late or 1 more."""
    rng = RNG(delay)
    rows = rng.random((6, 5)) < 0.4
    rows[:, 0] = True
    rows[2] = False
    indptr = np.concatenate([[0], np.cumsum(rows.sum(axis=1))])
    sparse: Synapses = Sparse(indptr, np.nonzero(rows)[1].astype(np.int32), rng.random(rows.sum()))
    into = (
        Projection("x", "a", sparse, delay),
        Projection("x", "a", Dense(rng.normal(0.2, 0.4, (5, 6)))),
        Projection("a", "b", Dense(rng.normal(0.3, 0.4, (4, 5))), delay + 1),
        Projection("b", "b", Dense(rng.normal(0.0, 0.3, (4, 4))), delay),
    )
    inputs = (StepInput("x", (6,), events),)
    return StepGraph(inputs, (neurons("a", (5,)), neurons("b", (4,), 0.5)), into, ("b",), 1e-3)


def equal(graph: StepGraph, board: Any, spikes: Spikes, calibration: Any = None) -> Any:
    integer = quantise(graph, board)
    if calibration is not None:
        counts = {port.name: calibration for port in graph.inputs}
        integer = replace(integer, settings={**integer.settings, "input_counts": counts})
    program = load(emit(compile(integer, board)))
    trace = emulate(program, spikes, probes=program.variables)
    by_definition = reference(program, None, spikes, program.variables)
    for key, values in trace.states.items():
        np.testing.assert_array_equal(values, by_definition.states[key], err_msg=str(key))
    found, expected = aligned(trace, spikes.steps), run_quantized(integer, spikes)
    for name, fired in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)
        assert fired.total > 0
    return program


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("delay", [62, 63, 64, 100, 126, 127, 300])
def test_spikes_arrive_in_the_step_of_the_integer_network(delay: int, board: str) -> None:
    data = RNG(1).random((2, delay + 90, 6)) < 0.3
    program = equal(network(delay), BOARDS[board], Spikes.from_dense(data))
    relays = [p for p in program.network.populations if ".late" in p.name]
    longest = max(c.delay for c in program.network.connections)
    assert longest <= 62
    counted = sum(p.n for p in relays)
    assert sum(program.settings.get("relays", {}).values()) == counted
    assert sum(sum(core.neurons.values()) for core in program.cores) == 9 + counted + 1
    if delay >= 64:
        plain = compile(quantise(network(1), BOARDS[board]), BOARDS[board])
        memory = "synaptic_memory_bytes_of_fullest_core"
        assert utilization(program)[memory][0] > utilization(plain)[memory][0]


def test_only_sources_that_send_late_have_relays() -> None:
    program = compile(quantise(network(100), BOARDS["loihi1"]), BOARDS["loihi1"])
    assert program.network.population("x.late63").n == 5  # input 2 has no synapse


def test_maps_and_pools_are_late_as_well() -> None:
    rng = RNG(4)
    conv = Conv(rng.normal(0.2, 0.4, (3, 2, 2, 2)), (2, 3, 3), (3, 2, 2), (1, 1), (0, 0), (1, 1), 1)
    pool = Pool((2, 6, 6), (2, 3, 3), (2, 2), (2, 2), (0, 0))
    into = (
        Projection("x", "a", conv, 70, pool),
        Projection("a", "b", Dense(rng.normal(0.2, 0.4, (4, 12))), 130),
    )
    inputs = (StepInput("x", (2, 6, 6), "binary"),)
    late = StepGraph(inputs, (neurons("a", (3, 2, 2)), neurons("b", (4,))), into, ("b",), 1e-3)
    data = RNG(2).random((2, 260, 2, 6, 6)) < 0.1
    equal(late, BOARDS["oheo-gulch"], Spikes.from_dense(data))


def test_several_spikes_of_an_element_pass_together() -> None:
    data = RNG(3).integers(0, 4, (2, 200, 6))
    program = equal(network(100, "count"), BOARDS["oheo-gulch"], Spikes.from_dense(data), 3)
    assert program.settings["relays"]["x"] == 5 * 3
    with pytest.raises(DataError) as error:
        emulate(program, Spikes.from_dense(data + 1))
    assert str(error.value).startswith(
        "x: an element has 4 spikes in one step, its relays pass 3 on "
        "(compile with --calibrate DATA that holds as many)"
    )


def test_a_deep_current_gets_its_constant_through_relays() -> None:
    """A chain of 70 populations: its last constant is more than 62 steps late."""
    chain = [neurons(f"p{k}", (1,), 0.5 if k == 69 else None) for k in range(70)]
    names = ["x", *(p.name for p in chain)]
    into = [Projection(a, b, Dense(np.full((1, 1), 1.1))) for a, b in itertools.pairwise(names)]
    inputs = (StepInput("x", (1,), "binary"),)
    deep = StepGraph(inputs, tuple(chain), tuple(into), ("p69",), 1e-3)
    program = equal(deep, BOARDS["loihi1"], Spikes.from_dense(np.ones((1, 30, 1), np.uint8)))
    assert program.settings["relays"] == {"constant": 1}
