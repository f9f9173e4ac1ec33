"""Models of the library against the neurons of frameworks, spike by spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.library import MODELS
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.run_numpy import Definition

pytestmark = pytest.mark.needs_torch
N, STEPS = 20, 300


def same_spikes(node: Any, layer: Definition, sums: Any, states: dict[str, str]) -> None:
    """`states`: ours by theirs."""
    import torch

    total = 0.0
    for x in sums:
        theirs = node(torch.from_numpy(x[None])).numpy()
        np.testing.assert_array_equal(layer(x[None]).astype(float), theirs)
        for name, own in states.items():
            value = getattr(node, name).numpy()
            np.testing.assert_allclose(layer.state[own], value, rtol=1e-9, atol=1e-9)
        total += theirs.sum()
    assert total > 20


def drawn(seed: int, low: float, high: float) -> Any:
    return np.random.default_rng(seed).uniform(low, high, (STEPS, N))


@pytest.mark.parametrize("seed", range(3))
def test_quadratic_is_that_of_spikingjelly(seed: int) -> None:
    from spikingjelly.activation_based.neuron import QIFNode

    node = QIFNode(tau=4.0, v_c=0.8, a0=1.0, v_threshold=1.0, v_rest=0.0, v_reset=-0.1)
    values = {"tau": 4.0, "critical": 0.8, "threshold": 1.0, "v_reset": -0.1}
    start = {"v": -0.1}
    layer = Definition(Neurons(MODELS["quadratic"], N, "float64", values, {}, start), 1)
    same_spikes(node, layer, drawn(seed, -0.5, 1.5), {"v": "v"})


@pytest.mark.parametrize("seed", range(3))
def test_quadratic_with_adaptation_is_spikingjelly_s_izhikevich(seed: int) -> None:
    from spikingjelly.activation_based.neuron import IzhikevichNode

    numbers = {"tau": 4.0, "a0": 1.0, "tau_w": 10.0, "a": 0.2, "b": 0.1}
    node = IzhikevichNode(v_c=0.8, v_threshold=1.0, v_rest=0.0, v_reset=-0.1, **numbers)
    values = numbers | {"critical": 0.8, "threshold": 1.0, "v_reset": -0.1}
    neurons = Neurons(
        MODELS["quadratic"], N, "float64", values, {"adapts": True}, {"v": -0.1, "w": 0.0}
    )
    same_spikes(node, Definition(neurons, 1), drawn(seed, -0.5, 2), {"v": "v", "w": "w"})


@pytest.mark.parametrize("seed", range(3))
def test_exponential_is_that_of_spikingjelly(seed: int) -> None:
    from spikingjelly.activation_based.neuron import EIFNode

    node = EIFNode(tau=4.0, delta_T=0.5, theta_rh=0.8, v_threshold=1.0, v_rest=0.0, v_reset=-0.1)
    values = {"tau": 4.0, "slope": 0.5, "rheobase": 0.8, "threshold": 1.0, "v_reset": -0.1}
    neurons = Neurons(MODELS["adex"], N, "float64", values, {"adapts": False}, {"v": -0.1})
    same_spikes(node, Definition(neurons, 1), drawn(seed, -0.5, 1.5), {"v": "v"})


@pytest.mark.parametrize("seed", range(3))
def test_egru_without_a_threshold_is_the_gru_of_torch(seed: int) -> None:
    """Gates, candidate and what the reset gate is applied to."""
    import torch

    rng = np.random.default_rng(seed)
    cell = torch.nn.GRUCell(3, N, dtype=torch.float64)
    p = {k: v.detach().numpy() for k, v in cell.named_parameters()}
    egru = Definition(Neurons(MODELS["egru"], N, "float64", {"threshold": -1e9}), 1)
    h = np.zeros((1, N))
    for x in rng.normal(0, 1, (40, 1, 3)):
        given = cell(torch.from_numpy(x), torch.from_numpy(h)).detach().numpy()
        ahead = x @ p["weight_ih"].T + p["bias_ih"]
        back = h @ p["weight_hh"].T + p["bias_hh"]
        r, z = ((ahead + back)[:, k * N : (k + 1) * N] for k in (0, 1))
        egru.state["c"] = h  # no reset by the threshold: what is sent is a GRU's state
        sent = egru(z, r, ahead[:, 2 * N :], back[:, 2 * N :])
        np.testing.assert_allclose(sent, given, rtol=0, atol=1e-12)
        h = given
