"""A benchmark row made by hand, as `bench --json` prints it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from snnstack.energy.model import Band, Component, Energy, Factor, Term
from snnstack.energy.performance import Performance
from snnstack.report.bench import BenchRow
from snnstack.report.equality import Equality
from snnstack.report.example import example
from snnstack.report.operations import Operations
from snnstack.trace import Spikes, Trace


def bench_row(board: str, scale: float = 1.0) -> dict[str, Any]:
    """Plain JSON of a row with every figure but views."""
    synop = Factor("synop_pj", 1, 2, 4, "pJ/synop", "published", "a paper, arXiv 2401.04491")
    power = Factor("power_mw", 1, 3, 9, "mW", "estimated", "assumed")
    energy = Energy(
        (
            Component("synapses", "dynamic", (Term(scale, (synop,)),)),
            Component("idle", "static", (Term(0.5 * scale, (power,)),)),
        )
    )
    random = np.random.default_rng(0)
    spikes = Spikes.from_dense((random.random((2, 20, 30)) < 0.1).astype(np.uint8))
    trace = Trace({"lif": spikes}, {("lif", "v"): random.normal(size=(2, 20, 30))})
    layer = {
        "name": "lif", "neurons": 30, "weight_error": 0.01, "clipped": 0.0, "spikes_float": 12,
        "spikes": 11, "silenced": 1, "saturated": 0, "accuracy": 0.9,
    }  # fmt: skip
    conversion = {
        "samples": 2, "accuracy_float": 0.95, "accuracy": 0.9, "first_loss": "lif",
        "layers": [layer],
    }  # fmt: skip
    row = BenchRow(
        board=board, target="mcu", samples=2, steps=20, accuracy=0.9, accuracy_float=0.95,
        spike_agreement=0.99, class_agreement=0.9, bit_exact=True,
        verified=Equality("a machine", 2, 20, 100, 100, ()),
        performance=Performance(Band(1e-3, 2e-3, 3e-3), energy, "counted"),
        synops=100.0, updates=10.0, spikes=5.0,
        memory={"flash": {"used": 10, "available": 100}, "cores": {"used": 2, "available": 8}},
        board_status="estimated", settings={"name": "net", "dt": 1e-3},
        operations=Operations(100, 0.1, 0.9, 0.0, 50.0, 100.0, 10.0),
        figures={"example": example(trace, {"in": spikes}), "views": [], "conversion": conversion},
    )  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(row.to_dict()))
    return plain
