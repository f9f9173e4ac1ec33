"""ANNs as torch exports them: converted, and of the ANN's own mind by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import snnstack
from snnstack.frontends.windows import even

X = torch.rand(96, 2, 8, 8, generator=torch.Generator().manual_seed(5))


class Viewed(nn.Module):
    """`view` with the batch that it is given."""

    def __init__(self, body: Any, act: Any, width: int) -> None:
        super().__init__()
        self.body, self.act, self.head = body, act, nn.Linear(width, 5)

    def forward(self, x: Any) -> Any:
        z = self.act(self.body(x))
        return self.head(z.view(z.size(0), -1))


def conv(**said: Any) -> Any:
    return nn.Conv2d(2, 4, 3, **said)


def larger(x: Any) -> Any:
    return torch.maximum(x, torch.zeros(()))


CASES: dict[str, Any] = {
    "view": (conv(), torch.relu, 144),
    "zero pad": (nn.Sequential(nn.ZeroPad2d((1, 0, 2, 0)), conv()), torch.relu, 4 * 8 * 7),
    "zero pad, stride": (
        nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv(stride=2)), torch.relu, 64),
    "zero pad and padding": (
        nn.Sequential(nn.ZeroPad2d((0, 2, 1, 0)), conv(padding=1)), torch.relu, 4 * 9 * 10),
    "zero pad, dilated": (
        nn.Sequential(nn.ZeroPad2d((3, 0, 0, 1)), conv(dilation=2)), torch.relu, 4 * 5 * 7),
    "maximum with 0": (conv(), larger, 144),
}  # fmt: skip


def exported(case: str, path: Path) -> Any:
    """The module of a case, whose classes are about as frequent, as a file."""
    torch.manual_seed(1)
    net = Viewed(*CASES[case]).eval()
    with torch.no_grad():
        net.head.bias -= net(X).mean(0)
    said: dict[str, Any] = {"dynamo": False, "input_names": ["x"]}
    torch.onnx.export(net, (X[:1],), path, dynamic_axes={"x": {0: "b"}}, **said)
    return net


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_an_export_agrees_with_its_ann(case: str, tmp_path: Path) -> None:
    exported(case, tmp_path / "a.onnx")
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": X.numpy()})[0]
    data = {"x": X.numpy(), "y": found.argmax(1)}
    curve = snnstack.accuracy_curve(tmp_path / "a.onnx", data, steps=(256,))
    assert curve.points[0].agreement >= 0.95
    assert curve.accuracy_ann == 1.0


class ChannelsLast(nn.Module):
    """As Keras networks come: one Transpose in front of convolutions, one behind them."""

    def __init__(self, late: bool) -> None:
        super().__init__()
        self.late = late
        self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3, stride=2)
        self.shift = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))
        self.head = nn.Identity()

    def forward(self, x: Any) -> Any:
        z = self.two(torch.relu(self.one(x.permute(0, 3, 1, 2))))
        if self.late:
            z = torch.relu(z.permute(0, 2, 3, 1) + self.shift)
        else:
            z = torch.relu(z).permute(0, 2, 3, 1)
        return self.head(torch.flatten(z, 1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("late", [False, True])
def test_channels_last_outside(late: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net, x = ChannelsLast(late).eval(), X.reshape(-1, 16, 8, 1)[:, :9]
    with torch.no_grad():
        net.head = nn.Linear(net.two(net.one(x.permute(0, 3, 1, 2)))[0].numel(), 5)
        net.head.bias -= net(x).mean(0)
    said: dict[str, Any] = {"dynamo": False, "input_names": ["x"]}
    torch.onnx.export(net, (x[:1],), tmp_path / "a.onnx", dynamic_axes={"x": {0: "b"}}, **said)
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": x.numpy()})[0]
    data = {"x": x.numpy(), "y": found.argmax(1)}
    curve = snnstack.accuracy_curve(tmp_path / "a.onnx", data, steps=(256,))
    assert curve.points[0].agreement >= 0.95


class Turned(nn.Module):
    """Several channels, the last axis of the samples; a mean over the image at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, stride=2), nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        z = torch.relu(self.one(x.permute(0, 3, 1, 2)))
        return self.head(torch.relu(self.two(z)).permute(0, 2, 3, 1).mean((1, 2)))


