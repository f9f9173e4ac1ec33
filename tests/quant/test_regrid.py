"""Other grids for a population's weights: moments of its input, roundings, scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snnstack.ir.matrix import from_matrix
from snnstack.ir.nodes import LIF, Linear
from snnstack.ir.step import Population, StepGraph
from snnstack.quant.compensate import compensated, error, ordered, polished
from snnstack.quant.numerics import Numerics
from snnstack.quant.quantise import quantise
from snnstack.quant.regrid import blocks_of, grid_of, held, put, regridded, with_weights
from snnstack.reference import run_steps
from snnstack.reference.synapses import synaptic_input
from snnstack.target import backend
from tests.conformance.networks import EXAMPLES, chain, events, steps_of


def numerics(bits: int) -> Numerics:
    found = backend("mcu").numerics(bits)  # type: ignore[attr-defined]
    assert isinstance(found, Numerics)
    return found


def sources_of(steps: StepGraph) -> dict[str, Any]:
    spikes = events(steps.inputs[0], batch=4, steps=30)
    return {steps.inputs[0].name: spikes, **run_steps(steps, spikes).spikes}


def arriving(steps: StepGraph, p: Population, numbers: set[int], sources: Any) -> Any:
    """[sample, step, neuron]: what some projections bring, through the neuron's decays."""
    first = sources[steps.inputs[0].name]
    x = np.zeros((first.batch, first.steps, p.n))
    for k in numbers:
        q = steps.projections[k]
        sent = sources[q.source].dense().reshape(first.batch, first.steps, -1).astype(float)
        for t in range(q.delay, first.steps):
            x[:, t] += synaptic_input(q, sent[:, t - q.delay], p.n)
    for factor in [p.alpha] if p.beta is None else [p.beta, p.alpha]:
        for t in range(1, first.steps):
            x[:, t] += factor * x[:, t - 1]
    return x


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_moments_give_the_mean_square_of_what_arrives(name: str) -> None:
    steps = steps_of(EXAMPLES[name]())
    sources = sources_of(steps)
    seen = 0
    for p in steps.populations:
        blocks = blocks_of(steps, p, sources)
        parts = {tuple(np.unique(b.part)) for b in blocks}
        for numbers in parts:
            square = (arriving(steps, p, set(numbers), sources) ** 2).mean(axis=(0, 1))
            for b in (b for b in blocks if tuple(np.unique(b.part)) == numbers):
                found = ((b.real @ b.moments) * b.real).sum(axis=1)
                wanted = square[b.neuron[:, None] + np.arange(b.span)].mean(axis=1)
                assert np.allclose(found, wanted, rtol=1e-9)
                seen += len(found)
    assert seen == {"dense": 19, "conv": 15}.get(name, seen) > 0


def test_polished_roundings_have_no_larger_error_than_what_they_begin_with() -> None:
    rng = np.random.default_rng(3)
    z = rng.random((300, 24)) @ rng.normal(size=(24, 24)) * 0.3 + 1.0
    real, moments = rng.normal(size=(9, 24)), z.T @ z / len(z)
    real[:, 5] = 0.0

    def nearest(values: Any, column: int) -> Any:
        return np.clip(np.rint(values / 0.4), -7, 7) * 0.4

    for begin in (nearest(real, 0), compensated(real, ordered(moments), nearest)):
        found = polished(real, begin, moments, nearest)
        assert np.allclose(found, nearest(found, 0))
        assert not found[:, 5].any()
        assert (error(real, found, moments) <= error(real, begin, moments) + 1e-12).all()
    assert error(real, found, moments).sum() < error(real, nearest(real, 0), moments).sum()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("bits", [4, 1])
def test_weights_on_the_grid_become_the_same_integers_again(name: str, bits: int) -> None:
    steps = steps_of(EXAMPLES[name]())
    numbers = numerics(bits)
    network = quantise(steps, numbers)
    again = quantise(held(steps, network), numbers, like=network)
    for old, new in zip(network.projections, again.projections, strict=True):
        assert np.array_equal(old.synapses.weight, new.synapses.weight)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("bits", [4, 1])
def test_rounded_weights_are_ones_the_target_has(name: str, bits: int) -> None:
    steps = steps_of(EXAMPLES[name]())
    numbers, sources = numerics(bits), sources_of(steps)
    network = quantise(steps, numbers)
    graph = steps
    for p in steps.populations:
        grid = grid_of(steps, network, p.name)
        found = [(b, grid.round(b)) for b in blocks_of(steps, p, sources)]
        graph = with_weights(graph, put(graph, found))
    exact = held(graph, quantise(graph, numbers, like=network))
    for asked, got in zip(graph.projections, exact.projections, strict=True):
        assert np.allclose(asked.synapses.weight, got.synapses.weight)


def test_a_list_of_synapses_is_rounded_as_the_full_matrix_with_its_zeros() -> None:
    rng = np.random.default_rng(1)
    weight = np.where(rng.random((20, 30)) < 0.3, rng.normal(size=(20, 30)), 0.0)
    ones = np.ones(20)
    neuron = LIF(tau=8e-3 * ones, r=8.0 * ones, v_leak=0 * ones, v_reset=0 * ones,
                 v_threshold=ones)  # fmt: skip
    full = steps_of(chain(Linear(weight), neuron, shape=(30,)))
    import scipy.sparse as sp

    synapses = from_matrix(sp.csr_matrix(full.projections[0].synapses.weight))
    lists = full.with_(projections=(replace(full.projections[0], synapses=synapses),))
    weights = []
    for steps in (full, lists):
        (block,) = blocks_of(steps, steps.populations[0], sources_of(full))
        grid = grid_of(full, quantise(full, numerics(4)), full.populations[0].name)
        (made,) = put(steps, [(block, grid.round(block))]).values()
        weights.append(made.weight)
    dense, some = weights
    assert np.array_equal(dense.T[np.nonzero(dense.T)], some[some != 0])


def test_every_neuron_gets_the_scale_with_its_least_error() -> None:
    steps = steps_of(EXAMPLES["dense"]())
    p = steps.populations[0]
    (block,) = blocks_of(steps, p, sources_of(steps))
    grid = grid_of(steps, quantise(steps, numerics(4)), p.name)
    factors = (0.7, 1.0, 1.4)

    def found(alike: Any) -> tuple[Any, Any]:
        """(factors of the first choice, error of every neuron by choice)."""
        options = regridded(steps, [block], grid, factors, alike)
        costs = [error(block.real, w[0].weight, block.moments) for _, w in options]
        assert [set(f) for f, _ in options[1:]] == [{f} for f in factors]
        return options[0][0], np.array(costs)

    _, costs = found(np.arange(p.n))
    assert np.allclose(costs[0], costs[1:].min(axis=0))
    assert len(set(costs[1:].argmin(axis=0))) > 1
    factor, costs = found(np.zeros(p.n, dtype=np.int64))
    assert len(set(factor)) == 1
    assert np.isclose(costs[0].sum(), costs[1:].sum(axis=1).min())
