"""Published delta activation layers: every message, accumulator and output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.trace import Spikes, Trace
from tests.values.delta_networks import delta_network

SOURCES = ("source", "layer1", "layer2")
PROBES = [("sum", "v"), ("layer1", "z"), ("layer2", "z")]


@pytest.fixture(scope="module")
def files(data_dir: Path) -> tuple[Any, Any]:
    folder = data_dir / "systems" / "delta_layer"
    return np.load(folder / "weights.npz"), np.load(folder / "golden.npz")


def messages(trace: Trace) -> Any:
    """How many a frame: [sample, frame, source]."""
    sent = [trace.spikes[name] for name in SOURCES]
    return np.stack([np.diff(s.indptr).reshape(s.batch, s.steps) for s in sent], axis=-1)


@pytest.mark.data
@pytest.mark.parametrize("which", ["dense", "sparse"])
@pytest.mark.parametrize("theta", [0, 1])
def test_integers_are_the_published_ones(files: Any, which: str, theta: int) -> None:
    """Fitted to 8 of the 40 recordings, so that no format knows what it is tried on."""
    weights, golden = files
    x = golden["x"][:, :, None].astype(np.int64)
    graph = delta_network(weights, which, theta)
    program = snnstack.compile(graph, "nucleo-l4r5zi", {"x": x[:8]})
    tried = x if theta == 0 else x[:1]
    out = golden[f"{which}_out"] if theta == 0 else golden[f"{which}_lossy1_out_0"][None]
    sent = golden[f"{which}_sent"] if theta == 0 else golden[f"{which}_lossy1_sent_0"][None]
    trace = snnstack.emulate(program, {"x": tried}, probes=PROBES)
    np.testing.assert_array_equal(trace.states["sum", "v"], out)
    np.testing.assert_array_equal(messages(trace), sent)
    if theta == 0:
        for k in (0, 1):
            for name, key in zip(SOURCES, ("d_in", "d1", "d2"), strict=True):
                carried = trace.spikes[name].samples(k, k + 1).dense()[0]
                np.testing.assert_array_equal(carried.ravel(), golden[f"{which}_{key}_{k}"].ravel())
            for name, key in (("layer1", "z1"), ("layer2", "z2")):
                z = trace.states[name, "z"][k]
                np.testing.assert_array_equal(z.ravel(), golden[f"{which}_{key}_{k}"].ravel())


@pytest.mark.data
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "microbit-v1", "mps3-an547", "hifive1-revb"])
def test_firmware_is_equal(files: Any, board: str) -> None:
    weights, golden = files
    x = golden["x"][:, :, None].astype(np.int64)
    program = snnstack.compile(delta_network(weights, "sparse", 1), board, {"x": x[:8]})
    found = snnstack.verify(program, {"x": x[8:11]})
    assert not found.differences and found.states_compared


def test_input_events_that_are_no_values_carry_their_counts() -> None:
    spikes = Spikes.from_dense(np.array([[[0, 2], [1, 0]]], dtype=np.uint8))
    assert spikes.valued().dense().tolist() == [[[0, 2], [1, 0]]]
    assert spikes.valued().dense().dtype == np.int32
