"""Laws of the whole line on random networks: passes keep the meaning, emulators the integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snnstack.backends.mcu import NUMERICS
from snnstack.board import load_board
from snnstack.compilers.mcu import compile
from snnstack.emulators.mcu import emulate
from snnstack.engine import run_step_graph
from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir, to_nir
from snnstack.ir.check import problems
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Linear
from snnstack.passes.discretise import discretise
from snnstack.passes.fold_gains import fold_gains
from snnstack.passes.inline_subgraphs import inline_subgraphs
from snnstack.passes.split_avgpool import split_avgpool
from snnstack.quant.calibration import measured
from snnstack.quant.quantise import quantise
from snnstack.reference import run_quantized, run_steps
from snnstack.report.equality import compare
from snnstack.trace import Trace
from tests.conformance.networks import (
    EXAMPLES,
    chain,
    equal,
    events,
    probes_of,
    spiking_graphs,
    steps_of,
)
from tests.conformance.stepper import run_graph
from tests.strategies import graphs

BOARD = load_board("nucleo-h7a3zi-q")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
seeds = st.integers(0, 99)


def stepped(graph: Graph) -> Any:
    return discretise(split_avgpool(inline_subgraphs(graph)))


def close(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def assert_same_float_run(one: Trace, other: Trace) -> None:
    for name, fired in one.spikes.items():
        np.testing.assert_array_equal(fired.dense(), other.spikes[name].dense(), err_msg=name)
    for probe, values in one.states.items():
        close(values, other.states[probe])


def nested_names(graph: Graph, prefix: str = "") -> list[tuple[str, Any]]:
    """(flat name, path of keys) of every leaf."""
    found: list[tuple[str, Any]] = []
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            found += [(f"{prefix}{name}.{n}", (name, *p)) for n, p in nested_names(node)]
        else:
            found.append((f"{prefix}{name}", (name,)))
    return found


def assert_equals_node_by_node(graph: Graph, seed: int) -> bool:
    """`discretise` after all graph passes against NIR's equations, node by node.

    False where rounding decides a spike, so that nothing can be said.
    """
    steps = stepped(graph)
    spikes = events(steps.inputs[0], seed, batch=2, steps=8)
    truth = run_graph(graph, spikes.dense())
    if truth.margin < 1e-9:
        return False
    trace = run_steps(steps, spikes, [(p.name, "v") for p in steps.populations])
    where = dict(nested_names(graph))
    for population in steps.populations:
        at = truth
        *outer, name = where[population.name]
        for key in outer:
            at = at.parts[key]
        v = np.stack([x.numpy().reshape(2, -1) for x in at.v[name]], axis=1)
        close(trace.states[population.name, "v"], v)
        if population.threshold is not None:
            sent = np.stack([x.numpy().reshape(2, -1) for x in at.sent[name]], axis=1)
            dense = trace.spikes[population.name].dense().reshape(2, 8, -1)
            np.testing.assert_array_equal(dense, sent, err_msg=population.name)
    return True


@settings(max_examples=60, suppress_health_check=SLOW)
@given(graphs(settled=True, with_metadata=False), seeds)
def test_graph_passes_and_discretise_keep_every_node_s_equation(graph: Graph, seed: int) -> None:
    assume(assert_equals_node_by_node(graph, seed))


@settings(max_examples=60, suppress_health_check=SLOW)
@given(spiking_graphs(), seeds)
def test_skips_and_feedback_keep_their_steps(graph: Graph, seed: int) -> None:
    assume(assert_equals_node_by_node(graph, seed))


@settings(max_examples=40, suppress_health_check=SLOW)
@given(graphs(settled=True, with_metadata=False), seeds)
def test_folded_gains_change_no_spike(graph: Graph, seed: int) -> None:
    steps = stepped(graph)
    spikes = events(steps.inputs[0], seed, batch=2, steps=8)
    probes = [(p.name, "v") for p in steps.populations]
    assume(run_graph(graph, spikes.dense()).margin > 1e-9)
    assert_same_float_run(
        run_steps(steps, spikes, probes), run_steps(fold_gains(steps), spikes, probes)
    )


@settings(max_examples=40, suppress_health_check=SLOW)
@given(graphs(settled=True, with_metadata=False))
def test_a_network_is_discretised_alike_after_a_round_trip_through_nir(graph: Graph) -> None:
    """In whatever order the edges come back."""
    again, before = stepped(from_nir(to_nir(graph))), stepped(graph)
    assert equal(again.with_(settings={}), before.with_(settings={}))


@settings(max_examples=60, suppress_health_check=SLOW)
@given(spiking_graphs(), seeds)
def test_random_networks_are_valid(graph: Graph, seed: int) -> None:
    """What the other tests draw from keeps every rule."""
    assert problems(graph) == []


@settings(max_examples=60, suppress_health_check=SLOW)
@given(spiking_graphs(), seeds)
def test_the_fast_float_run_equals_the_plain_one(graph: Graph, seed: int) -> None:
    steps = steps_of(graph)
    spikes = events(steps.inputs[0], seed, batch=2, steps=10)
    assume(run_graph(graph, spikes.dense()).margin > 1e-9)
    probes = probes_of(steps)
    assert_same_float_run(run_step_graph(steps, spikes, probes), run_steps(steps, spikes, probes))


@settings(max_examples=100, suppress_health_check=SLOW)
@given(spiking_graphs(), seeds, st.booleans(), st.sampled_from(["neuron", "population"]))
def test_the_emulator_equals_the_reference_from_graph_to_chip(
    graph: Graph, seed: int, calibrated: bool, granularity: Any
) -> None:
    steps = steps_of(graph)
    spikes = events(steps.inputs[0], seed, batch=3, steps=12)
    activity = measured(steps, spikes, run_steps(steps, spikes)) if calibrated else None
    try:
        network = quantise(steps, NUMERICS, activity, granularity)
    except ModelError:
        assume(False)
    probes = probes_of(network)
    trace = emulate(compile(network, BOARD), spikes, probes=probes)
    assert compare(trace, run_quantized(network, spikes, probes), "reference").differences == ()


@settings(max_examples=60, suppress_health_check=SLOW)
@given(spiking_graphs(), seeds)
def test_what_is_proven_not_to_saturate_needs_no_limit(graph: Graph, seed: int) -> None:
    steps = steps_of(graph)
    spikes = events(steps.inputs[0], seed, batch=2, steps=20)
    try:
        network = quantise(steps, NUMERICS)
    except ModelError:
        assume(False)
    layers = compile(network, BOARD).layers
    assume(not any(layer.saturate_v or layer.saturate_i for layer in layers))
    endless = replace(NUMERICS, current_max=2**60, state_max=2**60)
    probes = probes_of(network)
    limited = run_quantized(network, spikes, probes)
    free = run_quantized(network.with_(numerics=endless), spikes, probes)
    assert compare(limited, free, "unlimited").differences == ()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_right_in_floats(name: str) -> None:
    assert assert_equals_node_by_node(EXAMPLES[name](), 0)


def test_one_synapse_to_many_targets_is_not_one_to_one() -> None:
    """A delayed synapse from one element to the first of two keeps both targets."""
    delayed = Linear(np.array([[0.5], [2.0]]), np.array([[3], [1]]))
    graph = chain(Linear(np.ones((1, 4))), delayed, Linear(np.array([[1.0, 10.0]])), shape=(4,))
    assert assert_equals_node_by_node(graph, 0)
