"""Sums of 16 bits at their extremes: 258 weights of 127 fit, one more takes 32 bits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import build
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LI, Conv2d, Flatten, Input, Linear, Output
from snnstack.ir.step import Dense

CORES = ("microbit-v1", "nucleo-l4r5zi", "mps3-an547", "esp32-c3")
MOST = 258


def sums(inputs: int, signs: Any) -> Graph:
    """Every input to every sum with the largest weight, of one sign or of a sign per half."""
    n = len(signs)
    one = np.ones(n)
    weight = np.repeat(np.asarray(signs, float)[:, None], inputs, axis=1)
    weight[-1, inputs // 2 :] *= -1  # the last sum goes all the way up and all the way back
    li = LI(tau=one * 2.0, r=one * 2.0, v_leak=one * 0)
    nodes: dict[str, Any] = {"in": Input((inputs,), "binary"), "fc": Linear(weight), "li": li}
    edges = (Edge("in", "fc"), Edge("fc", "li"), Edge("li", "out"))
    return Graph({**nodes, "out": Output((n,))}, edges, dt=1.0, integrator="euler")


def everything(inputs: int) -> dict[str, Any]:
    """All inputs at once, none, and either half alone."""
    x = np.zeros((1, 5, inputs), np.uint8)
    x[0, 0] = x[0, 4] = 1
    x[0, 2, : inputs // 2] = x[0, 3, inputs // 2 :] = 1
    return {"x": x}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", CORES)
@pytest.mark.parametrize(("inputs", "bits"), [(MOST, 16), (MOST + 1, 32)])
def test_the_largest_sums_are_exact(board: str, inputs: int, bits: int) -> None:
    """In the emulator by hand, in the compiled C by its own run."""
    built = build(sums(inputs, [1, -1, 1, -1, 1]), board)
    (layer,) = built.program.layers  # type: ignore[attr-defined]
    assert built.network is not None
    (projection,) = built.network.projections
    assert isinstance(projection.synapses, Dense)
    assert set(np.abs(projection.synapses.weight).ravel()) == {127}
    assert layer.accumulator_bits == bits
    assert 127 * MOST == 2**15 - 2
    given = everything(inputs)
    v = snnstack.emulate(built.program, given, probes=[("li", "v")]).states["li", "v"][0, 0]
    (shift,) = {built.network.populations[0].shift}
    np.testing.assert_array_equal(v[:2], [127 * inputs << shift, -127 * inputs << shift])
    result = snnstack.verify(built.program, given)
    assert result.mismatches == 0 and result.states_compared > 0


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", CORES)
@pytest.mark.parametrize(("channels", "bits"), [(28, 16), (29, 32)])
def test_a_convolution_at_its_extremes(board: str, channels: int, bits: int) -> None:
    """28 channels of 3x3 weights are 252, 29 are 261."""
    weight = np.ones((2, channels, 3, 3))
    weight[1] = -1
    conv = Conv2d((4, 4), weight, (1, 1), (1, 1), (1, 1), 1, np.zeros(2))
    one = np.ones(32)
    nodes: dict[str, Any] = {
        "in": Input((channels, 4, 4), "binary"),
        "conv": conv,
        "flat": Flatten((2, 4, 4), 0, -1),
        "li": LI(tau=one * 2.0, r=one * 2.0, v_leak=one * 0),
        "out": Output((32,)),
    }
    names = ("in", "conv", "flat", "li", "out")
    edges = tuple(Edge(a, b) for a, b in pairwise(names))
    program = build(Graph(nodes, edges, dt=1.0, integrator="euler"), board).program
    (layer,) = program.layers  # type: ignore[attr-defined]
    assert layer.accumulator_bits == bits
    given = {"x": np.ones((1, 3, channels, 4, 4), np.uint8)}
    v = snnstack.emulate(program, given, probes=[("li", "v")]).states["li", "v"][0, 0]
    assert v.max() == -v.min() > 0
    assert snnstack.verify(program, given).mismatches == 0
