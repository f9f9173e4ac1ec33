"""Files of Rockpool (3.0 and 3.1, `nn/modules/torch/nir.py`).

With the step dt, u the input of a neuron (`lif_torch.py`, `lif_neuron_torch.py`,
`exp_syn_torch.py`):

    LIFTorch        i = exp(-dt / tau_syn) (i + u);  v = exp(-dt / tau_mem) v + i
    LIFNeuronTorch  v = exp(-dt / tau_mem) v + u
    ExpSynTorch     i = exp(-dt / tau) (i + u)

The file's `r = tau / dt exp(-dt / tau)` is none of these gains, but tells dt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import LI, LIF, Array, CubaLIF
from snnstack.passes.writers.writer import Writer, agreed, at_zero, neurons, zero


def _fits(graph: Graph) -> bool:
    found = neurons(graph)
    known = all(isinstance(n, (LI, LIF, CubaLIF)) and zero(n.v_leak) for n in found)
    return bool(found) and known and _told(graph) is not None


def _membrane(node: Any) -> Array:
    tau: Array = node.tau_mem if isinstance(node, CubaLIF) else node.tau
    return tau


def _told(graph: Graph) -> float | None:
    """The step: `r = exp(-x) / x` with `x = dt / tau`, solved for x."""
    found = [n for n in neurons(graph) if isinstance(n, (LI, LIF, CubaLIF))]
    if not found or any((node.r <= 0).any() for node in found):
        return None
    return agreed([_membrane(n) * _solved(np.asarray(n.r, np.float64)) for n in found])


def _solved(r: Array) -> Array:
    """Solve for x: `exp(-x) / x = r`, by Newton's steps for `x + log(x) = -log(r)`."""
    x = np.where(r > 1.0, 1.0 / (1.0 + r), np.maximum(1.0 - np.log(r), 0.1))
    for _ in range(60):
        x = np.maximum(x - (x + np.log(x) + np.log(r)) / (1.0 + 1.0 / x), x / 8)
    return x


def _gains(node: Any, dt: float) -> Any:
    if isinstance(node, CubaLIF):
        left, membrane = np.exp(-dt / node.tau_syn), np.exp(-dt / node.tau_mem)
        return replace(node, w_in=left / (1.0 - left), r=1.0 / (1.0 - membrane))
    if isinstance(node, LIF):
        return replace(node, r=1.0 / (1.0 - np.exp(-dt / node.tau)))
    if isinstance(node, LI):
        left = np.exp(-dt / node.tau)
        return replace(node, r=left / (1.0 - left))
    return node


def _left_out(node: Any) -> Iterator[str]:
    if isinstance(node, (LIF, CubaLIF)):
        yield (
            "max_spikes_per_dt: by default Rockpool sends several spikes in a step where the "
            "membrane is a multiple of its threshold, here one is sent"
        )
        yield "bias and noise_std of the neurons, read as 0"
    if isinstance(node, CubaLIF):
        yield "w_rec (has_rec=True), read as none"


WRITER = Writer(
    "rockpool",
    MappingProxyType(
        {
            "dt": 1e-3, "integrator": "exponential", "reset": "subtract", "reset_time": "now",
            "compare": "ge",
        }
    ),
    _fits,
    told=_told,
    node=_gains,
    begins=at_zero,
    left_out=_left_out,
)  # fmt: skip
