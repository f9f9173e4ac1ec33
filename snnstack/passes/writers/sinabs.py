"""Files of sinabs (3.1.0 to 3.1.3, `nir.py`): NIR's equations, time constants in steps.

Its neurons send `floor(v / threshold)` spikes in a step unless `spike_fn` is SingleSpike
(`activation/spike_generation.py`); the file does not hold that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, LIF
from snnstack.passes.writers.writer import Writer, at_zero, near, neurons, zero

SHORTEST = 0.2
"""Steps: a time constant below it forgets everything in a step."""


def _fits(graph: Graph) -> bool:
    found = neurons(graph)
    return bool(found) and all(_written(node) for node in found)


def _written(node: Any) -> bool:
    if not isinstance(node, (IF, LI, LIF)) or not near(node.r, 1.0):
        return False
    if isinstance(node, IF):
        return zero(node.v_reset)
    return zero(node.v_leak) and bool((node.tau > SHORTEST).all())


def _gains(node: Any, dt: float) -> Any:
    """ExpLeak adds its input at full size by default, LIF at (1 - alpha) of it."""
    return replace(node, r=1.0 / (1.0 - np.exp(-dt / node.tau))) if isinstance(node, LI) else node


def _left_out(node: Any) -> Iterator[str]:
    if isinstance(node, (IF, LIF)):
        yield (
            "spike_fn: by default sinabs sends several spikes in a step where the membrane is a "
            "multiple of its threshold, here one is sent (SingleSpike)"
        )
        yield "reset_fn, read as MembraneSubtract (else say --reset zero)"
        yield "min_v_mem, the lower limit of the membrane, here there is none"
    if isinstance(node, LIF):
        yield "norm_input of LIF, read as True, its default"
        yield "tau_syn, read as None"
    if isinstance(node, LI):
        yield "norm_input of ExpLeak, read as False, its default; nor min_v_mem"


WRITER = Writer(
    "sinabs",
    MappingProxyType(
        {
            "dt": 1.0, "integrator": "exponential", "reset": "subtract", "reset_time": "now",
            "compare": "ge",
        }
    ),
    _fits,
    node=_gains,
    begins=at_zero,
    left_out=_left_out,
)  # fmt: skip
