"""Every model of the library that spikes, in firmware: no difference from the integer network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.dynamics.library import MODELS
from snnstack.errors import ModelError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Cells, Input, Linear, Output
from tests.dynamics.test_library import CASES, NUMBERS, START, SUMS

SPIKING = [case for case in CASES if MODELS[case[0]].sends == "spike"]
N, INPUTS = 9, 6


def network(name: str, options: Any, seed: int = 1) -> tuple[Graph, dict[str, Any]]:
    """A population of the model, with weights into each of its inputs; and samples."""
    rng, model = np.random.default_rng(seed), MODELS[name]
    values = {k: rng.uniform(*span, N) for k, span in NUMBERS[name].items()}
    initial = {k: float(v) for k, v in START.get(name, {}).items()}
    low, high = SUMS.get(name, (-1.0, 1.4))
    nodes: dict[str, Any] = {
        "in": Input((INPUTS,)),
        "h": Cells((N,), model, values, options, initial),
        "out": Output((N,)),
    }
    edges = [Edge("h", "out")]
    for k, port in enumerate(model.inputs):
        nodes[f"w{k}"] = Linear(rng.uniform(low, high, (N, INPUTS)) * 0.6)
        edges += [Edge("in", f"w{k}"), Edge(f"w{k}", "h", None, port)]
    x = (rng.random((2, 160, INPUTS)) < 0.35).astype(np.uint8)
    graph = Graph(nodes, tuple(edges), dt=1e-3, integrator="euler")
    return graph, {"x": x, "y": np.zeros(2, dtype=np.int64)}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("number", range(len(SPIKING)), ids=[str(case) for case in SPIKING])
def test_firmware_is_the_integer_network(number: int) -> None:
    name, options = SPIKING[number]
    board = ("microbit-v1", "nucleo-l4r5zi", "mps3-an547")[number % 3]
    graph, data = network(name, options)
    if (name, options) == ("resonate", {"balanced": False, "resets": False}):
        with pytest.raises(ModelError, match="is unbounded"):  # it rings up without end
            snnstack.build(graph, board, data)
        return
    built = snnstack.build(graph, board, data)
    found = snnstack.verify(built.program, data)
    assert not found.differences and found.states_compared
    assert built.conversion is not None
    (layer,) = built.conversion.layers
    assert layer.spikes > 20
    assert abs(layer.spikes - layer.spikes_float) <= max(3, 0.05 * layer.spikes_float)
