"""Files of Norse: the released 1.1.0 and the main branch (`torch/utils/export_nir.py`).

With the step dt, u the input of a neuron (`functional/lif.py`, `lif_box.py`, `iaf.py`):

    LIFCell     i = (1 - dt / tau_syn) i + u;  v = v + dt / tau_mem (v_leak - v + i)
    LIFBoxCell  v = v + dt / tau_mem (v_leak - v + u)
    IAFCell     v = v + u

LIFCell and IAFCell take their input at full size, which `w_in` and `r` of the file do not say.
Membranes begin at `v_leak`, those of IAFCell at `v_reset`. The release writes `dt / tau_inv` as
time constants, 1e-3 of the seconds that the main branch writes, and leaves out `v_reset`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, LIF, Array, CubaLIF
from snnstack.passes.writers.writer import Reading, Writer, each, near, neurons, zero

DT = 1e-3
EXPORTED_DT = 1e-3
"""The default `dt` of the release's `to_nir`, by which its time constants are too small."""
SHORTEST = DT / 2
"""Seconds; Euler steps of DT do not settle with a time constant below it."""


def _fits(graph: Graph) -> bool:
    found = neurons(graph)
    return bool(found) and all(_written(node) for node in found)


def _written(node: Any) -> bool:
    known = isinstance(node, (IF, LI, LIF, CubaLIF)) and near(node.r, 1.0)
    return known and (not isinstance(node, CubaLIF) or near(node.w_in, 1.0))


def _times(node: Any) -> dict[str, Array]:
    return {n: getattr(node, n) for n in ("tau", "tau_mem", "tau_syn") if hasattr(node, n)}


def _form(graph: Graph, dt: float | None) -> Reading:
    """Time constants in seconds; the whole file is of one release or of the other.

    A step that is said is one in the file's own unit.
    """
    if dt is not None:
        return graph, ()
    found = [np.min(tau) for node in neurons(graph) for tau in _times(node).values()]
    if not found:
        return graph, ()
    least = float(min(found))
    if least < SHORTEST:
        said = (
            f"time constants down to {least:.3g} s are dt / tau_inv, as Norse 1.1 writes them "
            "with dt 1e-3: read 1000 times as long (--dt says the step in the file's own unit)"
        )
        return each(graph, _in_seconds), (said,)
    said = f"time constants of {least:.3g} s and more are read as seconds"
    return graph, (f"{said} (if Norse 1.1 wrote them, say --dt 1e-6)",)


def _in_seconds(name: str, node: Any) -> Any:
    return replace(node, **{n: tau / EXPORTED_DT for n, tau in _times(node).items()})


def _gains(node: Any, dt: float) -> Any:
    if isinstance(node, CubaLIF):
        return replace(node, w_in=node.w_in * node.tau_syn / dt)
    return replace(node, r=node.r / dt) if isinstance(node, IF) else node


def _begins(node: Any) -> Array | None:
    return node.v_reset if isinstance(node, IF) else getattr(node, "v_leak", None)


def _left_out(node: Any) -> Iterator[str]:
    if isinstance(node, (IF, LIF, CubaLIF)) and zero(node.v_reset):
        yield "v_reset (the release), read as 0"
    if isinstance(node, LIF):
        yield "reset_method, read as a reset to v_reset (else say --reset subtract)"


WRITER = Writer(
    "norse",
    MappingProxyType(
        {
            "dt": DT, "integrator": "euler", "reset": "v_reset", "reset_time": "now",
            "compare": "gt",
        }
    ),
    _fits,
    form=_form,
    node=_gains,
    begins=_begins,
    left_out=_left_out,
)  # fmt: skip
