"""Operations over the places of a map: the framework's own spikes, and the same on every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import snnstack
from snnstack.api import verify_reference
from snnstack.board import all_boards
from snnstack.building import build_steps
from snnstack.errors import ModelError
from snnstack.frontends.torch_load import trace
from snnstack.live import agreement
from snnstack.target import target_names
from tests.conformance.networks import events, steps_of
from tests.conftest import needed
from tests.frontends.nets import lively, spikes

needed("spikingjelly")
from spikingjelly.activation_based import neuron  # noqa: E402

BOARDS = {board.target: board for board in reversed(all_boards())}
SPACE = (4, 5, 7)


class Does(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def transposed_by_function(x: Any) -> Any:
    return F.conv_transpose2d(x, torch.full((4, 2, 2, 2), 0.3), stride=2)


LAYERS: dict[str, Any] = {
    "transposed": nn.ConvTranspose2d(4, 3, 3, 2, 1, 1),
    "transposed, groups": nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (2, 1)),
    "transposed, stride 1": nn.ConvTranspose2d(4, 3, 3, padding=1),
    "transposed, cut off": nn.ConvTranspose2d(4, 3, 3, 1, 3),
    "transposed, function": Does(transposed_by_function),
    "nearest": nn.Upsample(scale_factor=2),
    "nearest, to a size": nn.Upsample(size=(7, 9)),
    "nearest, factors": nn.Upsample(scale_factor=(1.5, 3)),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear, corners": nn.Upsample(size=(9, 5), mode="bilinear", align_corners=True),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "interpolate": Does(lambda x: F.interpolate(x, scale_factor=2)),
    "interpolate, area": Does(lambda x: F.interpolate(x, size=(3, 4), mode="area")),
    "zeros": nn.ZeroPad2d((1, 0, 2, 3)),
    "zeros, function": Does(lambda x: F.pad(x, (1, 0, 0, 2))),
    "cut off": nn.ZeroPad2d((-1, 2, 0, -1)),
    "reflected": nn.ReflectionPad2d(2),
    "repeated": nn.ReplicationPad2d((1, 2, 0, 1)),
    "convolution of a ring": nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"),
    "average, ceil": nn.AvgPool2d(2, 2, ceil_mode=True),
    "average, pads not counted": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average, both": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average, divisor and ceil": nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=3),
    "average, divisor": nn.AvgPool2d(3, 2, divisor_override=3),
    "average, function": Does(lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
    "adaptive": nn.AdaptiveAvgPool2d((3, 4)),
    "adaptive, one axis": nn.AdaptiveAvgPool2d((None, 2)),
    "adaptive, function": Does(lambda x: F.adaptive_avg_pool2d(x, (3, 4))),
    "sums, ceil": nn.LPPool2d(1, 2, ceil_mode=True),
    "shuffled": nn.PixelShuffle(2),
    "shuffled, function": Does(lambda x: F.pixel_shuffle(x, 2)),
    "unshuffled": nn.Sequential(nn.ZeroPad2d((0, 1, 1, 0)), nn.PixelUnshuffle(2)),
    "channels shuffled": nn.ChannelShuffle(2),
}
MAXIMA: dict[str, Any] = {
    "ceil": nn.MaxPool2d(2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, 1, dilation=2),
    "ceil and padding": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "adaptive": nn.AdaptiveMaxPool2d((3, 4)),
    "function": Does(lambda x: F.max_pool2d(x, 2, ceil_mode=True)),
}
LINES: dict[str, Any] = {
    "transposed": nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2),
    "nearest": nn.Upsample(scale_factor=3),
    "linear": nn.Upsample(size=11, mode="linear"),
    "zeros": nn.ConstantPad1d((2, 0), 0.0),
    "average, ceil": nn.AvgPool1d(2, ceil_mode=True),
    "average, pads not counted": nn.AvgPool1d(3, 2, 1, count_include_pad=False),
    "adaptive": nn.AdaptiveAvgPool1d(3),
    "sums": nn.LPPool1d(1, 2),
}


def between_spikes(layer: Any, conv: Any = nn.Conv2d, norm: Any = nn.BatchNorm2d) -> Any:
    """A layer between neurons and a convolution that pads."""
    two = conv is nn.Conv2d
    out = layer(torch.zeros(1, *(SPACE if two else (4, 7)))).shape[1:]
    width = 3 * int(np.prod(out[1:]))
    made = nn.Sequential(
        conv(2, 4, 3, padding=1), neuron.LIFNode(), layer, conv(out[0], 3, 3, padding=1), norm(3),
        neuron.LIFNode(), nn.Flatten(), nn.Linear(width, 5), neuron.LIFNode(),
    )  # fmt: skip
    return lively(made.eval())


def agrees(net: Any, sample: Any) -> Any:
    found = agreement(net, sample, trace(net, sample))
    assert found.mismatches == 0, str(found)
    assert found.slots > 150
    return found


@pytest.mark.parametrize("case", LAYERS)
def test_between_spikes_and_a_convolution(case: str) -> None:
    agrees(between_spikes(LAYERS[case]), spikes(6, 2, 2, 5, 7))


@pytest.mark.parametrize("case", MAXIMA)
def test_maxima_of_spikes_over_any_windows(case: str) -> None:
    agrees(between_spikes(MAXIMA[case]), spikes(6, 2, 2, 5, 7))


@pytest.mark.parametrize("case", LINES)
def test_on_one_axis(case: str) -> None:
    net = between_spikes(LINES[case], nn.Conv1d, nn.BatchNorm1d)
    agrees(net, spikes(6, 3, 2, 7))


@pytest.mark.parametrize("case", LAYERS)
def test_of_currents_and_of_a_dense_layer_seen_as_a_map(case: str) -> None:
    layer = LAYERS[case]
    width = layer(torch.zeros(1, *SPACE)).numel()
    ends = [nn.Flatten(), nn.Linear(width, 5), neuron.LIFNode()]
    currents = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), layer, neuron.LIFNode(v_threshold=0.5), *ends
    )
    agrees(lively(currents.eval()), spikes(6, 2, 2, 5, 7))
    flat = nn.Sequential(
        nn.Linear(6, 140), neuron.LIFNode(), nn.Unflatten(1, SPACE), layer,
        neuron.LIFNode(v_threshold=0.4), *ends,
    )  # fmt: skip
    agrees(lively(flat.eval()), spikes(6, 2, 6))


numbers = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=25, deadline=None)
@given(
    kernel=numbers, stride=numbers, padding=numbers, more=numbers, dilation=numbers,
    groups=st.sampled_from([1, 2]), size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
)  # fmt: skip
def test_transposed_convolutions_of_any_window(
    kernel: Any, stride: Any, padding: Any, more: Any, dilation: Any, groups: int, size: Any
) -> None:
    padding, more = (tuple(n - 1 for n in pair) for pair in (padding, more))
    assume(all(m < max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)))
    layer = nn.ConvTranspose2d(2, 4, kernel, stride, padding, more, groups, True, dilation)
    reach = zip(size, stride, padding, dilation, kernel, more, strict=True)
    out = [(n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, s, p, d, k, m in reach]
    assume(min(out) > 0)
    net = lively(nn.Sequential(layer, neuron.LIFNode(v_threshold=0.5)))
    found = agreement(net, sample := spikes(5, 2, 2, *size), trace(net, sample))
    assert found.mismatches == 0, str(found)


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 4)), stride=numbers,
    half=st.booleans(), ceil=st.booleans(), counted=st.booleans(),
    divisor=st.sampled_from([None, 2, 5]), size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
)  # fmt: skip
def test_averages_over_any_window(
    kernel: Any, stride: Any, half: bool, ceil: bool, counted: bool, divisor: Any, size: Any
) -> None:
    padding = tuple(k // 2 for k in kernel) if half else 0
    layer = nn.AvgPool2d(kernel, stride, padding, ceil, counted, divisor)
    net = lively(nn.Sequential(nn.Conv2d(2, 2, 1), layer, neuron.LIFNode(v_threshold=0.3)))
    found = agreement(net, sample := spikes(5, 2, 2, *size), trace(net, sample))
    assert found.mismatches == 0, str(found)


ON_TARGETS = ["transposed", "bilinear", "zeros", "shuffled", "average, both", "adaptive"]


@pytest.mark.parametrize("target", target_names())
@pytest.mark.parametrize("case", ON_TARGETS)
def test_the_emulator_of_every_target_equals_its_integers(target: str, case: str) -> None:
    graph = trace(between_spikes(LAYERS[case]), spikes(6, 2, 2, 5, 7)).graph
    steps = steps_of(graph)
    built = build_steps(graph, steps, BOARDS[target])
    found = verify_reference(built.program, built.network, events(steps.inputs[0], 2, 12))
    assert found.mismatches == 0
    assert found.spikes_compared > 1000


def test_zeros_are_taken_into_the_convolution_behind_them() -> None:
    graph = trace(between_spikes(LAYERS["zeros"]), spikes(6, 2, 2, 5, 7)).graph
    assert [type(node).__name__ for node in graph.nodes.values()].count("Conv2d") == 2
    assert not any("places" in name for name in graph.nodes)


def test_a_reshape_lasts_in_a_file(tmp_path: Path) -> None:
    net, sample = between_spikes(LAYERS["shuffled"]), spikes(6, 2, 2, 5, 7)
    graph = snnstack.load(net, sample)
    snnstack.write_nir(graph, tmp_path / "net.nir")
    back = snnstack.load(tmp_path / "net.nir")
    assert back.nodes.keys() == graph.nodes.keys()
    assert [n.into for n in back.nodes.values() if hasattr(n, "into")] == [
        n.into for n in graph.nodes.values() if hasattr(n, "into")
    ]


def test_a_constant_other_than_zero_around_a_map_is_refused() -> None:
    net = between_spikes(nn.ConstantPad2d(1, 0.5))
    with pytest.raises(ModelError, match=r"2 \(ConstantPad2d\): pads with 0.5 \(pad with zeros"):
        snnstack.load(net, spikes(6, 2, 2, 5, 7))
