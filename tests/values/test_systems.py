"""Published systems whose layers send values: their golden vectors in real numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.engine.steps import run_step_graph
from snnstack.loading import discretised
from snnstack.trace import Spikes
from tests.values.system_networks import egru_language_model, elm_classifier


@pytest.mark.data
@pytest.mark.parametrize("net", ["dense", "p90", "p95"])
def test_every_event_of_the_language_model(data_dir: Path, net: str) -> None:
    folder = data_dir / "systems" / "egru_lm"
    weights, golden = np.load(folder / "weights.npz"), np.load(folder / "golden.npz")
    steps = discretised(egru_language_model(weights, net))
    symbols = np.eye(81, dtype=np.uint8)[golden["x"]]
    trace = run_step_graph(steps, Spikes.from_dense(symbols), [("logits", "v")])
    for k in (1, 2):
        sent = trace.spikes[f"layer{k}"].dense()
        packed = np.unpackbits(golden[f"{net}_events{k}"])[: sent.size]
        np.testing.assert_array_equal(sent != 0, packed.reshape(sent.shape) != 0)
        np.testing.assert_allclose(sent[0], golden[f"{net}_y{k}"], atol=1e-6)
    np.testing.assert_allclose(trace.states["logits", "v"][:4], golden[f"{net}_logits"], atol=1e-4)


@pytest.mark.data
def test_the_memory_neuron_that_tells_digits(data_dir: Path) -> None:
    folder = data_dir / "systems" / "elm_neuron"
    weights, golden = np.load(folder / "weights.npz"), np.load(folder / "golden.npz")
    steps = discretised(elm_classifier(weights))
    spikes = Spikes.from_dense(golden["fsdd_x"].astype(np.uint8))
    trace = run_step_graph(steps, spikes, [("scores", "v"), ("memory", "v")])
    scores = trace.states["scores", "v"]
    np.testing.assert_allclose(scores[0], golden["fsdd_out0"], atol=1e-4)
    np.testing.assert_allclose(trace.states["memory", "v"][0], golden["fsdd_memory0"], atol=1e-4)
    np.testing.assert_allclose(scores[:, 20:64].mean(axis=1), golden["fsdd_score"], atol=1e-4)
