"""Modules of snnTorch are the networks that snnTorch runs: every spike of every neuron."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import snnstack
from snnstack.frontends.nir import read, write
from snnstack.frontends.torch_load import trace
from snnstack.ir.graph import Graph
from snnstack.live import agreement
from snnstack.loading import discretised, load
from snnstack.reference import run_steps
from snnstack.trace import Spikes
from tests.conftest import needed
from tests.frontends.nets import digits, lively, spikes, trained_on_digits

snn = needed("snntorch")

COMBINATIONS = list(product(("Leaky", "Synaptic", "RLeaky"), ("subtract", "zero"), (True, False)))


def digits_net(kind: str, reset: str, delay: bool) -> Any:
    said = {"reset_mechanism": reset, "reset_delay": delay, "init_hidden": True}
    if kind == "Synaptic":
        said["alpha"] = 0.6

    def neuron(n: int, beta: float, **more: Any) -> Any:
        size = {"linear_features": n} if kind == "RLeaky" else {}
        return getattr(snn, kind)(beta=beta, **said, **size, **more)

    return nn.Sequential(
        nn.Linear(64, 48), neuron(48, 0.9), nn.Linear(48, 10), neuron(10, 0.8, output=True)
    )


@pytest.mark.parametrize(("kind", "reset", "delay"), COMBINATIONS)
def test_a_trained_digits_network_gives_snntorch_s_spikes(
    kind: str, reset: str, delay: bool
) -> None:
    net, sample = trained_on_digits(lambda: digits_net(kind, reset, delay), 1), digits()
    graph = snnstack.load(net, sample)
    found = agreement(net, sample, trace(net, sample))
    assert found.populations["3"] == (90_000, 0)
    assert (found.mismatches, graph.metadata["agreement"]["mismatches"]) == (0, 0)
    assert found.exact in (None, 0)


def test_the_comparison_sees_a_wrong_reset() -> None:
    """What is compared is not compared with itself: NIR's reset gives other spikes."""
    net, sample = lively(digits_net("Leaky", "subtract", True)), digits(60)
    graph = snnstack.load(net, sample)
    now = discretised(load(graph, snnstack.Options(reset="subtract")))
    then = Spikes.from_dense(sample.numpy().transpose(1, 0, 2).astype(np.uint8))
    one, two = (run_steps(s, then).spikes["3"].dense() for s in (discretised(graph), now))
    assert np.count_nonzero(one != two) > 100


class Explicit(nn.Module):
    """A loop over time written by hand, states passed explicitly."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(20, 30), nn.Linear(30, 5)
        self.lif1, self.lif2 = snn.Leaky(beta=0.9), snn.Leaky(beta=0.8, reset_mechanism="zero")

    def step(self, x: Any, mem1: Any, mem2: Any) -> Any:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class TimeFirst(Explicit):
    def forward(self, x: Any) -> Any:
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for t in range(x.size(0)):
            spk, mem1, mem2 = self.step(x[t].flatten(1), mem1, mem2)
            out.append(spk)
        return torch.stack(out), mem2


class BatchFirst(Explicit):
    def forward(self, x: Any) -> Any:
        mem1 = mem2 = None
        total: Any = 0
        for now in x.unbind(1):
            spk, mem1, mem2 = self.step(now, mem1, mem2)
            total = total + spk
        return functional.log_softmax(total / x.shape[1], dim=-1)


class Static(Explicit):
    """The same picture in every step, its layer computed once."""

    def forward(self, x: Any) -> Any:
        mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        current = self.fc1(x)
        for _ in range(12):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(spk2)
        return torch.stack(out)


class Recurrent(nn.Module):
    """Recurrence by hand, a skip, membranes as the result."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.back = nn.Linear(12, 20), nn.Linear(20, 20, bias=False)
        self.lif = snn.Synaptic(alpha=0.5, beta=torch.rand(20), threshold=torch.rand(20) + 0.5)
        self.read, self.skip = nn.Linear(20, 4), nn.Linear(12, 4, bias=False)
        self.out = snn.Leaky(beta=0.6, reset_mechanism="none")

    def forward(self, x: Any) -> Any:
        spk = torch.zeros(x.shape[1], 20)
        (syn, mem), mem2, out = self.lif.reset_mem(), self.out.reset_mem(), []
        for now in x:
            spk, syn, mem = self.lif(self.into(now) + 0.5 * self.back(spk), syn, mem)
            _, mem2 = self.out(self.read(spk) - self.skip(now), mem2)
            out.append(mem2)
        return torch.stack(out)


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.lif1 = snn.Leaky(beta=0.9, threshold=torch.rand(6, 1, 1) + 0.5, init_hidden=True)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=1, groups=2)
        self.lif2 = snn.Leaky(beta=0.7, init_hidden=True, reset_mechanism="zero")
        self.drop, self.fc = nn.Dropout(), nn.Linear(8, 10)
        self.lif3 = snn.Leaky(beta=0.8, init_hidden=True, output=True)

    def forward(self, x: Any) -> Any:
        x = functional.avg_pool2d(self.lif1(self.norm(self.conv1(x))), 2)
        x = functional.max_pool2d(self.lif2(self.conv2(x)), 2)
        return self.lif3(self.fc(self.drop(x.view(x.size(0), -1))))


