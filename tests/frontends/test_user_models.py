"""Networks as tutorials write them: loaded, compared, compiled and run on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import emulate, verify_reference
from snnstack.board import all_boards
from snnstack.building import build
from snnstack.target import target_names
from tests.conftest import needed

torch = needed("torch")
nn = torch.nn
snntorch = needed("snntorch")

pytestmark = [pytest.mark.needs_torch, pytest.mark.filterwarnings("ignore")]
BOARDS = {board.target: board.name for board in reversed(all_boards())}


class Loop(nn.Module):  # type: ignore[name-defined, misc]
    """Two dense layers, a loop over time, the same picture in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(49, 40), snntorch.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(40, 10), snntorch.Leaky(beta=0.95)

    def forward(self, x: Any) -> Any:
        mem1, mem2, spikes, membranes = self.lif1.init_leaky(), self.lif2.init_leaky(), [], []
        for _ in range(25):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class Membranes(nn.Module):  # type: ignore[name-defined, misc]
    """Lists of layers, learned decays and thresholds, time second, sums of membranes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 24), nn.Linear(24, 24), nn.Linear(24, 3)])
        first = snntorch.Leaky(torch.rand(24), torch.rand(24) + 0.5, learn_beta=True)
        last = snntorch.Leaky(beta=0.95, reset_mechanism="none")
        self.neurons = nn.ModuleList([first, snntorch.Lapicque(beta=0.9), last])

    def forward(self, x: Any) -> Any:
        states: list[Any] = [torch.zeros(1)] * 3
        total: Any = 0.0
        for t in range(x.shape[1]):
            h = x[:, t]
            for k, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
                h, states[k] = neuron(layer(h), states[k])
            total = total + states[-1]
        return total


class Residual(nn.Module):  # type: ignore[name-defined, misc]
    """Two convolutions with batch normalisation, and the input added to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.lif1 = snntorch.Leaky(beta=0.7, init_hidden=True)
        self.lif2 = snntorch.Leaky(beta=0.7, init_hidden=True)

    def forward(self, x: Any) -> Any:
        return self.lif2(self.norm2(self.conv2(self.lif1(self.norm1(self.conv1(x))))) + x)


def hidden(beta: float, **said: Any) -> Any:
    return snntorch.Leaky(beta=beta, init_hidden=True, **said)


def loop() -> Any:
    return Loop(), (6, 49)


def membranes() -> Any:
    return Membranes(), (5, 18, 16)


def convolutions() -> Any:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 5), hidden(0.5), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), hidden(0.5), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24, 10), hidden(0.5, output=True),
    )  # fmt: skip
    return net, (12, 3, 1, 16, 16)


def residual() -> Any:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), hidden(0.7), Residual(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(16, 3), hidden(0.7, output=True),
    )  # fmt: skip
    return net.eval(), (10, 3, 1, 8, 8)


def multi_step() -> Any:
    layer = needed("spikingjelly.activation_based.layer")
    neuron = needed("spikingjelly.activation_based.neuron")

    def wrapped(*layers: Any) -> Any:
        return layer.SeqToANNContainer(*layers)

    net = nn.Sequential(
        wrapped(nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)),
        neuron.IFNode(step_mode="m"), wrapped(nn.MaxPool2d(2, 2)),
        wrapped(nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
        neuron.LIFNode(tau=2.0, detach_reset=True, step_mode="m"), wrapped(nn.AvgPool2d(2, 2)),
        layer.Flatten(step_mode="m"), layer.Dropout(0.5, step_mode="m"),
        layer.Linear(32, 10, bias=False, step_mode="m"),
        neuron.ParametricLIFNode(init_tau=2.0, step_mode="m"),
    )  # fmt: skip
    return net.eval(), (10, 3, 2, 8, 8)


@pytest.mark.parametrize("make", [loop, membranes, convolutions, residual, multi_step])
def test_an_ordinary_network_runs_on_every_target(make: Any) -> None:
    torch.manual_seed(0)
    net, shape = make()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.05, 0.2)
    graph = snnstack.load(net, (torch.rand(shape) < 0.4).float())
    assert graph.metadata["agreement"]["mismatches"] == 0
    random = np.random.default_rng(0)
    for target in target_names():
        built = build(graph, BOARDS[target])
        x = (random.random((2, 10, *built.program.port.shape)) < 0.4).astype(np.uint8)
        trace = emulate(built.program, {"x": x})
        assert next(iter(trace.spikes.values())).total > 0
        assert verify_reference(built.program, built.network, {"x": x}).mismatches == 0
