"""One step of neurons with operations over places between them, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnstack

pytestmark = pytest.mark.filterwarnings("ignore")

LAYERS: dict[str, Any] = {
    "transposed": nn.ConvTranspose2d(3, 2, 3, 2, 1, 1),
    "transposed, groups": nn.ConvTranspose2d(3, 3, (3, 2), (2, 3), (1, 0), (1, 2), 3, True, (2, 1)),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(size=(9, 5), mode="bilinear"),
    "zeros": nn.ZeroPad2d((1, 0, 2, 3)),
    "reflected": nn.ReflectionPad2d(1),
    "shuffled": nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2)),
    "unshuffled": nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.PixelUnshuffle(2)),
    "ceil": nn.AvgPool2d(2, ceil_mode=True),
    "pads not counted": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "same": nn.Conv2d(3, 2, (2, 3), padding="same"),
}


class Step(nn.Module):
    """Neurons of maps, a layer, neurons of what it gives."""

    def __init__(self, layer: Any, join: bool = False) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.one, self.layer, self.join = nn.Conv2d(2, 3, 3, padding=1), layer, join
        given = torch.zeros(1, 6 if join else 3, 5, 5)
        self.two = nn.Conv2d(layer(given).shape[1], 4, 3, padding=1)
        for conv in (self.one, self.two):
            conv.weight.data *= 4
        self.shape = tuple(self.two(layer(given)).shape[1:])

    def forward(self, x: Any, a: Any, b: Any) -> tuple[Any, ...]:
        a = 0.8 * a + self.one(x)
        s = (a > 1.0).float()
        b = 0.7 * b + self.two(self.layer(torch.cat([s, 0.5 * s], 1) if self.join else s))
        out = (b > 0.6).float()
        return out, a - s, b * (1 - out)


def compared(path: Path, net: Step, dynamo: bool) -> None:
    shapes = ((2, 5, 5), (3, 5, 5), net.shape)
    given = tuple(torch.zeros(1, *shape) for shape in shapes)
    said: dict[str, Any] = {"input_names": ["x", "a", "b"], "output_names": ["s", "a2", "b2"]}
    torch.onnx.export(net.eval(), given, path, dynamo=dynamo, verbose=False, **said)
    rows = (np.random.default_rng(0).random((20, 2, 2, 5, 5)) < 0.5).astype(np.float32)
    noted = snnstack.load(path, rows).metadata["agreement"]
    assert (noted["framework"], noted["mismatches"]) == ("onnxruntime", 0)
    assert noted["slots"] == 20 * 2 * (75 + int(np.prod(net.shape)))


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("case", LAYERS)
def test_layers_over_places(tmp_path: Path, case: str, dynamo: bool) -> None:
    compared(tmp_path / "step.onnx", Step(LAYERS[case]), dynamo)


def test_joined_maps(tmp_path: Path) -> None:
    compared(tmp_path / "step.onnx", Step(nn.Conv2d(6, 2, 1), join=True), False)