def conv1d_net() -> Any:
    return nn.Sequential(
        nn.Conv1d(3, 6, 3, padding=1), nn.BatchNorm1d(6), snn.Leaky(beta=0.8, init_hidden=True),
        nn.MaxPool1d(2), nn.Conv1d(6, 4, 2, dilation=2), nn.AvgPool1d(2),
        snn.Leaky(beta=0.5, init_hidden=True), nn.Flatten(), nn.Linear(12, 5),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )  # fmt: skip


def one_neuron(neuron: Any, bias: bool = True) -> Any:
    return nn.Sequential(
        nn.Linear(12, 10, bias=bias), neuron, nn.Linear(10, 5),
        snn.Leaky(beta=0.5, init_hidden=True),
    )  # fmt: skip


class Delayed(nn.Module):
    """Spikes and input of earlier steps, used again."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.before = nn.Linear(5, 6), nn.Linear(5, 6, bias=False)
        self.late, self.lif = nn.Linear(6, 6), snn.Leaky(beta=0.5)

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), [torch.zeros(x.shape[1], 6)] * 3
        for t in range(len(x)):
            current = self.now(x[t]) + self.late(out[-3])
            if t:
                current = current + self.before(x[t - 1])
            spk, mem = self.lif(current, mem)
            out.append(spk)
        return {"spikes": out[3:], "membrane": mem}


class Pooled(nn.Module):
    """Modules used twice, global pooling, a mean over groups as the result; awkward names."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.output = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.pool, self.drop = nn.AvgPool2d(2), nn.Dropout2d()
        self.lif1, self.lif2, self.lif3 = (snn.Leaky(beta=b, **HIDDEN) for b in (0.5, 0.6, 0.7))
        self.fc = nn.Linear(6, 8)

    def forward(self, x: Any) -> Any:
        x = self.pool(self.lif1(self.drop(self.input(x))))
        x = self.pool(self.lif2(self.drop(self.output(x)))).mean([2, 3])
        return self.lif3(self.fc(x)).view(-1, 4, 2).mean(-1)


class TimeLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif, self.read = nn.Linear(6, 8), snn.Leaky(beta=0.5), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        mem, rec = self.lif.reset_mem(), torch.zeros(len(x), 3, x.shape[-1])
        x = (x - 0.25) * 2.0
        for t in range(x.shape[-1]):
            spk, mem = self.lif(self.fc(x[..., t]), mem)
            rec[..., t] = self.read(spk)
        return rec.sum(-1)


