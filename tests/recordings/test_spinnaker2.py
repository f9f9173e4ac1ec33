"""The definition of SpiNNaker 2 reproduces recordings of the chip, spike by spike."""

from pathlib import Path

import numpy as np
import pytest

from snnstack.backends.spinnaker2.network import (
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.frontends import nir
from snnstack.ir.matrix import diagonal
from snnstack.ir.nodes import Affine, Array, CubaLIF
from snnstack.ir.step import Dense
from snnstack.trace import Spikes

pytestmark = pytest.mark.recordings


def full(n: int, value: float) -> Array:
    return np.full(n, value, dtype=np.float32)


def test_the_neural_field_has_the_chips_spikes(data_dir: Path) -> None:
    file = np.load(data_dir / "recordings" / "spinnaker2_field_lif_curr_exp.npz")
    n = 400
    field = ChipPopulation(
        "field", (n,), "lif_curr_exp", full(n, 0.8), full(n, 0), full(n, 10), full(n, 0),
        full(n, 0.5), full(n, 0.2), "subtract",
    )  # fmt: skip
    one = [full(1, value) for value in (1, 3, 5, 0)]
    inhibitor = ChipPopulation("inhibitor", (1,), "lif", *one)
    connections = (
        Connection("x", "field", diagonal(np.full(n, 5))),
        Connection("field", "field", Dense(file["field_to_field"].T.astype(np.int64))),
        Connection("inhibitor", "field", Dense(np.full((n, 1), -4))),
    )
    network = ChipNetwork(ChipInput("x", (n,)), (field, inhibitor), connections, ("field",))
    trace = run_chip(network, Spikes.from_dense(file["input_spikes"][None].astype(np.uint8)))
    assert trace.spikes["field"].total == 10_188
    np.testing.assert_array_equal(trace.spikes["field"].dense()[0], file["field_spikes"])


def test_the_braille_hidden_layer_has_the_chips_spikes(data_dir: Path) -> None:
    file = np.load(data_dir / "recordings" / "spinnaker2_braille_zero.npz")
    nodes = nir.read(data_dir / "nir" / "braille_noDelay_bias_zero.nir").nodes
    forward, back, neuron = nodes["fc1"], nodes["lif1.w_rec"], nodes["lif1.lif"]
    assert isinstance(forward, Affine) and isinstance(back, Affine)
    assert isinstance(neuron, CubaLIF)
    dt = 1e-4
    scale = 127 / max(np.abs(forward.weight).max(), np.abs(back.weight).max())
    gain = dt / neuron.tau_mem * neuron.r
    current = dt / neuron.tau_syn * neuron.w_in
    decay = (1 - dt / neuron.tau_syn).astype(np.float32)
    hidden = ChipPopulation(
        name="hidden",
        shape=(38,),
        application="lif_curr_exp_no_delay",
        alpha=(1 - dt / neuron.tau_mem).astype(np.float32),
        i_offset=((forward.bias + back.bias) * neuron.w_in * scale / current).astype(np.float32),
        threshold=(neuron.v_threshold * scale / (gain * current)).astype(np.float32),
        v_reset=full(38, 0),
        exc_decay=decay,
        inh_decay=decay,
    )
    connections = tuple(
        Connection(source, "hidden", Dense(np.trunc(node.weight * scale).astype(np.int64)))
        for source, node in (("x", forward), ("hidden", back))
    )
    network = ChipNetwork(ChipInput("x", (12,)), (hidden,), connections, ("hidden",))
    trace = run_chip(network, Spikes.from_dense(file["input_spikes"][None].astype(np.uint8)))
    assert trace.spikes["hidden"].total == 119
    np.testing.assert_array_equal(trace.spikes["hidden"].dense()[0], file["hidden_spikes"])
