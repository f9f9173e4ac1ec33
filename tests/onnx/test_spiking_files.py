"""Spiking networks in ONNX are refused, with what would do; a lost state is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import snntorch as snn
import torch
from torch import nn

import snnstack
from snnstack.errors import ModelError

MODULE = "give the trained module itself: snnstack.load(module, sample)"


@pytest.mark.filterwarnings("ignore")
def test_a_state_that_the_export_lost(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Linear(6, 5), snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(5, 3), snn.Leaky(beta=0.8, init_hidden=True, output=False),
    )  # fmt: skip
    path = tmp_path / "lost.onnx"
    torch.onnx.export(module.eval(), (torch.zeros(1, 6),), path, dynamo=False)
    with pytest.raises(ModelError) as error:
        snnstack.load(path)
    text = str(error.value)
    assert text.startswith(f"{path}: has neurons that fire (")
    assert text.endswith(
        ") but no state as input: exporting lost it, so every step starts anew "
        f"(export one step with explicit state (init_hidden=False); better, {MODULE})"
    )


@pytest.mark.filterwarnings("ignore")
def test_one_step_with_explicit_state(tmp_path: Path) -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 5), snn.Leaky(beta=0.9)

        def forward(self, x: torch.Tensor, mem: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(self.lif(self.fc(x), mem))

    path = tmp_path / "step.onnx"
    torch.onnx.export(
        Step().eval(), (torch.zeros(1, 6), torch.zeros(1, 5)), path, dynamo=False,
        input_names=["x", "mem"],
    )  # fmt: skip
    with pytest.raises(ModelError) as error:
        snnstack.load(path)
    assert str(error.value) == (
        f"{path}: is one step of a spiking network with the states mem; such files are not read "
        f"({MODULE})"
    )
