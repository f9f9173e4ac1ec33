"""What the chip and its makers' models recorded, replayed through the builder."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.loihi.builder import ChipBuilder, replay
from snnstack.trace import Spikes
from tests.conftest import DATA

pytestmark = pytest.mark.recordings
RECORDINGS = DATA / "recordings"


@pytest.mark.parametrize("generation", [1, 2])
def test_the_voltage_and_the_spikes_of_one_neuron_are_those_of_the_chip(generation: int) -> None:
    with np.load(RECORDINGS / "loihi2_lif_trace.npz") as recorded:
        registers = {"du": recorded["du"], "dv": recorded["dv"], "vth_mant": recorded["vth_mant"]}
        net = (
            ChipBuilder(generation=generation)  # type: ignore[arg-type]
            .input("x", 1)
            .population("n", 1, **registers)
            .connect("x", "n", recorded["weight"].reshape(1, 1))
            .build()
        )
        spikes = Spikes.from_dense(recorded["input_spikes"].reshape(1, -1, 1))
        trace = replay(net, spikes, [("n", "v")])
        assert (trace.states["n", "v"].ravel() != recorded["v"]).sum() == 0
        assert (trace.spikes["n"].dense().ravel() != recorded["spikes"]).sum() == 0


def test_a_dense_layer_fires_as_recorded() -> None:
    with np.load(RECORDINGS / "lava_dl_dense.npz") as recorded:
        net = (
            ChipBuilder(generation=2)
            .input("x", 200)
            .population("n", 256, du=4095, dv=415, vth_mant=6)
            .connect("x", "n", recorded["weight"])
            .build()
        )
        spikes = Spikes.from_dense(recorded["input"].T[None].astype(np.uint8))
        fired = replay(net, spikes).spikes["n"].dense()[0]
        assert (recorded["spikes"] != fired.T).sum() == 0
