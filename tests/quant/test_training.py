"""A torch module of a network computes the network; made for a target, what the target computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import snnstack
from snnstack.api import emulate, verify_reference
from snnstack.errors import DataError, TargetError
from snnstack.ir.nodes import LIF, Affine
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from snnstack.report.readout import aligned, parse, scores
from snnstack.samples import as_data
from snnstack.trace import Trace
from snnstack.training.logits import logits
from snnstack.training.neurons import Neurons
from tests.conformance.networks import chain, events, spiking_graphs, steps_of


def outputs(steps: Any, spikes: Any) -> Any:
    name = steps.outputs[0]
    trace = run_steps(steps, spikes, [(name, "v")])
    if name in trace.spikes:
        return trace.spikes[name].dense().reshape(spikes.batch, spikes.steps, -1)
    return trace.states[name, "v"]


@settings(max_examples=15)
@given(graph=spiking_graphs())
def test_a_module_computes_what_the_network_computes(graph: Any) -> None:
    steps = steps_of(graph)
    spikes = events(steps.inputs[0], batch=2, steps=10)
    module = snnstack.torch_module(steps)
    found = module(torch.from_numpy(spikes.dense())).detach().numpy()
    assert np.allclose(found, outputs(steps, spikes), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("reset", "time"),
    [("subtract", "now"), ("subtract", "next"), ("subtract", "recheck"), ("zero", "now"),
     ("zero", "next"), ("zero", "next_all"), ("none", "now")],
)  # fmt: skip
def test_every_reset(reset: Any, time: Any) -> None:
    rng, ones = np.random.default_rng(2), np.ones(6)
    neuron = LIF(
        tau=8.0 * ones, r=8.0 * ones, v_leak=0 * ones, v_reset=0 * ones, v_threshold=ones,
        reset=reset, reset_time=time,
    )  # fmt: skip
    weight = Affine(rng.normal(0.2, 0.6, (6, 5)), np.zeros(6))
    steps = steps_of(chain(weight, neuron, shape=(5,)).with_(dt=1.0))
    spikes = events(steps.inputs[0], steps=40)
    module = snnstack.torch_module(steps)
    found = module(torch.from_numpy(spikes.dense()))
    assert np.array_equal(found.detach().numpy(), outputs(steps, spikes))
    found.sum().backward()
    assert float(module.weights[0].grad.abs().sum()) > 0


@pytest.fixture(scope="module")
def digits(examples_dir: Path) -> Any:
    with np.load(examples_dir / "digits_train.npz") as file:
        return examples_dir / "digits.nir", {"x": file["x"], "y": file["y"].astype(np.int64)}


@pytest.mark.parametrize("target", ["mcu", "loihi", "spinnaker2"])
def test_the_forward_pass_is_the_emulators(digits: Any, target: str) -> None:
    model, data = digits
    module = snnstack.qat(model, target=target, weight_bits=4, calibrate=data)
    optimiser = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], 1e-2)
    x, y = torch.from_numpy(data["x"][:64]), torch.from_numpy(data["y"][:64])
    losses = []
    for _ in range(4):
        built = snnstack.trained(module)
        found = module(x)
        trace = aligned(
            emulate(built.program, as_data({"x": data["x"][:64]}, built.program.port)), 25
        )
        spikes = trace.spikes[built.program.outputs[0]].dense()
        assert np.array_equal(found.detach().numpy(), spikes)
        loss = torch.nn.functional.cross_entropy(found.sum(1), y)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0]
    built = snnstack.trained(module)
    assert built.network is not None
    assert verify_reference(built.program, built.network, data, samples=2).mismatches == 0


def test_both_ways_back_give_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan over a whole population, and the loop over the steps; with recurrence."""
    from tests.conformance.networks import recurrent_example

    steps = discretised(load(recurrent_example()))
    spikes = events(steps.inputs[0], batch=4, steps=30)
    x = torch.from_numpy(spikes.dense())

    def gradients(module: Any) -> list[Any]:
        module.zero_grad()
        weight = torch.linspace(-1, 1, 30, dtype=torch.float64)[None, :, None]
        (module(x) * weight).sum().backward()
        return [p.grad.clone() for p in module.parameters() if p.grad is not None]

    module = snnstack.qat(steps, target="mcu")
    scanned = gradients(module)
    monkeypatch.setattr(Neurons, "fused", False)
    looped = gradients(module)
    assert len(scanned) == len(looped) > 2
    for one, other in zip(scanned, looped, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)
    assert any(float(g.abs().sum()) > 0 for g in scanned)


def test_pruned_weights_stay_away_in_training(digits: Any) -> None:
    model, data = digits
    module = snnstack.qat(model, target="mcu", options=Options(prune=0.8))
    x = torch.from_numpy(data["x"][:8])
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], 0.1)
    before = [int((p.synapses.weight != 0).sum()) for p in module.step_graph().projections]
    module(x).sum().backward()
    optimiser.step()
    after = [int((p.synapses.weight != 0).sum()) for p in module.step_graph().projections]
    assert after == before


def test_refusals(digits: Any) -> None:
    model, _ = digits
    module = snnstack.torch_module(model)
    with pytest.raises(TargetError) as error:
        snnstack.trained(module)
    assert str(error.value) == "module: was not made for a target (make it with snnstack.qat)"
    with pytest.raises(DataError) as wrong:
        module(torch.zeros(2, 3, 5))
    assert str(wrong.value) == "pixels: x has the shape [2, 3, 5] (needs [batch, step, [64]])"


def test_a_snntorch_module_is_taken_as_it_is() -> None:
    import snntorch as snn
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), snn.Leaky(beta=0.9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mem, out = self.lif.init_leaky(), []
            for step in x:
                spikes, mem = self.lif(self.fc(step), mem)
                out.append(spikes)
            return torch.stack(out)

    torch.manual_seed(0)
    net = Net()
    sample = (torch.rand(20, 3, 6) < 0.4).float()
    module = snnstack.torch_module(net, sample=sample)
    found = module(sample.transpose(0, 1)).transpose(0, 1)
    assert torch.equal(found, net(sample).double())
    assert float(found.detach().sum()) > 5
    for target in ("mcu", "spinnaker2", "loihi"):  # the last two cannot subtract a step late
        module = snnstack.qat(net, target=target, sample=sample, weight_bits=4)
        module(sample.transpose(0, 1)).sum().backward()
        trained = snnstack.trained(module)
        assert trained.network is not None
        assert trained.program.target == target


def test_the_module_refuses_what_the_emulator_refuses(digits: Any) -> None:
    """Values that are no counts: negative, fractions, beyond 255; nothing wraps."""
    model, data = digits
    module = snnstack.qat(model, target="mcu")
    x = torch.from_numpy(data["x"][:1]).double()
    for wrong in (-x, x / 2, x * 300, x * float("nan")):
        with pytest.raises(DataError):
            module(wrong)


@pytest.mark.parametrize("text", ["usual", "sum", "mean", "last", "max", "softmax", "last:2"])
def test_training_reads_membranes_as_accuracy_does(text: str) -> None:
    v = np.random.default_rng(0).normal(size=(3, 7, 4))
    wanted = scores(Trace({}, {("out", "v"): v}), "out", parse(text))
    np.testing.assert_allclose(logits(torch.from_numpy(v), parse(text)).numpy(), wanted)


def test_training_by_the_first_spike_prefers_the_earlier() -> None:
    sent = torch.zeros(1, 9, 2)
    sent[0, 1, 0], sent[0, 2:, 1] = 1, 1
    assert logits(sent, parse("first-spike")).argmax(1).tolist() == [0]