def before(layer: Any, given: Any, conv: Any = nn.Conv2d) -> Any:
    """A layer in front of a convolution that pads, and a head."""
    out = layer(given[:1]).shape[1:]
    width = 4 * int(np.prod(out[1:]))
    ends = [nn.ReLU(), nn.Flatten(), nn.Linear(width, 5)]
    return nn.Sequential(layer, conv(out[0], 4, 3, padding=1), *ends)


class Joined(nn.Module):
    """Two branches behind each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 2, 1)

    def forward(self, x: Any) -> Any:
        return torch.cat([torch.relu(self.a(x)), self.b(x)], 1)


LINE = torch.rand(96, 4, 16, generator=torch.Generator().manual_seed(6))
PLACES: dict[str, Any] = {
    "transposed": nn.ConvTranspose2d(2, 3, 3, 2, 1, 1),
    "transposed, groups": nn.ConvTranspose2d(2, 4, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (2, 1)),
    "nearest": nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Upsample(scale_factor=2)),
    "bilinear": nn.Upsample(size=(11, 5), mode="bilinear"),
    "shuffled": nn.Sequential(nn.Conv2d(2, 8, 1), nn.ReLU(), nn.PixelShuffle(2)),
    "unshuffled": nn.PixelUnshuffle(2),
    "reflected": nn.ReflectionPad2d(1),
    "ceil": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "pads not counted": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "joined": Joined(),
    "reshaped": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 4, 8))),
    "average of a line": nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "transposed line": nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2),
    "channels last": Turned(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("case", PLACES)
def test_maps_are_enlarged_joined_and_moved(case: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    x = (
        LINE
        if case.endswith(" line")
        else X.permute(0, 2, 3, 1).contiguous()
        if "last" in case
        else X
    )
    conv = nn.Conv1d if case.endswith(" line") else nn.Conv2d
    net = PLACES[case] if "last" in case else before(PLACES[case], x, conv)
    head = [m for m in net.eval().modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        head.bias -= net(x).mean(0)
    said: dict[str, Any] = {"dynamic_axes": {"x": {0: "b"}}, "input_names": ["x"]}
    if dynamo:
        said = {"dynamic_shapes": ({0: torch.export.Dim("b")},), "verbose": False}
    torch.onnx.export(net, (x[:2],), tmp_path / "a.onnx", dynamo=dynamo, **said)
    running = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    found = running.run(None, {running.get_inputs()[0].name: x.numpy()})[0]
    data = {"x": x.numpy(), "y": found.argmax(1)}
    curve = snnstack.accuracy_curve(tmp_path / "a.onnx", data, steps=(512,))
    assert curve.points[0].agreement >= 0.95


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_other_precisions(kind: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(128, 30), nn.ReLU(), nn.Linear(30, 5)).eval()
    with torch.no_grad():
        net[-1].bias -= net(X).mean(0)
    said: dict[str, Any] = {"dynamo": False, "input_names": ["x"]}
    net, x = net.to(kind), X.to(kind)
    torch.onnx.export(net, (x[:1],), tmp_path / "a.onnx", dynamic_axes={"x": {0: "b"}}, **said)
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": x.numpy()})[0]
    data = {"x": X.numpy(), "y": found.argmax(1)}
    curve = snnstack.accuracy_curve(tmp_path / "a.onnx", data, steps=(512,))
    assert curve.points[0].agreement >= 0.95


@pytest.mark.parametrize("ends", [((1, 0), (0, 2)), ((0, 0), (1, 1)), ((2, 1), (2, 1))])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
def test_an_uneven_pad_is_a_larger_kernel(ends: Any, dilation: Any) -> None:
    weight = torch.rand(3, 2, 3, 3, dtype=torch.float64)
    (top, left), (bottom, right) = ends
    x = X[:2].double()
    padded = nn.functional.pad(x, (left, right, top, bottom))
    wanted = nn.functional.conv2d(padded, weight, stride=(2, 1), dilation=dilation)
    made, padding, wide = even(weight.numpy(), *ends, dilation)
    found = nn.functional.conv2d(
        x, torch.from_numpy(made), stride=(2, 1), padding=padding, dilation=wide
    )
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12)
