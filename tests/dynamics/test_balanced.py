"""Networks of neurons with two receptors against golden spikes: every one, in float64."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.two_receptor import TWO_RECEPTOR
from snnstack.engine import run
from snnstack.engine.plan import Edge, LayerPlan, NetworkPlan, SparseRows, packed
from snnstack.trace import Spikes

EXCITATORY, N, STEPS = 3200, 4000, 4000
COMMON = {
    "decay_e": math.exp(-0.1 / 5),
    "decay_i": math.exp(-0.1 / 10),
    "rate": 0.1 / 20,
    "threshold": -50.0,
    "v_reset": -60.0,
    "pause": 50,
}
KINDS = {
    "cuba": ({"weight_e": 1.62, "weight_i": -9.0, "rest": -49.0}, False),
    "coba": (
        {"weight_e": 0.6, "weight_i": 6.7, "rest": -60.0, "reversal_e": 0.0, "reversal_i": -80.0},
        True,
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_balanced_networks_spike_as_published(kind: str, data_dir: Path) -> None:
    folder = data_dir / "systems" / "small_nodes"
    with np.load(folder / "weights.npz") as weights, np.load(folder / "golden.npz") as golden:
        known = {key: weights[key] for key in weights.files if key.startswith("balanced")}
        known |= {key: golden[key] for key in golden.files if key.startswith("balanced")}
    trace = run(network(kind, known), [nothing()], threads=1)
    fired = trace.spikes["p"]
    np.testing.assert_array_equal(fired.indices, known[f"balanced_{kind}_i"])
    np.testing.assert_array_equal(fired.rows(), known[f"balanced_{kind}_t"])


def network(kind: str, known: dict[str, Any]) -> NetworkPlan:
    """One population; a spike counts for the receptor that its source stands for."""
    values, conductances = KINDS[kind]
    sources = np.repeat(np.arange(N), np.diff(known["balanced_indptr"]))
    weight = packed(np.where(sources < EXCITATORY, 1, -1), 16).astype(np.int32)
    table = SparseRows(
        known["balanced_indptr"].astype(np.int64),
        known["balanced_targets"].astype(np.int32),
        weight,
    )
    initial = {"v": known.get(f"balanced_{kind}_v0", known.get("balanced_v0"))}
    for state in ("ge", "gi"):
        if f"balanced_{kind}_{state}0" in known:
            initial[state] = known[f"balanced_{kind}_{state}0"]
    neurons = Neurons(
        TWO_RECEPTOR, N, "float64", COMMON | values, {"conductances": conductances}, initial
    )
    return NetworkPlan((1,), (LayerPlan("p", N, (Edge(1, 1, table),), neurons, sum_bits=16),))


def nothing() -> Spikes:
    return Spikes((1,), 1, STEPS, np.zeros(STEPS + 1, np.int64), np.zeros(0, np.int32))
