"""Thresholds far apart inside a convolution: its kernel is shared, so its scale is too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.errors import SnnstackError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, Conv2d, Input, Output

HIGH, LOW = 1e4 + 0.5, 1.5
PLACES = {
    "neurons": np.where(np.arange(32).reshape(2, 4, 4) % 3 == 0, HIGH, LOW),
    "first neuron": np.where(np.arange(32).reshape(2, 4, 4) == 0, HIGH, LOW),
    "channels": np.broadcast_to(np.array([HIGH, LOW])[:, None, None], (2, 4, 4)).copy(),
}
RNG = np.random.default_rng(3)
KERNEL = RNG.choice([-1.0, 0.0, 1.0], (2, 1, 3, 3), p=[0.2, 0.2, 0.6])
X = (RNG.random((3, 10, 1, 6, 6)) < 0.5).astype(np.uint8)


def convolution(threshold: Any, kernel: Any = KERNEL) -> Graph:
    fields = {"r": np.ones(threshold.shape), "v_reset": np.zeros(threshold.shape)}
    conv = Conv2d((6, 6), kernel, (1, 1), (0, 0), (1, 1), 1, np.zeros(2))
    nodes = {"in": Input((1, 6, 6), events="binary"), "conv": conv}
    nodes["n"] = IF(v_threshold=threshold, **fields)
    edges = (Edge("in", "conv"), Edge("conv", "n"), Edge("n", "out"))
    return Graph({**nodes, "out": Output((2, 4, 4))}, edges, dt=1.0, integrator="euler")


def expected(threshold: Any) -> Any:
    """Sums of whole numbers, reset to 0 above the threshold, in plain loops."""
    window = np.lib.stride_tricks.sliding_window_view(X.astype(float), (3, 3), axis=(3, 4))
    drive = np.einsum("btcijkl,ockl->btoij", window, KERNEL)
    v, out = np.zeros((3, *threshold.shape)), []
    for t in range(X.shape[1]):
        v = v + drive[:, t]
        out.append(v > threshold)
        v = np.where(v > threshold, 0.0, v)
    return np.stack(out, axis=1)


@pytest.mark.parametrize("place", PLACES)
def test_weights_of_one_size_give_the_spikes_of_whole_numbers(place: str) -> None:
    threshold = PLACES[place]
    made = snnstack.compile(convolution(threshold), "nucleo-l4r5zi", calibrate={"x": X})
    found = np.asarray(snnstack.emulate(made, {"x": X}).spikes["n"].dense())
    want = expected(threshold)
    assert want.sum() > 100
    np.testing.assert_array_equal(found.reshape(want.shape) != 0, want)


@pytest.mark.parametrize(
    "kernel", [KERNEL, KERNEL * 0.0, KERNEL * np.array([1e4, 1.0])[:, None, None, None]]
)
@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@pytest.mark.slow
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "oheo-gulch", "spinnaker2-chip", "neurram"])
def test_the_command_compiles_them_or_says_why_not(board: str, bits: int, kernel: Any) -> None:
    for threshold in PLACES.values():
        try:
            snnstack.compile(
                convolution(threshold, kernel), board, weight_bits=bits, calibrate={"x": X}
            )
        except SnnstackError as error:
            assert str(error)
