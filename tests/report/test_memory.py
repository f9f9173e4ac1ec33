"""Ten times the samples, at most 1.2 times the memory; and every batch counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnstack import api, measure
from snnstack.frontends.nir import write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Input, Linear, Output
from tests.cli.calls import small

INPUTS, STEPS, SAMPLES = 1000, 100, 300
SCRIPT = """
import resource, sys
from snnstack import api
(row,) = api.bench(sys.argv[1], ["oheo-gulch"], sys.argv[2], samples=int(sys.argv[3]),
                   verify_samples=0)
print(row.samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def wide() -> Graph:
    random = np.random.default_rng(0)
    fields = {"tau": 0.01, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    lif = LIF(**{name: np.full(50, value) for name, value in fields.items()})
    weight = random.normal(0.0, 0.2, (50, INPUTS))
    nodes = {"in": Input((INPUTS,), events="binary"), "fc": Linear(weight), "lif": lif}
    edges = (Edge("in", "fc"), Edge("fc", "lif"), Edge("lif", "out"))
    return Graph({**nodes, "out": Output((50,))}, edges, dt=1e-3, integrator="euler")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    """30 MB and 300 MB of dense input."""
    write(wide(), tmp_path / "wide.nir")
    block = np.random.default_rng(1).random((SAMPLES // 10, STEPS, INPUTS)) < 0.02
    for name, count in (("few", SAMPLES), ("many", 10 * SAMPLES)):
        x = np.tile(block.astype(np.uint8), (count * 10 // SAMPLES, 1, 1))
        np.savez_compressed(tmp_path / name, x=x, y=np.arange(count) % 50)
    del x
    peak = {}
    for name, count in (("few", SAMPLES), ("many", 10 * SAMPLES)):
        command = [sys.executable, "-c", SCRIPT, "wide.nir", f"{name}.npz", str(count)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        samples, peak[name] = map(int, done.stdout.split())
        assert samples == count
    assert peak["many"] <= 1.2 * peak["few"], peak


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    data = {"x": (random.random((9, 10, 3)) < 0.4).astype(np.uint8), "y": np.arange(9) % 4}
    rows = []
    for slots in (2**27, 2 * 10 * 7):
        monkeypatch.setattr(measure, "BATCH_SLOTS", slots)
        found = api.bench(small(), ["oheo-gulch", "loihi1"], data, verify_samples=0)
        rows.append([row.to_dict() for row in found])
    assert rows[0] == rows[1]
