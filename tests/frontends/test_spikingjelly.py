"""Modules of SpikingJelly are the networks that SpikingJelly runs: every spike of every neuron."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

import snnstack
from snnstack.frontends.torch_load import trace
from snnstack.live import agreement
from tests.conftest import needed
from tests.frontends.nets import digits, lively, spikes

needed("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402

NEURONS: dict[str, Any] = {
    "IF": lambda v: neuron.IFNode(v_reset=v),
    "LIF": lambda v: neuron.LIFNode(tau=2.5, v_reset=v),
    "LIF, input as it is": lambda v: neuron.LIFNode(
        tau=2.5, decay_input=False, v_reset=v, surrogate_function=surrogate.ATan()
    ),
    "PLIF": lambda v: neuron.ParametricLIFNode(init_tau=3.0, v_reset=v),
    "CUBA": lambda v: neuron.CUBALIFNode(v_reset=v),
}
RESETS = {"soft": None, "hard": 0.0, "hard, below 0": -0.3}


def dense(node: Any) -> Any:
    return nn.Sequential(layer.Linear(64, 40), node(), layer.Linear(40, 10), node())


def conv(node: Any) -> Any:
    return nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False), layer.BatchNorm2d(6), node(),
        layer.AvgPool2d(2), layer.Conv2d(6, 8, 3), layer.BatchNorm2d(8), node(),
        layer.MaxPool2d(2), layer.Flatten(), layer.Dropout(0.2), layer.Linear(8, 10), node(),
    )  # fmt: skip


def agrees(net: Any, sample: Any) -> Any:
    found = agreement(net, sample, trace(net, sample))
    assert found.mismatches == 0, str(found)
    return found


@pytest.mark.parametrize(("kind", "reset"), list(product(NEURONS, RESETS)))
def test_a_digits_network_gives_spikingjelly_s_spikes(kind: str, reset: str) -> None:
    net = lively(dense(lambda: NEURONS[kind](RESETS[reset])))
    found = agrees(net, digits())
    assert found.populations["3"] == (90_000, 0)
    assert found.exact in (None, 0)


@pytest.mark.parametrize(("kind", "mode", "reset"), list(product(NEURONS, "sm", ("soft", "hard"))))
def test_convolutions_in_both_step_modes(kind: str, mode: str, reset: str) -> None:
    net = lively(conv(lambda: NEURONS[kind](RESETS[reset])))
    functional.set_step_mode(net, mode)
    assert agrees(net, spikes(10, 3, 2, 8, 8)).slots > 10_000
    assert snnstack.load(net, spikes(10, 3, 2, 8, 8)).metadata["agreement"]["mismatches"] == 0
    assert all(m.step_mode == mode for m in net.modules() if hasattr(m, "step_mode"))


def test_threshold_dependent_batch_normalisation_is_folded() -> None:
    net = lively(nn.Sequential(
        layer.Conv2d(2, 6, 3, bias=False), layer.ThresholdDependentBatchNorm2d(0.7, 1.0, 6),
        neuron.LIFNode(), layer.Flatten(), layer.Linear(216, 4), neuron.IFNode(),
    ))  # fmt: skip
    functional.set_step_mode(net, "m")
    assert agrees(net, spikes(10, 3, 2, 8, 8)).slots == 10 * 3 * (216 + 4)


class Repeated(nn.Module):
    """A picture, repeated for all steps; the first layers run once, before the repetition."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.rest = nn.Sequential(
            neuron.IFNode(), layer.MaxPool2d(2, 2), layer.Flatten(), layer.Linear(64, 10),
            neuron.IFNode(),
        )  # fmt: skip
        functional.set_step_mode(self.rest, "m")

    def forward(self, x: Any) -> Any:
        return self.rest(self.first(x).unsqueeze(0).repeat(8, 1, 1, 1, 1)).mean(0)


class RepeatedFirst(Repeated):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(layer.Conv2d(1, 4, 3, padding=1), layer.BatchNorm2d(4))
        functional.set_step_mode(self, "m")

    def forward(self, x: Any) -> Any:
        return self.rest(self.first(x.unsqueeze(0).repeat(8, 1, 1, 1, 1))).mean(0)


class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.SeqToANNContainer(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.one, self.two = neuron.LIFNode(step_mode="m"), neuron.LIFNode(step_mode="m")
        self.fc = layer.SeqToANNContainer(nn.Flatten(), nn.Linear(256, 10))

    def forward(self, x: Any) -> Any:
        return self.two(self.fc(self.one(self.conv(x))))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layer.Conv2d(2, 4, 3, padding=1), layer.Conv2d(4, 4, 3, padding=1)
        self.one, self.two = neuron.LIFNode(), neuron.LIFNode()
        functional.set_step_mode(self, "m")

    def forward(self, x: Any) -> Any:
        first = self.one(self.a(x))
        return self.two(self.b(first) + first)


CASES: dict[str, tuple[Any, Any]] = {
    "repeated, first layer once": (Repeated, torch.rand(5, 1, 8, 8)),
    "repeated first": (RepeatedFirst, torch.rand(5, 1, 8, 8)),
    "containers": (Containers, spikes(7, 5, 1, 8, 8)),
    "residual": (Residual, spikes(7, 5, 2, 6, 6)),
    "voting, from flat to maps": (lambda: nn.Sequential(
        layer.Linear(20, 18), neuron.LIFNode(), nn.Unflatten(1, (2, 3, 3)),
        layer.Conv2d(2, 3, 2, padding=1), layer.AvgPool2d(2), neuron.IFNode(), layer.Flatten(),
        layer.Linear(12, 20), neuron.LIFNode(), layer.VotingLayer(5)), spikes(9, 4, 20)),
    "linear recurrent": (lambda: nn.Sequential(
        layer.LinearRecurrentContainer(neuron.LIFNode(), 20, 20), nn.Linear(20, 4),
        neuron.IFNode()), spikes(7, 5, 20)),
    "elementwise recurrent": (lambda: nn.Sequential(
        layer.ElementWiseRecurrentContainer(neuron.IFNode(v_reset=None), lambda y, x: x + y),
        nn.Linear(20, 4), neuron.IFNode()), spikes(7, 5, 20)),
    "weight standardised": (lambda: nn.Sequential(
        layer.WSLinear(20, 12), neuron.IFNode(), nn.Linear(12, 4), neuron.IFNode()),
        spikes(7, 5, 20)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_networks_as_people_write_them(case: str) -> None:
    make, sample = CASES[case]
    assert agrees(lively(make()), sample).slots > 100


def test_a_vote_is_the_result_where_the_module_returns_one() -> None:
    make, sample = CASES["voting, from flat to maps"]
    graph = snnstack.load(lively(make()), sample)
    (result,) = graph.outputs().values()
    assert result.shape == (4,)


def test_membranes_that_meet_the_threshold_fire() -> None:
    """SpikingJelly fires at v >= threshold; all sums here are exact."""
    net: Any = nn.Sequential(nn.Linear(4, 3, bias=False), neuron.IFNode(v_reset=None))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.5] * 4, [0.25] * 4, [1.0] * 4]))
    sample = spikes(12, 6, 4)
    graph = snnstack.load(net, sample)
    assert graph.nodes["1"].compare == "ge"
    assert agrees(net, sample).slots == 216
