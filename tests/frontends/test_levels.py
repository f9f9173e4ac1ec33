"""Real-valued input as counts: what is compared, compiled and encoded is the same network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnstack
from snnstack.errors import DataError
from snnstack.frontends.levels import Levels, levels_of
from snnstack.loading import discretised
from tests.conftest import needed
from tests.frontends.nets import lively

snn = needed("snntorch")


def net() -> Any:
    return lively(
        nn.Sequential(
            nn.Conv1d(3, 6, 3, padding=1), snn.Leaky(beta=0.8, init_hidden=True), nn.Flatten(),
            nn.Linear(48, 5), snn.Leaky(beta=0.7, init_hidden=True, output=True),
        )
    )  # fmt: skip


def test_levels_span_the_values_and_hold_zero() -> None:
    levels = levels_of(np.array([0.5, 2.0]), 4)
    assert levels == Levels(0.0, 0.5, 4)
    assert levels.counts([0.0, 0.6, 9.0, -1.0]).tolist() == [0, 1, 4, 0]
    assert levels_of(np.array([-1.0, 1.0]), 2).counts([-1, 0, 1]).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="levels: 300 levels"):
        levels_of(np.array([1.0]), 300)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_counts_stand_for_the_rounded_values(low: float) -> None:
    """Padding stays 0 in the module's units, whatever count 0 means."""
    sample = low + (1 - low) * torch.rand(12, 8, 3, 8)
    graph = snnstack.load(net(), sample, levels=15)
    assert graph.inputs()["input"].events == "count"
    told = graph.metadata["agreement"]
    assert (told["mismatches"], told["slots"]) == (0, 12 * 8 * 53)
    assert discretised(graph).settings["input_levels"]["most"] == 15


def test_a_program_encodes_its_data(tmp_path: Any) -> None:
    sample = torch.randn(12, 8, 3, 8)
    graph = snnstack.load(net(), sample, levels=31)
    x = sample.numpy().transpose(1, 0, 2, 3)
    np.savez(tmp_path / "real.npz", x=x, y=np.arange(8) % 5)
    program = snnstack.compile(graph, "nucleo-l4r5zi", calibrate=tmp_path / "real.npz")
    counts = snnstack.encode(program, x)
    assert (counts.dtype, counts.shape, int(counts.max())) == (np.uint8, x.shape, 31)
    assert np.array_equal(counts, snnstack.encode(graph, x))
    trace = snnstack.emulate(program, {"x": counts})
    assert trace.spikes["4"].per_neuron().sum() > 0
    again = snnstack.compile(graph, "nucleo-l4r5zi", calibrate={"x": x})
    assert again.layers[0].threshold.tolist() == program.layers[0].threshold.tolist()


def test_what_takes_no_encoded_input_says_so() -> None:
    graph = snnstack.load(net(), (torch.rand(6, 4, 3, 8) < 0.4).float(), levels=31)
    assert graph.inputs()["input"].events == "binary"
    with pytest.raises(DataError, match="input: the network takes no encoded input"):
        snnstack.encode(graph, np.zeros((1, 6, 3, 8)))
