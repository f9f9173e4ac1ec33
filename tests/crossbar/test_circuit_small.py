"""A first look at every topology: limits that are known without a solver."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.backends.crossbar.circuit import TOPOLOGIES, Array, Topology, Wires, solve


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_power_in_is_power_dissipated(topology: Topology) -> None:
    rng = np.random.default_rng(1)
    g = rng.uniform(0, 50e-6, (9, 14))
    drive = 0.2 * (rng.random((6, 9)) < 0.5)
    array = Array(g, topology, Wires(row=2.0, col=3.5, source=1.2, driver=30, sense=11))
    solved = solve(array, drive, tolerance=1e-12)
    spent = solved.cell_w + solved.wire_w
    np.testing.assert_allclose(spent, solved.supplied_w, rtol=1e-10, atol=1e-30)
