"""Constant input begins with the network's input, however deep a population is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.loihi import quantise, reference
from snnstack.backends.loihi.registers import STATE_MAX
from snnstack.board import load_board
from snnstack.compilers.loihi import compile
from snnstack.compilers.loihi.lead import begin_late, initial_membrane
from snnstack.emulators.loihi import emulate
from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif
from snnstack.quant.network import QuantizedNetwork
from snnstack.reference import run_quantized
from snnstack.report.readout import aligned
from snnstack.trace import Spikes

BOARDS = {"loihi1": load_board("loihi1"), "oheo-gulch": load_board("oheo-gulch")}
RNG = np.random.default_rng


def decayed(v: Any, alpha: Any) -> Any:
    return np.sign(v) * ((np.abs(v) * alpha) >> 12)


def membrane(v: Any, bias: Any, alpha: Any, steps: int) -> tuple[Any, Any]:
    """(v after `steps`, the highest on the way), neurons at rest but for their bias."""
    highest = np.full(len(v), -STATE_MAX)
    for _ in range(steps):
        v = np.clip(decayed(v, alpha) + bias, -STATE_MAX, STATE_MAX)
        highest = np.maximum(highest, v)
    return v, highest


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 40])
def test_an_initial_membrane_ends_at_rest_without_a_spike(steps: int) -> None:
    rng, n = RNG(steps), 3000
    bias = rng.integers(-200_000, 200_001, n) // rng.choice([1, 10, 10_000], n)
    alpha = rng.choice([0, 1, 50, 2000, 3300, 4000, 4095, 4096], n)
    threshold = rng.integers(1, 6000, n) << 6
    v, fits = initial_membrane(bias, alpha, threshold, steps)
    end, highest = membrane(v, bias, alpha, steps)
    assert (decayed(end, alpha)[fits] == 0).all()
    assert (highest[fits] <= threshold[fits]).all()
    assert fits.sum() > n // 4


def test_where_none_is_found_there_is_none() -> None:
    """Small registers, every membrane tried."""
    rng = RNG(3)
    tried = np.arange(-20_000, 20_001)
    for _ in range(60):
        bias, alpha = int(rng.integers(-90, 91)), int(rng.integers(1500, 4097))
        threshold, steps = int(rng.integers(20, 200)), int(rng.integers(1, 5))
        end, highest = membrane(tried, bias, alpha, steps)
        good = (decayed(end, alpha) == 0) & (highest <= threshold)
        one = np.ones(1, dtype=np.int64)
        v, fits = initial_membrane(bias * one, alpha * one, threshold * one, steps)
        assert bool(fits[0]) == bool(good.any())
        if fits[0]:
            assert abs(v[0]) == np.abs(tried[good]).min()


def test_constants_through_synapses_are_the_bias_in_every_step() -> None:
    rng, n, steps = RNG(5), 400, 3
    bias = rng.integers(-200_000, 200_001, n)
    alpha, beta = rng.integers(0, 4097, n), np.where(np.arange(n) % 2, rng.integers(0, 4090, n), 0)
    made = begin_late(bias, alpha, beta, rng.integers(1, 3000, n) << 6, steps)
    u = np.zeros(n, dtype=np.int64)
    for t in range(300):
        u = decayed(u, beta) + ((made.every + (made.first if t == 0 else 0)) << 6)
        close = np.abs(u + made.bias - bias) <= np.where(beta, 4096 / (4096 - beta) + 100, 0)
        assert close[(made.every != 0) | (made.first != 0)].all()


def deep(seed: int, kind: str, depth: int = 4, n: int = 9, sign: float = 1.0) -> StepGraph:
    """A chain in which every population has constants of both signs and one feeds itself."""
    rng = RNG(seed)
    populations, projections = [], []
    for k in range(depth):
        alpha = {"if": 1.0, "fast": 0.3}.get(kind, 0.9) * np.ones(n)
        beta = 0.6 * np.ones(n) if kind == "cuba" else None
        populations.append(
            lif(
                name=f"p{k}",
                shape=(n,),
                alpha=alpha,
                beta=beta,
                gain_in=np.ones(n),
                gain=np.ones(n),
                bias=sign * rng.uniform(-0.5, 1.3, n),
                leak=rng.uniform(-0.03, 0.12, n) if kind == "cuba" else np.zeros(n),
                threshold=None if kind == "li" and k == depth - 1 else np.ones(n),
                v_reset=np.zeros(n),
                reset="subtract" if kind == "subtract" else "set",
                refractory=2 if kind == "refractory" else 0,
            )
        )
        source, size = (f"p{k - 1}", n) if k else ("x", 5)
        projections.append(
            Projection(source, f"p{k}", Dense(rng.normal(0.1, 0.4, (n, size))), 2 * (k == 2))
        )
    projections.append(Projection("p1", "p1", Dense(rng.normal(0, 0.2, (n, n))), 1))
    inputs = (StepInput("x", (5,), "binary"),)
    return StepGraph(inputs, tuple(populations), tuple(projections), ("p3",), 1e-3)


def spikes_for(seed: int, steps: int = 40) -> Spikes:
    return Spikes.from_dense((RNG(seed).random((3, steps, 5)) < 0.4).astype(np.uint8))


def equal_to_the_integer_network(network: QuantizedNetwork, board: Any, spikes: Spikes) -> Any:
    program = compile(network, board)
    probes = program.variables
    trace = emulate(program, spikes, probes=probes)
    by_definition = reference(program, network, spikes, probes)
    for name, fired in trace.spikes.items():
        np.testing.assert_array_equal(fired.dense(), by_definition.spikes[name].dense())
    found = aligned(trace, spikes.steps)
    expected = run_quantized(network, spikes)
    for name, fired in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)
    return program, sum(fired.total for fired in expected.spikes.values())


KINDS = ("lif", "if", "fast", "refractory", "li", "cuba")
EACH = [("oheo-gulch", "subtract"), *((board, kind) for board in BOARDS for kind in KINDS)]


@pytest.mark.parametrize(("board", "kind"), EACH)
def test_every_depth_has_the_spikes_of_the_integer_network(board: str, kind: str) -> None:
    for seed in range(4):
        network = quantise(deep(seed, kind), BOARDS[board])
        assert equal_to_the_integer_network(network, BOARDS[board], spikes_for(seed))[1] > 0


def test_membranes_begin_late_without_more_synapses_where_that_is_exact() -> None:
    """Positive constants: the membrane begins below rest, no neuron brings them."""
    program = compile(quantise(positive(), BOARDS["loihi1"]), BOARDS["loihi1"])
    assert [p.name for p in program.network.populations] == ["p0", "p1", "p2", "p3"]
    assert all((p.v_init < 0).all() for p in program.network.populations)  # type: ignore[union-attr,operator]
    assert "constants_by_synapse" not in program.settings


def positive() -> StepGraph:
    made = deep(1, "lif")
    kept = tuple(p.with_lif(bias=np.abs(p.bias) + 0.01) for p in made.populations)
    return made.with_(populations=kept)


def test_a_population_in_step_with_the_input_gets_its_constant_current_from_step_0() -> None:
    """Behind a delay of a step a population would not lag behind; a constant needs a hop."""
    made = deep(2, "cuba")
    late = tuple(Projection(p.source, p.target, p.synapses, 1) for p in made.projections[:1])
    network = quantise(made.with_(projections=late + made.projections[1:]), BOARDS["loihi1"])
    program, spikes = equal_to_the_integer_network(network, BOARDS["loihi1"], spikes_for(2))
    assert spikes > 0 and program.lag["p0"] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["lif", "if", "fast", "refractory"]))
def test_any_constants_are_exact_without_a_current(seed: int, kind: str) -> None:
    network = quantise(deep(seed, kind, sign=-1.0), BOARDS["oheo-gulch"])
    program, _ = equal_to_the_integer_network(network, BOARDS["oheo-gulch"], spikes_for(seed, 12))
    assert "constants_rounded" not in program.settings
