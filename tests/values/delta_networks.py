"""Published delta activation layers as a graph: convolutions, units that send changes, a sum."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from snnstack.dynamics.library import MODELS
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Cells, Conv2d, Flatten, Input, Linear, Output

SHAPES = ((1, 16, 16), (8, 7, 7), (16, 3, 3))


def conv(weight: Any) -> Conv2d:
    """3 x 3, stride 2, no padding, no bias: the unit's sum begins at it."""
    return Conv2d(None, weight, (2, 2), (0, 0), (1, 1), 1, np.zeros(len(weight)))


def delta_network(w: Mapping[str, Any], which: str, theta: int) -> Graph:
    """Conv, conv, dense; `which`: "dense" or "sparse"."""

    def of(name: str) -> Any:
        return np.asarray(w[f"{which}_{name}"], dtype=np.float64)

    def unit(shape: tuple[int, ...], k: int) -> Cells:
        bias = np.broadcast_to(of(f"b{k}")[:, None, None], shape)
        gain = float(of(f"m{k}")) / 2.0 ** float(of(f"s{k}"))
        numbers = {"gain": gain, "high": 15.0, "threshold": float(theta)}
        return Cells(shape, MODELS["delta_unit"], numbers, initial={"z": bias})

    source = Cells(SHAPES[0], MODELS["delta_source"], {"threshold": float(theta)})
    end = Cells((10,), MODELS["accumulator"], {}, initial={"v": of("b3")})
    nodes = {
        "frames": Input(SHAPES[0], "value"),
        "source": source,
        "conv1": conv(of("w1")),
        "layer1": unit(SHAPES[1], 1),
        "conv2": conv(of("w2")),
        "layer2": unit(SHAPES[2], 2),
        "flat": Flatten(None, 0, -1),
        "dense": Linear(of("w3")),
        "sum": end,
        "out": Output((10,)),
    }
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in pairwise(names))
    return Graph(nodes, edges, dt=0.015, integrator="euler")
