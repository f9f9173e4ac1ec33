"""Late resets are snnTorch's, run by snnTorch; those that can be made at once keep every spike."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.board import load_board
from snnstack.errors import ModelError
from snnstack.integers import quantise_for
from snnstack.ir.step import Dense, Population, Projection, StepGraph, StepInput, lif
from snnstack.quant.reset_now import reset_now, subtract_now
from snnstack.reference import run_steps
from snnstack.trace import Spikes
from tests.conftest import needed

N, STEPS, BATCH = 16, 12, 8
HALF = np.full(N, 0.5)
LATE_ZERO = {"Leaky": "next", "Lapicque": "next_all", "Synaptic": "next_all",
             "RLeaky": "next_all", "RSynaptic": "next_all"}  # fmt: skip
CASES = [
    (kind, reset, delay)
    for kind, reset, delay in product(LATE_ZERO, ("subtract", "zero", "none"), (True, False))
    if delay or kind not in ("Lapicque", "RSynaptic")
]


def weights(seed: int) -> Any:
    """Multiples of 1/8: every sum is exact in float32, and many membranes meet the threshold."""
    return np.random.default_rng(seed).integers(-6, 10, (N, N)) / 8


def given_spikes(seed: int, batch: int = BATCH) -> Spikes:
    random = np.random.default_rng(seed).random((batch, STEPS, N))
    return Spikes.from_dense((random < 0.3).astype(np.uint8))


def population(kind: str, reset: str, delay: bool) -> Population:
    """What snnTorch's neuron is in a step graph."""
    zero, one = np.zeros(N), np.ones(N)
    times = {"none": "now", "zero": LATE_ZERO[kind] if delay else "now"}
    time = times.get(reset, "next" if delay else "recheck")
    return lif(
        "p", (N,), HALF, HALF if kind in ("Synaptic", "RSynaptic") else None, one,
        HALF if kind == "Lapicque" else one, zero, zero, one, zero,
        {"zero": "set"}.get(reset, reset), reset_time=time,
    )  # type: ignore[arg-type]  # fmt: skip


def network(p: Population, recurrent: bool = False) -> StepGraph:
    port = StepInput("x", (N,), "binary")
    joined = (Projection("x", "p", Dense(weights(0))),)
    if recurrent:
        joined += (Projection("p", "p", Dense(np.diag(HALF)), 1),)
    return StepGraph((port,), (p,), joined, ("p",), 1.0)


def module(kind: str, reset: str, delay: bool) -> Any:
    snn = needed("snntorch")
    said: dict[str, Any] = {"reset_mechanism": reset, "init_hidden": True, "output": True}
    if kind == "Lapicque":
        return snn.Lapicque(R=1.0, C=2.0, **said)
    if kind in ("Synaptic", "RSynaptic"):
        said["alpha"] = 0.5
    if kind in ("RLeaky", "RSynaptic"):
        said |= {"V": 0.5, "all_to_all": False, "learn_recurrent": False}
    return getattr(snn, kind)(beta=0.5, reset_delay=delay, **said)


@pytest.mark.parametrize(("kind", "reset", "delay"), CASES)
def test_a_population_does_what_snntorch_does(kind: str, reset: str, delay: bool) -> None:
    import torch

    net, spikes = module(kind, reset, delay), given_spikes(1)
    graph = network(population(kind, reset, delay), recurrent=kind.startswith("R"))
    trace = run_steps(graph, spikes, [("p", "v")])
    current = spikes.dense() @ weights(0).T
    fired, membrane = [], []
    with torch.no_grad():
        for t in range(STEPS):
            out = net(torch.tensor(current[:, t], dtype=torch.float32))
            fired.append(out[0].numpy())
            membrane.append(out[-1].numpy())
    assert trace.spikes["p"].dense().sum() > 50
    np.testing.assert_array_equal(trace.spikes["p"].dense(), np.stack(fired, axis=1))
    np.testing.assert_array_equal(trace.states["p", "v"], np.stack(membrane, axis=1))


def late_zeros() -> Any:
    base = population("Leaky", "zero", True)
    current = base.with_lif(beta=HALF)
    kinds = (base, current, base.with_lif(reset_time="next_all", v_reset=-HALF / 4))
    return st.sampled_from(kinds + tuple(p.with_lif(compare="ge") for p in kinds))


@settings(max_examples=30)
@given(late_zeros(), st.booleans(), st.integers(0, 99))
def test_a_late_set_at_once_keeps_every_spike(p: Population, loops: bool, seed: int) -> None:
    graph, spikes = network(p, loops), given_spikes(seed, 2)
    now = reset_now(graph)
    assert [q.reset_time for q in now.populations] == ["now"]
    one, two = run_steps(graph, spikes).spikes["p"], run_steps(now, spikes).spikes["p"]
    np.testing.assert_array_equal(one.dense(), two.dense())


@settings(max_examples=30)
@given(
    st.sampled_from(["Lapicque", "Synaptic"]), st.sampled_from(["gt", "ge"]), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_a_late_subtraction_at_once_keeps_every_spike(
    kind: str, compare: Any, loops: bool, seed: int
) -> None:
    p = population(kind, "subtract", True).with_lif(compare=compare)
    graph, spikes = network(p, loops), given_spikes(seed, 2)
    now = subtract_now(graph)
    assert [q.reset_time for q in now.populations] == ["now"]
    delays = [q.delay for q in now.projections[len(graph.projections) :]]
    assert delays == ([1] if p.beta is None else [1, 2])
    one, two = run_steps(graph, spikes).spikes["p"], run_steps(now, spikes).spikes["p"]
    assert one.total
    np.testing.assert_array_equal(one.dense(), two.dense())


def test_an_integrator_needs_no_synapse_to_subtract_at_once() -> None:
    graph = network(population("Leaky", "subtract", True).with_lif(alpha=np.ones(N)))
    assert subtract_now(graph).projections == graph.projections


@pytest.mark.parametrize(
    "change", [{"threshold": -HALF}, {"reset_time": "recheck"}, {"reset": "set"}]
)
def test_other_late_resets_are_left_as_they_are(change: Any) -> None:
    graph = network(population("Leaky", "subtract", True).with_lif(**change))
    assert subtract_now(graph).populations == graph.populations


REFUSED = {
    ("subtract", True): "subtracts its threshold in the step after a spike",
    ("subtract", False): "fires again only above twice its threshold after a subtraction",
    ("none", True): "is not reset by a spike",
}


@pytest.mark.parametrize(("reset", "delay"), REFUSED)
def test_a_target_that_cannot_do_it_refuses(
    reset: str, delay: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snnstack.backends import mcu

    graph, board = network(population("Leaky", reset, delay)), load_board("nucleo-l4r5zi")
    assert quantise_for(graph, board, None).populations[0].reset == reset
    monkeypatch.setattr(mcu, "LATE_RESETS", False)
    with pytest.raises(ModelError) as told:
        quantise_for(graph, board, None)
    assert str(told.value) == (
        f"p: {REFUSED[reset, delay]}, which mcu cannot do "
        "(reset='subtract' (--reset subtract) subtracts at once; compare the accuracy then)"
    )
    zero = network(population("Leaky", "zero", True))
    assert quantise_for(zero, board, None).populations[0].reset == "set"
