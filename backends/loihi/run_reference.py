"""The definition of a program's answer: `run_chip` on its network, drained and with lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.proof import check_input
from snnstack.backends.loihi.reference import run_chip
from snnstack.ir.nodes import Array
from snnstack.quant.network import QuantizedNetwork
from snnstack.trace import Spikes, Trace


def reference(
    program: Program,
    network: QuantizedNetwork | None,
    spikes: Spikes | Array,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """What `program` computes on `spikes` and `program.drain` empty steps after them.

    `network` is not needed: on this chip the delays of the hops belong to the definition.
    """
    check_input(program, spikes)
    if isinstance(spikes, Spikes):
        drained: Spikes | Array = spikes.window(0, spikes.steps + program.drain)
    else:
        drained = np.pad(spikes, ((0, 0), (0, program.drain), (0, 0)))
    return replace(run_chip(program.network, drained, probes), lag=dict(program.lag))
