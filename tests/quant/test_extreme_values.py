"""Weights that are nothing beside a threshold become 0; no number leaves its type on the way."""

from __future__ import annotations

import numpy as np
import pytest

import snnstack
from snnstack.errors import DataError
from snnstack.frontends.event_fields import whole_numbers
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, Input, Linear, Output

X = np.ones((1, 5, 2), np.uint8)


def two_rows(tiny: float) -> Graph:
    """The first neuron fires at every second step; the second would need 1 / tiny of them."""
    weight = np.array([[0.5, 0.25], [tiny, tiny]])
    flat = {"r": np.ones(2), "v_threshold": np.ones(2), "v_reset": np.zeros(2)}
    nodes = {
        "in": Input((2,), events="binary"),
        "fc": Linear(weight),
        "if": IF(**flat),
        "out": Output((2,)),
    }
    return Graph(nodes, (Edge("in", "fc"), Edge("fc", "if"), Edge("if", "out")))


@pytest.mark.parametrize("board", ["microbit-v1", "spinnaker2-chip", "neurram"])
@pytest.mark.parametrize("tiny", [1e-40, 1e-250, 5e-324])
def test_a_row_of_weights_that_are_almost_nothing_never_fires(board: str, tiny: float) -> None:
    program = snnstack.compile(two_rows(tiny), board)
    fired = snnstack.emulate(program, X).spikes["if"].per_neuron()[0]
    assert fired[0] > 0
    assert fired[1] == 0


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_numbers_of_every_width_are_whole_or_refused(kind: str) -> None:
    assert whole_numbers(np.array([0, 3, 2048], kind), "x", "f").tolist() == [0, 3, 2048]
    with np.errstate(over="ignore"):
        large = np.array([1.0, np.inf, 1e308]).astype(kind)
    with pytest.raises(DataError, match="x has the value inf, not a whole number"):
        whole_numbers(large, "x", "f")
