"""The read-out that a module's own forward uses: found where it is certain, else said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch as snn
import snntorch.functional
import torch
from torch import nn

import snnstack
from snnstack.report.told import told
from tests.frontends.nets import lively, spikes

X = spikes(12, 7, 5)


class Loop(nn.Module):
    """All steps of one layer; `what` makes the result of all spikes and membranes."""

    def __init__(self, what: Any, silent: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 6)
        self.lif = snn.Leaky(beta=0.8, reset_mechanism="none" if silent else "subtract")
        self.what = what

    def forward(self, x: Any) -> Any:
        mem, spk_rec, mem_rec = self.lif.init_leaky(), [], []
        for step in x:
            spk, mem = self.lif(self.fc(step), mem)
            spk_rec.append(spk)
            mem_rec.append(mem)
        return self.what(torch.stack(spk_rec), torch.stack(mem_rec))


CERTAIN: dict[str, tuple[Any, bool, str]] = {
    "last": (lambda s, m: m[-1], True, "last"),
    "max": (lambda s, m: m.max(0).values, True, "max"),
    "sum": (lambda s, m: m.sum(0), True, "sum"),
    "mean": (lambda s, m: m.mean(0), True, "sum"),
    "softmax of every step": (lambda s, m: torch.softmax(m, 2).sum(0), True, "softmax"),
    "softmax at the end": (lambda s, m: torch.softmax(m[-1], 1), True, "last"),
    "log softmax at the end": (lambda s, m: torch.log_softmax(m.amax(0), 1), True, "max"),
    "spikes": (lambda s, m: s.sum(0), False, "rate"),
    "rate": (lambda s, m: s.mean(0), False, "rate"),
    "population": (lambda s, m: s.sum(0).reshape(-1, 3, 2).sum(2), False, "rate:3"),
}
OPEN: dict[str, tuple[Any, bool]] = {
    "all spikes": (lambda s, m: s, False),
    "all membranes": (lambda s, m: m, True),
    "both": (lambda s, m: (s, m), False),
    "the first half": (lambda s, m: s[:6].sum(0), False),
    "two sums": (lambda s, m: m[-1] + m.sum(0), True),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_a_result_of_one_read_out_is_read_by_it(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    what, silent, wanted = CERTAIN[case]
    net = lively(Loop(what, silent))
    graph = snnstack.load(net, X)
    assert graph.metadata["readout"] == wanted
    said = f"Loop: classes are read as the module returns them: readout={wanted!r}"
    assert said in caplog.messages
    with torch.no_grad():
        classes = net(X).argmax(1).numpy()
    data = {"x": X.numpy().astype(np.uint8).swapaxes(0, 1), "y": classes}
    (row,) = snnstack.bench(graph, ["nucleo-l4r5zi"], data)
    assert row.accuracy_float == 1.0


@pytest.mark.parametrize("case", OPEN)
def test_another_result_is_said_to_be_assumed(case: str, caplog: pytest.LogCaptureFixture) -> None:
    graph = snnstack.load(lively(Loop(*OPEN[case])), X)
    assert "readout" not in graph.metadata
    assert any(
        "by most spikes, else the largest summed membrane (ass" in m for m in caplog.messages
    )


def test_options_come_first_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    net = lively(Loop(*CERTAIN["last"][:2]))
    graph = snnstack.load(net, X, snnstack.Options(readout="max"))
    assert graph.metadata["readout"] == "max"
    assert not any("classes are read" in m for m in caplog.messages)


def test_what_two_read_outs_would_give_is_not_certain() -> None:
    rising = np.cumsum(np.random.default_rng(0).random((5, 9, 4)), axis=1)
    assert told(rising[:, -1], rising, fires=False) is None  # the last is the largest
    assert told(np.zeros((5, 4)), np.zeros((5, 9, 4)), fires=True) is None


def population() -> tuple[nn.Module, torch.Tensor, dict[str, Any]]:
    """Three classes of five neurons, whose first neuron alone would name another class."""
    net = nn.Sequential(nn.Linear(3, 15, bias=False), snn.Leaky(beta=0.5, init_hidden=True))
    weight = torch.zeros(15, 3)
    for k in range(3):
        weight[5 * k : 5 * k + 5, k] = 1.2
    net[0].weight.data = weight
    y = np.arange(30) % 3
    x = torch.zeros(20, 30, 3)
    x[::2, np.arange(30), y] = 1
    return net, x, {"x": x.numpy().astype(np.uint8).swapaxes(0, 1), "y": y}


HINTED = "data: y names 3 classes, the output has 15 neurons: each is read as a class "
HINTED += "(--readout rate:3 where blocks of 5 are a class)"


def test_labels_of_blocks_are_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    net, x, data = population()
    graph = snnstack.load(net, x)
    (row,) = snnstack.bench(graph, ["nucleo-l4r5zi"], data)
    assert row.accuracy_float == row.accuracy < 0.5
    assert caplog.messages.count(HINTED) == 1
    program = snnstack.compile(graph, "neurram")
    caplog.clear()
    snnstack.verify(program, data, samples=20)
    assert HINTED in caplog.messages


def test_a_said_population_code_is_the_frameworks(caplog: pytest.LogCaptureFixture) -> None:
    net, x, data = population()
    spikes_ = torch.stack([net(step) for step in x])
    of = snn.functional.accuracy_rate
    assert of(spikes_, torch.tensor(data["y"]), population_code=True, num_classes=3) == 1.0
    graph = snnstack.load(net, x, snnstack.Options(readout="rate:3"))
    boards = ["nucleo-l4r5zi", "oheo-gulch", "spinnaker2-chip", "neurram"]
    for row in snnstack.bench(graph, boards, data):
        assert row.accuracy_float == row.accuracy == 1.0
    assert HINTED not in caplog.messages
