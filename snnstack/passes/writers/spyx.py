"""Files of spyx (1.0, `nir.py`, `nn.py`; of 0.1 the layers whose export works).

With u the input of a neuron, which answers with the membrane that the step began with:

    s = v > threshold
    IF, LIF   v = beta v + u - s threshold
    CuBaLIF   i = alpha i + u;  v = beta (v - s threshold) + i
    PSU_LIF   v = beta v + u, then s: a LI and a Threshold in the file

The file holds `tau = dt / (1 - beta)` and `r = beta`, which tell dt; the gain is 1. Of a network
without time constants dt does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, LIF, Array, CubaLIF
from snnstack.passes.writers.spyx_form import form
from snnstack.passes.writers.writer import Writer, agreed, at_zero, near, neurons, zero

DEFAULT = 1.0
"""The default `dt` of `to_nir`."""


def _fits(graph: Graph) -> bool:
    found = neurons(graph)
    return bool(found) and all(_written(node, _told(graph) or 1.0) for node in found)


def _written(node: Any, dt: float) -> bool:
    if isinstance(node, IF):
        return near(node.r, 1.0) and zero(node.v_reset)
    if isinstance(node, LI):
        return near(node.r, 1.0) and zero(node.v_leak)
    if isinstance(node, (LIF, CubaLIF)):
        tau = node.tau if isinstance(node, LIF) else node.tau_mem
        return zero(node.v_leak, node.v_reset) and near(node.r, 1.0 - dt / tau)
    return False


def _told(graph: Graph) -> float | None:
    """The step that `r` tells; where PSU_LIF alone has time constants, spyx's default."""
    steps: list[Array] = []
    parallel = False
    for node in neurons(graph):
        if isinstance(node, (LI, LIF, CubaLIF)) and near(node.r, 1.0):
            parallel = True
        elif isinstance(node, (LIF, CubaLIF)):
            tau = node.tau if isinstance(node, LIF) else node.tau_mem
            steps.append(tau * (1.0 - np.asarray(node.r, np.float64)))
    return DEFAULT if parallel and not steps else agreed(steps, any_number=True)


def _gains(node: Any, dt: float) -> Any:
    if isinstance(node, CubaLIF):
        at_once = {"reset_time": "now"} if node.reset == "subtract" else {}
        full = {"r": node.tau_mem / dt, "w_in": node.tau_syn / dt}
        return replace(node, **full, **at_once)  # type: ignore[arg-type]
    if isinstance(node, (LI, LIF)):
        return replace(node, r=node.tau / dt)
    return replace(node, r=node.r / dt) if isinstance(node, IF) else node


def _left_out(node: Any) -> Iterator[str]:
    if isinstance(node, (IF, LIF, CubaLIF)):
        yield "the activation, read as a spike where the membrane is above its threshold"


WRITER = Writer(
    "spyx",
    MappingProxyType(
        {
            "dt": 1e-3, "integrator": "euler", "reset": "subtract", "reset_time": "next",
            "compare": "gt",
        }
    ),
    _fits,
    form=form,
    told=_told,
    node=_gains,
    begins=at_zero,
    left_out=_left_out,
    late=True,
)  # fmt: skip
