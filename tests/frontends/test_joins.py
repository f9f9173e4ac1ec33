"""Branches that are joined, and modules that go through the steps: the framework's own spikes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import snnstack
from snnstack.errors import ModelError
from snnstack.frontends.torch_load import trace
from snnstack.live import agreement
from tests.conftest import needed
from tests.frontends.nets import lively, spikes

needed("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron  # noqa: E402


def agrees(net: Any, sample: Any) -> Any:
    found = agreement(net, sample, trace(net, sample))
    assert found.mismatches == 0, str(found)
    return found


class Branches(nn.Module):
    """Two branches of maps, joined by `join`, and a rest that reads the result."""

    def __init__(self, join: Any, rest: Any, mode: str = "s") -> None:
        super().__init__()
        self.a, self.b = layer.Conv2d(2, 3, 3, padding=1), layer.Conv2d(2, 3, 5, padding=2)
        self.one, self.two = neuron.LIFNode(), neuron.LIFNode()
        self.join, self.rest = join, rest()
        functional.set_step_mode(self, mode)

    def forward(self, x: Any) -> Any:
        return self.rest(self.join(self.one(self.a(x)), self.two(self.b(x))))


def cat(a: Any, b: Any) -> Any:
    return torch.cat([a, b], -3)


def conv_after(channels: int, **said: Any) -> Any:
    return lambda: nn.Sequential(
        layer.Conv2d(channels, 4, 3, **said), layer.BatchNorm2d(4), neuron.LIFNode(),
        layer.Flatten(),
    )  # fmt: skip


def pooled(pool: Any, width: int) -> Any:
    return lambda: nn.Sequential(pool, layer.Flatten(), layer.Linear(width, 5), neuron.LIFNode())


JOINS: dict[str, tuple[Any, Any]] = {
    "cat, convolution": (cat, conv_after(6)),
    "cat, strided convolution": (cat, conv_after(6, stride=2, padding=1)),
    "cat, convolution in groups": (cat, conv_after(6, groups=2)),
    "cat, average": (cat, pooled(layer.AvgPool2d(2), 54)),
    "cat, maximum": (cat, pooled(layer.MaxPool2d(2), 54)),
    "cat, neuron": (cat, lambda: neuron.LIFNode(v_threshold=0.4)),
    "cat with a sum": (lambda a, b: cat(a + b, a), conv_after(6)),
    "cat of three": (lambda a, b: torch.cat([b, a, b], -3), conv_after(9)),
    "channels picked": (lambda a, b: cat(a, b)[..., [4, 0, 2], :, :], conv_after(3)),
    "shuffled": (lambda a, b: torch.stack([a, b], -3).flatten(-4, -3), conv_after(6)),
    "ADD": (lambda a, b: a + b, conv_after(3)),
    "AND": (lambda a, b: a * b, conv_after(3)),
    "IAND": (lambda a, b: a * (1.0 - b), conv_after(3)),
    "IAND, the other way": (lambda a, b: (1.0 - a) * b, conv_after(3)),
    "neither": (lambda a, b: (1 - a) * (1 - b), conv_after(3)),
    "OR": (torch.maximum, conv_after(3)),
    "AND, maximum": (torch.minimum, pooled(layer.MaxPool2d(2), 27)),
    "AND, dense": (lambda a, b: a * b, pooled(nn.Identity(), 108)),
    "not": (lambda a, b: 1.0 - a, conv_after(3)),
}  # fmt: skip


@pytest.mark.parametrize("case", JOINS)
def test_joined_branches_give_spikingjelly_s_spikes(case: str) -> None:
    join, rest = JOINS[case]
    mode = "sm"[list(JOINS).index(case) % 2]
    net = lively(Branches(join, rest, mode))
    assert agrees(net, spikes(7, 3, 2, 6, 6)).slots > 7 * 3 * 100


def test_a_convolution_after_cat_stays_one() -> None:
    graph = trace(lively(Branches(*JOINS["cat, convolution"])), spikes(7, 3, 2, 6, 6)).graph
    kinds = [type(node).__name__ for name, node in graph.nodes.items() if "rest.0" in name]
    assert kinds == ["Conv2d", "Conv2d"]


def test_a_product_of_what_is_no_spike_is_refused_by_name() -> None:
    net = Branches(lambda a, b: (a + b) * b, conv_after(3))
    with pytest.raises(ModelError, match=r"mul\(\): multiplies two signals .only spikes, which"):
        snnstack.load(net, spikes(7, 3, 2, 6, 6))


def plus(y: Any, x: Any) -> Any:
    return x + y


LOOPS: dict[str, Any] = {
    "linear": lambda: layer.LinearRecurrentContainer(neuron.LIFNode(), 12, 12),
    "linear, more outputs": lambda: layer.LinearRecurrentContainer(
        nn.Sequential(nn.Linear(12, 12), neuron.IFNode(v_reset=None)), 12, 12, bias=False
    ),
    "elementwise": lambda: layer.ElementWiseRecurrentContainer(neuron.LIFNode(), plus),
    "elementwise, chain": lambda: layer.ElementWiseRecurrentContainer(
        nn.Sequential(nn.Linear(12, 12, bias=False), neuron.LIFNode()), plus
    ),
    "delay": lambda: nn.Sequential(neuron.LIFNode(), layer.Delay(3)),
    "long delay": lambda: nn.Sequential(neuron.LIFNode(), layer.Delay(7)),
    "delayed bias": lambda: nn.Sequential(layer.Linear(12, 12), layer.Delay(2), neuron.LIFNode()),
    "delay in a loop": lambda: layer.ElementWiseRecurrentContainer(
        nn.Sequential(layer.Delay(2), neuron.LIFNode()), plus
    ),
    "two delays": lambda: nn.Sequential(
        layer.Delay(2),
        neuron.LIFNode(),
        layer.Delay(1),
        layer.Linear(12, 12),
        layer.Delay(2),
        neuron.LIFNode(),
    ),
    "many steps": lambda: layer.MultiStepContainer(nn.Linear(12, 12), neuron.LIFNode()),
}


@pytest.mark.parametrize(
    ("case", "mode"), [(c, m) for c in LOOPS for m in "sm" if (c, m) != ("many steps", "s")]
)
def test_modules_that_go_through_the_steps(case: str, mode: str) -> None:
    net = nn.Sequential(layer.Linear(16, 12), LOOPS[case](), layer.Linear(12, 4), neuron.LIFNode())
    functional.set_step_mode(net, mode)
    assert agrees(lively(net), spikes(14, 3, 16)).slots >= 14 * 3 * 16


@pytest.mark.parametrize("make", [neuron.NonSpikingLIFNode, neuron.NonSpikingIFNode])
@pytest.mark.parametrize("decode", [None, "max-mem", "mean-mem", "last_mem"])
def test_neurons_that_return_their_membrane(make: Any, decode: str | None) -> None:
    net = lively(nn.Sequential(
        layer.Linear(16, 12), neuron.LIFNode(), layer.Linear(12, 4), make(decode=decode)
    ))  # fmt: skip
    functional.set_step_mode(net, "m")
    found = agrees(net, spikes(14, 3, 16))
    assert found.populations["1"] == (14 * 3 * 12, 0)
    (result,) = trace(net, spikes(14, 3, 16)).graph.outputs()
    assert result == "output"