HIDDEN = {"init_hidden": True}
CASES: dict[str, tuple[Any, Any]] = {
    "time first": (TimeFirst, spikes(10, 6, 4, 5)),
    "batch first": (BatchFirst, spikes(6, 10, 20)),
    "one sample": (BatchFirst, spikes(1, 10, 20)),
    "static current": (Static, torch.rand(6, 20) * 3),
    "recurrent by hand": (Recurrent, spikes(14, 5, 12)),
    "convolutions": (ConvNet, spikes(8, 4, 2, 8, 8)),
    "convolutions of sequences": (conv1d_net, spikes(8, 4, 3, 16)),
    "earlier steps": (Delayed, spikes(12, 3, 5)),
    "used twice": (Pooled, spikes(7, 3, 1, 8, 8)),
    "time last, layer as result": (TimeLast, spikes(3, 6, 12)),
    "double precision": (lambda: nn.Sequential(
        nn.Linear(12, 30), snn.Leaky(beta=0.8, **HIDDEN)).double(),
        spikes(12, 3, 12).numpy().astype(np.uint8)),
    "no batch": (lambda: nn.Sequential(nn.Linear(20, 30), snn.Leaky(beta=0.8, **HIDDEN)),
        spikes(12, 20)),
    "a neuron alone": (lambda: snn.Leaky(beta=0.5, **HIDDEN), spikes(12, 3, 5) * 2),
    "parallel": (lambda: nn.DataParallel(one_neuron(snn.Leaky(beta=0.5, **HIDDEN))),
        spikes(12, 3, 12)),
    "counts": (TimeFirst, (spikes(10, 6, 20) * 3).to(torch.uint8).float()),
    "real numbers": (TimeFirst, torch.randn(10, 6, 20)),
    "learned, per neuron": (lambda: one_neuron(snn.Leaky(
        beta=torch.rand(10) * 1.2, threshold=torch.rand(10) + 0.2, learn_beta=True,
        learn_threshold=True, reset_delay=False, **HIDDEN)), spikes(10, 5, 12)),
    "beta 0 and 1": (lambda: one_neuron(snn.Leaky(
        beta=torch.tensor([0.0, 1.0] * 5), **HIDDEN)), spikes(10, 5, 12)),
    "integrate and fire": (lambda: one_neuron(snn.Leaky(beta=1.0, **HIDDEN)), spikes(10, 5, 12)),
    "graded spikes": (lambda: one_neuron(snn.Leaky(
        beta=0.5, graded_spikes_factor=0.4, **HIDDEN)), spikes(10, 5, 12)),
    "Lapicque": (lambda: one_neuron(snn.Lapicque(beta=0.7, **HIDDEN)), spikes(10, 5, 12)),
    "Lapicque, R and C": (lambda: one_neuron(snn.Lapicque(
        R=2.0, C=4.0, reset_mechanism="zero", **HIDDEN)), spikes(10, 5, 12)),
    "RSynaptic": (lambda: one_neuron(snn.RSynaptic(
        alpha=0.5, beta=0.6, linear_features=10, **HIDDEN)), spikes(10, 5, 12)),
    "RLeaky, one to one": (lambda: one_neuron(snn.RLeaky(
        beta=0.6, V=torch.rand(10), all_to_all=False, **HIDDEN)), spikes(10, 5, 12)),
    "RLeaky of a map": (lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3), snn.RLeaky(beta=0.5, conv2d_channels=3, kernel_size=3, **HIDDEN),
        nn.Flatten(), nn.Linear(48, 4), snn.Leaky(beta=0.5, **HIDDEN)), spikes(9, 4, 1, 6, 6)),
    "Alpha without reset": (lambda: one_neuron(snn.Alpha(
        alpha=0.9, beta=0.5, reset_mechanism="none", **HIDDEN), bias=False), spikes(10, 5, 12)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_all_spikes_are_snntorch_s(case: str) -> None:
    make, sample = CASES[case]
    torch.manual_seed(2)
    net = lively(make())
    found = agreement(net, sample, trace(net, sample))
    assert found.slots > 100
    assert (found.mismatches, found.values < 1e-5) == (0, True), str(found)
    assert not found.membranes, str(found)
    assert any(p.any() for p in fired(net, sample).values()), "nothing fires: nothing is compared"


def fired(net: Any, sample: Any) -> Any:
    from snnstack.frontends.torch_run import run_module

    return run_module(net, sample, trace(net, sample)).spikes


def test_a_forward_that_wants_states_is_run_by_a_function() -> None:
    class Step(Explicit):
        def forward(self, x: Any, mem1: Any, mem2: Any) -> Any:
            return self.step(x, mem1, mem2)

    def through(net: Any, x: Any) -> Any:
        mem1, mem2, out = net.lif1.reset_mem(), net.lif2.reset_mem(), []
        for now in x:
            spk, mem1, mem2 = net(now, mem1, mem2)
            out.append(spk)
        return out

    net = lively(Step())
    graph = snnstack.load(net, spikes(9, 5, 20), forward=through)
    assert graph.metadata["agreement"]["mismatches"] == 0
    with pytest.raises(snnstack.SnnstackError, match="its forward also wants mem1, mem2"):
        snnstack.load(net, spikes(9, 5, 20))


def test_a_module_is_left_as_it_was() -> None:
    net = lively(ConvNet())
    net.train()
    net.fc.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    snnstack.load(net, spikes(6, 4, 2, 8, 8))
    assert (net.training, net.conv1.training, net.fc.training) == (True, True, False)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert nn.Module.__call__.__qualname__ == "Module._wrapped_call_impl"


def test_names_are_those_of_the_module_and_edges_say_their_steps() -> None:
    torch.manual_seed(0)
    graph = snnstack.load(lively(Recurrent()), spikes(14, 5, 12))
    assert {"into", "back", "lif", "read", "skip", "out", "input", "output"} <= set(graph.nodes)
    delays = {(e.source, e.target): e.delay for e in graph.edges}
    assert (delays["lif", "back"], delays["lif", "read"], delays["into", "lif"]) == (1, 0, 0)
    assert (graph.dt, graph.settings["dt"]) == (1e-3, "default")
    assert {v for k, v in graph.settings.items() if k != "dt"} == {"module"}


@pytest.mark.parametrize("case", ["time first", "recurrent by hand", "convolutions", "RSynaptic"])
def test_a_file_keeps_what_nir_cannot_say(case: str, tmp_path: Path) -> None:
    make, sample = CASES[case]
    torch.manual_seed(2)
    net = lively(make())
    graph = snnstack.load(net, sample)
    write(graph, tmp_path / "net.nir")
    again = read(tmp_path / "net.nir")
    traced = trace(net, sample)
    x = Spikes.from_dense(traced.x.astype(np.uint8))
    one, two = (run_steps(discretised(load(g)), x) for g in (graph, again))
    for name, events in one.spikes.items():
        np.testing.assert_array_equal(events.dense(), two.spikes[name].dense())
    assert again.metadata["agreement"]["mismatches"] == 0


def test_options_replace_what_the_module_says() -> None:
    graph = snnstack.load(
        lively(TimeFirst()), spikes(10, 6, 20), snnstack.Options(reset="subtract", dt=1e-3)
    )
    assert {n.reset_time for n in nodes(graph)} == {"now"}
    assert (graph.dt, graph.settings["dt"], graph.settings["reset"]) == (1e-3, "option", "option")


def nodes(graph: Graph) -> list[Any]:
    return [node for node in graph.nodes.values() if hasattr(node, "reset_time")]
