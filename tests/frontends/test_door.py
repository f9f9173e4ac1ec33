"""Modules and samples that cannot be watched are refused by name, with what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnstack
from snnstack.errors import ModelError
from tests.conftest import needed
from tests.frontends.nets import spikes

snn = needed("snntorch")
X = spikes(8, 3, 10)
EAGER = "(give the eager module that it was made of, with its weights: module.load_state_dict(...))"


class Net(nn.Module):
    """One layer, over all steps; `keep` says which steps of which samples it looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(10, 6), snn.Leaky(beta=0.8)

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.init_leaky(), []
        for step in x:
            spike, mem = self.lif(self.fc(step), mem)
            out.append(spike)
        return torch.stack(out)


class Two(Net):
    """Two inputs."""

    def forward(self, x: Any, y: Any) -> Any:  # type: ignore[override]
        return super().forward(torch.cat([x, y], -1))


def message(module: Any, sample: Any, **said: Any) -> str:
    with pytest.raises(ModelError) as error:
        snnstack.load(module, sample, **said)
    return str(error.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_is_refused_with_what_to_give() -> None:
    what = "is TorchScript: compiled, its neurons cannot be watched"
    scripted = torch.jit.script(nn.Linear(10, 6))
    traced = torch.jit.trace(nn.Sequential(nn.Linear(10, 6)), X[0])
    assert message(scripted, X) == f"RecursiveScriptModule: {what} {EAGER}"
    assert message(traced, X) == f"TopLevelTracedModule: {what} {EAGER}"
    inside = nn.Sequential(scripted, snn.Leaky(beta=0.8, init_hidden=True))
    assert message(inside, X) == (
        f"0: is TorchScript: compiled, what it does cannot be watched {EAGER}"
    )


def test_exported_programs_are_refused() -> None:
    exported = torch.export.export(nn.Sequential(nn.Linear(10, 6)), (X[0],))
    what = "is an exported program of torch.export: compiled, its neurons cannot be watched"
    assert message(exported, X) == f"ExportedProgram: {what} {EAGER}"
    assert message(exported.module(), X) == f"GraphModule: {what} {EAGER}"


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "torch.compile": lambda net: torch.compile(net, backend="eager"),
    "DataParallel": nn.DataParallel,
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrappers_with_the_module_inside_are_read(wrapper: str) -> None:
    graph = snnstack.load(WRAPPED[wrapper](Net()), X)
    assert graph.metadata["agreement"]["mismatches"] == 0
    assert (graph.metadata["name"], "lif" in graph.nodes) == ("Net", True)


def test_a_class_is_no_module() -> None:
    assert message(Net, X) == "Net: is a class, not a module (give an instance: Net(...))"


def test_two_inputs_are_refused_by_name() -> None:
    hint = (
        "(a network has one input: put them side by side and take them apart again, "
        "load(net, torch.cat(inputs, -1), forward=lambda net, x: net(x[..., :n], x[..., n:])))"
    )
    said = "input: the sample is 2 tensors, for 2 inputs"
    assert message(Two(), (X[..., :4], X[..., 4:])) == f"{said} {hint}"
    assert message(Two(), [X[..., :4], X[..., 4:]]) == f"{said} {hint}"
    named = {"x": X[..., :4], "y": X[..., 4:]}
    assert message(Two(), named) == (
        f"input: the sample is named tensors, for the inputs x, y {hint}"
    )
    graph = snnstack.load(Two(), X, forward=lambda net, x: net(x[..., :4], x[..., 4:]))
    assert graph.metadata["agreement"]["mismatches"] == 0


@pytest.mark.parametrize(
    "sample",
    ["data.npz", [[1, 2], [3]], np.array(["a"]), torch.zeros(2, 2, device="meta"), np.array([{}])],
)
def test_what_is_no_sample_is_named(sample: Any) -> None:
    assert message(Net(), sample).startswith(f"input: the sample is {type(sample).__name__}")


def test_numbers_no_network_can_be_run_on() -> None:
    hint = "(a tensor or an array of finite numbers, [step, sample, ...] or what forward takes)"
    for value in (np.nan, np.inf):
        found = message(Net(), torch.full(X.shape, value))
        assert found == f"input: the sample has NaN or infinite values {hint}"
    found = message(Net(), X.to(torch.complex64))
    assert found == f"input: the sample has complex numbers {hint}"


class Shorter(Net):
    """Ends when all that is left is padded."""

    def forward(self, x: Any) -> Any:
        return super().forward([step for step in x if step.sum() > 0])


class Narrower(Net):
    """Leaves out samples that have ended; they are sorted by their length."""

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.init_leaky(), None
        for step in x:
            left = int((step.sum(-1) > 0).sum())
            if not left:
                break
            out, mem = self.lif(self.fc(step[:left]), mem[:left] if mem.ndim else mem)
        return out


def padded(*lengths: int) -> Any:
    x = torch.ones_like(X)
    for sample, length in enumerate(lengths):
        x[length:, sample] = 0
    return x


def test_forwards_that_leave_out_padded_steps() -> None:
    hint = "(give a sample without padded steps; chips run all steps of every sample)"
    left_out = "of the sample: forward leaves out some steps or samples"
    torch.manual_seed(0)
    assert message(Shorter(), padded(5, 5, 5)) == f"lif: ran on 5 of 8 steps {left_out} {hint}"
    assert message(Narrower(), padded(8, 6, 4)) == f"lif: ran on a part only {left_out} {hint}"
    assert snnstack.load(Narrower(), padded(8, 8, 8)).metadata["agreement"]["mismatches"] == 0


RUNS: list[int] = []


class Failing(Net):
    """Runs twice."""

    def forward(self, x: Any) -> Any:
        RUNS.append(len(x))
        if len(RUNS) > 2:
            raise KeyError("padded")
        return super().forward(x)


def test_what_a_forward_raises_is_told() -> None:
    found = message(Failing(), X)
    assert found.startswith("Failing: could not be run on the sample: KeyError: 'padded' (give")
