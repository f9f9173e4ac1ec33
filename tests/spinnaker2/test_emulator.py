"""The emulator against the definition in chip units: every spike and every state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.emulators.spinnaker2 import emulate_network
from snnstack.errors import DataError, ModelError
from snnstack.trace import Spikes, Trace
from tests.spinnaker2.chipnets import random_network


def probes_of(network: ChipNetwork) -> list[tuple[str, str]]:
    found = [(p.name, "v") for p in network.populations]
    currents = [p.name for p in network.populations if p.exc_decay is not None]
    return found + [(name, variable) for name in currents for variable in ("ie", "ii")]


def assert_equal(left: Trace, right: Trace) -> None:
    """Every spike, and every bit of every state."""
    assert set(left.spikes) == set(right.spikes)
    for name, spikes in left.spikes.items():
        np.testing.assert_array_equal(spikes.dense(), right.spikes[name].dense(), name)
    assert set(left.states) == set(right.states)
    for probe, values in left.states.items():
        assert values.dtype == right.states[probe].dtype == np.float32
        np.testing.assert_array_equal(values, right.states[probe], str(probe))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_emulator_equals_the_definition(seed: int) -> None:
    network, spikes = random_network(np.random.default_rng(seed))
    probes = probes_of(network)
    assert_equal(emulate_network(network, spikes, probes), run_chip(network, spikes, probes))


@pytest.mark.parametrize("application", ["lif_no_delay", "lif_curr_exp_no_delay"])
@pytest.mark.parametrize("count", [3, 255])
def test_sums_beyond_16_bits_and_beyond_24_bits_stay_exact(application: str, count: int) -> None:
    n = 1500
    decays = {"exc_decay": 0.5, "inh_decay": 0.25} if "curr" in application else {}
    weight = np.tile([[127] * 750 + [-127] * 750], (2, 1))
    weight[1, :700] = -3
    network = (
        ChipBuilder().input("x", n)
        .population("n", 2, application, threshold=None, alpha=0.9, **decays)  # type: ignore[arg-type]
        .connect("x", "n", weight).build()
    )  # fmt: skip
    data = np.full((1, 4, n), count, np.uint8)
    data[:, ::2, ::3] = 1
    spikes = Spikes.from_dense(data)
    probes = probes_of(network)
    assert_equal(emulate_network(network, spikes, probes), run_chip(network, spikes, probes))


def test_spikes_and_probes_that_do_not_fit_are_refused() -> None:
    network = (
        ChipBuilder().input("x", 3).population("n", 2, "lif", threshold=1)
        .connect("x", "n", np.ones((2, 3))).build()
    )  # fmt: skip
    wrong = Spikes.from_dense(np.zeros((1, 2, 4), np.uint8))
    with pytest.raises(DataError, match=r"x: spikes have shape \(4,\), the network takes \(3,\)"):
        emulate_network(network, wrong)
    right = Spikes.from_dense(np.zeros((1, 2, 3), np.uint8))
    with pytest.raises(ModelError, match="n: has no state 'ie' to record"):
        emulate_network(network, right, [("n", "ie")])
