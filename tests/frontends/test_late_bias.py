"""A bias that a neuron is given only from a later step on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnstack
from snnstack.errors import ModelError
from snnstack.frontends.nir import read, write
from snnstack.frontends.torch_load import trace
from snnstack.live import agreement
from snnstack.loading import discretised, load
from snnstack.reference.run import run_steps
from snnstack.trace import Spikes
from tests.conftest import needed
from tests.frontends.nets import lively, spikes

snn = needed("snntorch")


class Kept(nn.Module):
    """The output of a biased layer, used `ago` steps later; `alone`: it is all a neuron gets."""

    def __init__(self, bias: float, ago: int = 1, alone: bool = False) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.lif1, self.lif2 = snn.Leaky(beta=0.5), snn.Leaky(beta=0.9)
        self.ago, self.alone = ago, alone
        nn.init.constant_(self.fc2.bias, bias)

    def start(self, x: Any) -> Any:
        return torch.zeros(x.shape[1], 8)

    def forward(self, x: Any) -> Any:
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        kept = [self.start(x)] * self.ago
        self.membranes = []
        for now in x:
            spk1, mem1 = self.lif1(self.fc1(now), mem1)
            current = kept[-self.ago] if self.alone else self.fc3(spk1) + kept[-self.ago]
            spk2, mem2 = self.lif2(current, mem2)
            kept.append(self.fc2(spk1))
            out.append(spk2)
            self.membranes.append(mem2)
        return torch.stack(out)


class Alpha(nn.Module):
    """Neurons that act on their input a step late, behind a biased layer."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(6, 8)
        self.lif2 = snn.Alpha(alpha=0.9, beta=0.5, reset_mechanism="none")
        nn.init.constant_(self.fc1.bias, bias)

    def forward(self, x: Any) -> Any:
        (exc, inh, mem), out = self.lif2.reset_mem(), []
        self.membranes = []
        for now in x:
            spk, exc, inh, mem = self.lif2(self.fc1(now), exc, inh, mem)
            out.append(spk)
            self.membranes.append(mem)
        return torch.stack(out)


CASES = {
    "kept": lambda bias: Kept(bias),
    "kept for three steps": lambda bias: Kept(bias, ago=3),
    "kept, and nothing else": lambda bias: Kept(bias, alone=True),
    "Alpha": Alpha,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bias", [1.5, 5e-4], ids=["spikes differ", "membranes differ"])
def test_a_bias_begins_when_it_does_in_the_framework(case: str, bias: float) -> None:
    net = lively(CASES[case](bias))
    sample = spikes(12, 4, 6)
    traced = trace(net, sample)
    assert agreement(net, sample, traced).mismatches == 0
    x = Spikes.from_dense(traced.x.astype(np.uint8))
    here = run_steps(discretised(load(traced.graph)), x, [("lif2", "v")]).states["lif2", "v"]
    with torch.no_grad():
        net(sample)
    there = torch.stack(net.membranes).transpose(0, 1).numpy()
    np.testing.assert_allclose(here, there, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_door_sees_a_membrane_that_differs(case: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("snnstack.frontends.torch_build.beginnings", lambda values: [])
    net = lively(CASES[case](5e-4))
    found = agreement(net, spikes(12, 4, 6), trace(net, spikes(12, 4, 6)))
    assert found.mismatches == 0
    with pytest.raises(ModelError, match=r"lif2.*the membrane is .* in the framework"):
        snnstack.load(net, spikes(12, 4, 6))


def test_a_bias_that_is_there_from_the_start_needs_nothing() -> None:
    class Begun(Kept):
        def start(self, x: Any) -> Any:
            return self.fc2(torch.zeros(x.shape[1], 8))

    for alone in (False, True):
        net = lively(Begun(0.5, alone=alone))
        graph = snnstack.load(net, spikes(12, 4, 6))
        assert "always" not in graph.nodes


def test_a_bias_of_a_map_that_begins_late_is_refused_by_name() -> None:
    class Map(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.alpha = snn.Alpha(
                alpha=0.9, beta=0.5, reset_mechanism="none", init_hidden=True, output=True
            )

        def forward(self, x: Any) -> Any:
            return self.alpha(self.conv(x))[0]

    with pytest.raises(ModelError, match=r"alpha \(Alpha\).*bias.*bias=False"):
        snnstack.load(lively(Map()), spikes(8, 3, 1, 5, 5))


def test_a_file_and_firmware_keep_it(tmp_path: Path) -> None:
    net, sample = lively(Kept(1.5)), spikes(12, 4, 6)
    write(snnstack.load(net, sample), tmp_path / "net.nir")
    x = sample.numpy().transpose(1, 0, 2).astype(np.uint8)
    steps = discretised(load(read(tmp_path / "net.nir")))
    real = run_steps(steps, Spikes.from_dense(x)).spikes["lif2"].dense()
    with torch.no_grad():
        np.testing.assert_array_equal(real, net(sample).transpose(0, 1).numpy())
    program = snnstack.compile(read(tmp_path / "net.nir"), "nucleo-l4r5zi", calibrate={"x": x})
    integer = snnstack.emulate(program, {"x": x}).spikes["lif2"].dense()
    assert np.mean(integer != real) < 0.05
