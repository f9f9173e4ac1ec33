"""The event engine on networks that send real numbers, against the dense definition."""

from __future__ import annotations

import numpy as np
import pytest

from snnstack.engine.steps import run_step_graph
from snnstack.reference.run import run_steps
from snnstack.trace import Spikes
from tests.values.networks import network, real_input


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("valued", [False, True])
def test_the_engine_equals_the_definition(seed: int, valued: bool) -> None:
    graph = network(seed)
    x = real_input(seed)
    spikes = Spikes.carrying(x) if valued else Spikes.from_dense((x != 0).astype(np.uint8))
    probes = [("hidden", "y"), ("maps", "y"), ("out", "v")]
    fast, dense = run_step_graph(graph, spikes, probes), run_steps(graph, spikes, probes)
    for name, sent in dense.spikes.items():
        found = fast.spikes[name]
        assert np.array_equal(found.indptr, sent.indptr), name
        assert np.array_equal(found.indices, sent.indices), name
        if sent.values is None:
            assert found.values is None
        else:
            assert sent.values.size and sent.values.dtype == np.float64
            np.testing.assert_allclose(found.values, sent.values, rtol=1e-9)
    for probe in probes:
        np.testing.assert_allclose(fast.states[probe], dense.states[probe], rtol=1e-9, atol=1e-12)


def test_windows_parts_and_joins_keep_values() -> None:
    x = real_input(1)
    events = Spikes.carrying(x)
    assert np.array_equal(events.dense(), x)
    assert np.array_equal(events.window(3, 4).dense(), x[:, 3:7])
    parts = [events.samples(k, k + 1) for k in range(3)]
    assert np.array_equal(Spikes.concatenated(parts).dense(), x)
