"""Files of snnTorch (1.0.0, `export_nir.py`).

Its step of 0.1 ms is fixed: `tau = dt / (1 - beta)`, `r = tau / dt`, `w_in = tau_syn / dt`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import LIF, CubaLIF
from snnstack.passes.writers.writer import Writer, at_zero, near, neurons, zero

DT = 1e-4


def _fits(graph: Graph) -> bool:
    found = neurons(graph)
    return bool(found) and all(_written(node) for node in found)


def _written(node: Any) -> bool:
    if not isinstance(node, (LIF, CubaLIF)) or not zero(node.v_leak, node.v_reset):
        return False
    if isinstance(node, LIF):
        return near(node.r * DT, node.tau)
    return near(node.r * DT, node.tau_mem) and near(node.w_in * DT, node.tau_syn)


def _left_out(node: Any) -> Iterator[str]:
    if isinstance(node, LIF):
        yield (
            "reset_mechanism and reset_delay, read as subtract and True "
            "(else say --reset zero --reset-time next, or next_all for RLeaky)"
        )
    if isinstance(node, CubaLIF):
        yield (
            "reset_mechanism and reset_delay, read as subtract and True "
            "(else say --reset zero --reset-time next_all)"
        )


WRITER = Writer(
    "snntorch",
    MappingProxyType(
        {
            "dt": DT, "integrator": "euler", "reset": "subtract", "reset_time": "next",
            "compare": "gt",
        }
    ),
    _fits,
    begins=at_zero,
    left_out=_left_out,
)  # fmt: skip
