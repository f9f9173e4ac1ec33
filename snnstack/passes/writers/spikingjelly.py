"""Files of SpikingJelly (2.0.0, `activation_based/nir_exchange/to_nir.py`).

IFNode: `r = 1 / dt`. LIFNode: `tau dt`, `r` 1, or tau without `decay_input`, `v_leak = v_reset`.
CUBALIFNode: `r = tau_mem / dt`, `w_in = tau_syn / dt`, `v_leak = 0`. Membranes begin at v_reset.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LIF, Array, CubaLIF
from snnstack.passes.writers.writer import Writer, agreed, near, neurons, zero

DT = 1e-4
LONGEST = 0.5
"""Seconds; nobody chooses a longer step for `export_to_nir`, whose default is DT."""


def _fits(graph: Graph) -> bool:
    found, dt = neurons(graph), _told(graph) or DT
    return bool(found) and dt < LONGEST and all(_written(node, dt) for node in found)


def _written(node: Any, dt: float) -> bool:
    if isinstance(node, IF):
        return near(node.r * dt, 1.0)
    if isinstance(node, LIF):
        gain = near(node.r, 1.0) or near(node.r * dt, node.tau)
        return gain and near(node.v_leak, node.v_reset) and len(set(np.ravel(node.tau))) == 1
    if isinstance(node, CubaLIF):
        gain = near(node.r * dt, node.tau_mem) and near(node.w_in * dt, node.tau_syn)
        return gain and zero(node.v_leak)
    return False


def _told(graph: Graph) -> float | None:
    """The step that the gains tell; a LIFNode with `decay_input` tells nothing."""
    steps: list[Array] = []
    for node in neurons(graph):
        with np.errstate(all="ignore"):
            if isinstance(node, IF):
                steps.append(1.0 / node.r)
            elif isinstance(node, LIF) and not near(node.r, 1.0):
                steps.append(node.tau / node.r)
            elif isinstance(node, CubaLIF):
                steps += [node.tau_mem / node.r, node.tau_syn / node.w_in]
    return agreed(steps)


def _begins(node: Any) -> Array | None:
    return getattr(node, "v_reset", None)


WRITER = Writer(
    "spikingjelly",
    MappingProxyType(
        {
            "dt": DT, "integrator": "euler", "reset": "v_reset", "reset_time": "now",
            "compare": "ge",
        }
    ),
    _fits,
    told=_told,
    begins=_begins,
)  # fmt: skip
