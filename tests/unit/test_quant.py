"""Quantisation: scales, rounding and bounds keep what they promise, by brute force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snnstack.backends.mcu import NUMERICS
from snnstack.errors import ModelError
from snnstack.fixedpoint import decay
from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif, size, source_size
from snnstack.quant.bounds import input_bounds, low_pass_bound, max_counts
from snnstack.quant.calibration import assumed, measured
from snnstack.quant.quantise import quantise
from snnstack.quant.rounding import round_together
from snnstack.quant.scales import Weights, search
from snnstack.reference import run_steps
from snnstack.reference.synapses import synaptic_input
from tests.conformance.networks import EXAMPLES, events, spiking_graphs, steps_of

seeds = st.integers(0, 2**20)


def cost(error: Any, mean: Any, variance: Any) -> Any:
    """Expected squared error of every row's input, sources independent."""
    return (variance * error**2).sum(axis=-1) + (mean * error).sum(axis=-1) ** 2


def activity(random: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    mean = random.random(shape)
    return mean, mean * (1 - mean) + 1e-3


@given(seeds, st.integers(1, 5), st.integers(1, 30), st.sampled_from([1.0, 0.1, 5.0]))
def test_a_searched_scale_never_costs_more_than_the_largest_weight_s(
    seed: int, groups: int, count: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    value = random.standard_t(2, (groups, count)) * spread
    mean, variance = activity(random, value.shape)
    group = np.repeat(np.arange(groups), count)
    flat = Weights(value.ravel(), group, mean.ravel(), variance.ravel())
    found = search(flat, groups, NUMERICS)[:, None]
    plain = 127 / np.abs(value).max(axis=1, keepdims=True)

    def of(scale: Any) -> Any:
        error = np.clip(np.rint(value * scale), -127, 127) / scale - value
        return cost(error, mean, variance)

    assert (of(found) <= of(plain) * (1 + 1e-9) + 1e-15).all()


def test_a_search_gives_up_an_outlier_only_where_that_pays() -> None:
    value = np.array([1.0, *np.full(400, 0.004)])
    zero = np.zeros(len(value))
    busy = Weights(value, zero.astype(int), zero, np.ones(len(value)))
    assert search(busy, 1, NUMERICS)[0] >= 126
    silent = replace(busy, variance=np.array([1e-9, *np.ones(400)]))
    assert search(silent, 1, NUMERICS)[0] > 150


def test_groups_without_weights_have_no_scale() -> None:
    weights = Weights(np.array([0.0, 1.0]), np.array([0, 1]), np.ones(2), np.ones(2))
    found = search(weights, 3, NUMERICS)
    assert np.isnan(found).tolist() == [True, False, True]


@given(seeds, st.integers(1, 4), st.integers(1, 40))
def test_rounding_together_never_costs_more_than_rounding_alone(
    seed: int, rows: int, columns: int
) -> None:
    random = np.random.default_rng(seed)
    real = random.uniform(-130, 130, (rows, columns))
    mean, variance = activity(random, real.shape)
    together = round_together(real, mean, variance, -127, 127)
    alone = np.clip(np.rint(real), -127, 127)
    assert np.abs(together).max() <= 127
    most = cost(alone - real, mean, variance) + 1e-9
    assert (cost(together - real, mean, variance) <= most).all()


@settings(max_examples=60)
@given(spiking_graphs(), seeds)
def test_bounds_hold_for_every_input(graph: Any, seed: int) -> None:
    """Of random, full and worst-case spikes; the sums of all negative and positive parts too."""
    steps = steps_of(graph)
    random = np.random.default_rng(seed)
    counts = max_counts(steps.inputs)
    for population in steps.populations:
        into = tuple(_integer(p, random) for p in steps.into(population.name))
        assume(into)
        bounds = input_bounds(into, population.n, counts)
        for rate in (0.1, 0.5, 1.0):
            total = np.zeros((4, population.n), dtype=np.int64)
            for projection in into:
                n = _sources(projection)
                most = counts.get(projection.source, (0, 1))[1]
                spikes = (random.random((4, n)) < rate) * random.integers(1, most + 1, (4, n))
                total += synaptic_input(projection, spikes, population.n)
            assert (total <= bounds.high).all()
            assert (total >= bounds.low).all()
            assert np.abs(total).max(initial=0) <= bounds.magnitude


def _integer(projection: Projection, random: Any) -> Projection:
    weight = random.integers(-127, 128, projection.synapses.weight.shape)
    return replace(projection, synapses=replace(projection.synapses, weight=weight))


def _sources(projection: Projection) -> int:
    pool = projection.pool
    return source_size(projection) if pool is None else size(pool.in_shape)


@given(seeds)
def test_bounds_of_dense_synapses_are_reached(seed: int) -> None:
    weight = np.random.default_rng(seed).integers(-127, 128, (3, 7))
    bounds = input_bounds((Projection("x", "n", Dense(weight)),), 3, {"x": (0, 255)})
    for neuron in range(3):
        assert bounds.high[neuron] == (weight[neuron] @ np.where(weight[neuron] > 0, 255, 0))
        assert bounds.low[neuron] == (weight[neuron] @ np.where(weight[neuron] < 0, 255, 0))


@given(seeds, st.integers(-99, 0), st.integers(1, 99))
def test_bounds_of_values_are_reached(seed: int, least: int, most: int) -> None:
    weight = np.random.default_rng(seed).integers(-127, 128, (3, 7))
    bounds = input_bounds((Projection("x", "n", Dense(weight)),), 3, {"x": (least, most)})
    for row, low, high in zip(weight, bounds.low, bounds.high, strict=True):
        assert high == (row @ np.where(row > 0, most, least))
        assert low == (row @ np.where(row < 0, most, least))


@given(seeds, st.integers(0, 2**16 - 1), st.integers(0, 2**20))
def test_a_low_pass_stays_inside_its_bound(seed: int, factor: int, magnitude: int) -> None:
    random = np.random.default_rng(seed)
    factors = np.array([factor])
    bound = low_pass_bound(float(magnitude), factors, 2**16)
    for drive in (magnitude, -magnitude, None):
        state = np.zeros(1, dtype=np.int64)
        for _ in range(200):
            x = random.integers(-magnitude, magnitude + 1) if drive is None else drive
            state = decay(state, factors, 16, "floor") + x
            assert abs(int(state[0])) <= bound


def test_a_perfect_integrator_has_no_bound() -> None:
    assert low_pass_bound(1.0, np.array([0, 2**16]), 2**16) == float("inf")
    assert low_pass_bound(1.0, np.zeros(0), 2**16) == 0.0


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("granularity", ["neuron", "population"])
def test_integers_stand_for_the_model_s_values(name: str, granularity: Any) -> None:
    steps = steps_of(EXAMPLES[name]())
    spikes = events(steps.inputs[0])
    calibration = measured(steps, spikes, run_steps(steps, spikes))
    network = quantise(steps, NUMERICS, calibration, granularity)
    for real, population in zip(steps.populations, network.populations, strict=True):
        np.testing.assert_allclose(population.alpha / 2**16, real.alpha, atol=2**-17)
        np.testing.assert_allclose(population.v_reset / population.scale, real.v_reset,
                                   atol=0.5 / population.scale.min())  # fmt: skip
        if real.threshold is not None:
            assert (np.abs(population.threshold - real.threshold * population.scale) <= 0.5).all()
        if granularity == "population":
            assert np.ptp(population.scale) == 0
        for before, after in zip(steps.into(real.name), network.into(real.name), strict=True):
            weight, integer = before.synapses.weight, after.synapses.weight
            assert np.abs(integer).max() <= 127
            assert integer.dtype == np.int64
            assert (np.sign(integer) * np.sign(weight) >= 0).all()


def one_layer(weight: Any, threshold: float, kind: Any = "count") -> StepGraph:
    """Input "x" to a population "n" that leaks by half a step."""
    n = len(weight)
    one = np.ones(n)
    population = lif("n", (n,), one / 2, None, one, one, 0 * one, 0 * one, threshold * one, 0 * one)
    port = StepInput("x", (weight.shape[1],), kind)
    projection = Projection("x", "n", Dense(np.asarray(weight, dtype=np.float64)))
    return StepGraph((port,), (population,), (projection,), ("n",), 1e-3)


def test_input_beyond_the_arithmetic_is_named_with_its_reach() -> None:
    with pytest.raises(ModelError) as told:
        quantise(one_layer(np.ones((1, 20_000)), 1.0), NUMERICS, granularity="population")
    (problem,) = told.value.problems
    assert problem.where == "n"
    reach = int(problem.what.split()[6].rstrip(","))
    assert reach > 2**29
    assert str(problem) == (
        f"n: input of one step can reach {reach}, above the limit {2**29} "
        "(split the layer or declare binary input)"
    )
    quantise(one_layer(np.ones((1, 20_000)), 1.0, "binary"), NUMERICS)


def test_thresholds_below_one_unit_are_counted() -> None:
    with pytest.raises(ModelError) as told:
        quantise(one_layer(np.ones((3, 4)), 1e-9), NUMERICS)
    assert str(told.value) == (
        "n: 3 thresholds round to less than 1 "
        "(the weights are too large for the threshold: rescale the layer)"
    )


def test_all_populations_that_cannot_be_represented_are_told_at_once() -> None:
    first = one_layer(np.ones((3, 4)), 1e-9)
    second = replace(first.populations[0], name="m", shape=(2,)).with_lif(**{
        key: np.full(2, getattr(first.populations[0], key)[0])
        for key in ("alpha", "gain_in", "gain", "bias", "leak", "threshold", "v_reset")
    })  # fmt: skip
    graph = first.with_(
        populations=(*first.populations, second),
        projections=(*first.projections, Projection("n", "m", Dense(np.ones((2, 3))))),
        outputs=("m",),
    )
    with pytest.raises(ModelError) as told:
        quantise(graph, NUMERICS)
    assert [problem.where for problem in told.value.problems] == ["n", "m"]


def test_without_data_every_source_is_taken_as_equally_busy() -> None:
    steps = steps_of(EXAMPLES["dense"]())
    found = assumed(steps)
    assert found.samples == 0
    assert {float(a.mean.min()) for a in found.activity.values()} == {0.1}
    assert quantise(steps, NUMERICS).settings["calibrated_on"] == 0


def test_measured_activity_is_mean_and_variance_per_step() -> None:
    steps = steps_of(EXAMPLES["dense"]())
    spikes = events(steps.inputs[0])
    found = measured(steps, spikes, run_steps(steps, spikes))
    dense = spikes.dense().reshape(-1, spikes.n).astype(float)
    np.testing.assert_allclose(found.activity["x"].mean, dense.mean(axis=0))
    np.testing.assert_allclose(found.activity["x"].variance, dense.var(axis=0), atol=1e-12)
    assert found.samples == spikes.batch
