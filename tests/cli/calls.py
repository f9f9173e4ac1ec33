"""What the tests of the command line share: a call's result, and a small network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Input, Linear, Output


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]
Refused = Callable[..., str]


def small(**changes: Any) -> Graph:
    """Three inputs, four neurons."""
    fields = {"tau": 0.01, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    lif = LIF(**{name: np.full(4, changes.get(name, value)) for name, value in fields.items()})
    weight = np.arange(-4.0, 8.0).reshape(4, 3) / 8
    nodes = {"in": Input((3,), events="binary"), "fc": Linear(weight), "lif": lif}
    edges = (Edge("in", "fc"), Edge("fc", "lif"), Edge("lif", "out"))
    return Graph({**nodes, "out": Output((4,))}, edges, dt=1e-3, integrator="euler")
