"""The definition of the chip's arithmetic for a whole program, as `verify` compares it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snnstack.backends.spinnaker2.program import Program
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.trace import Spikes, Trace


def reference(
    program: Program, network: Any, spikes: Spikes, probes: Sequence[tuple[str, str]]
) -> Trace:
    """`run_chip` on the program's network, drained as every run is."""
    trace = run_chip(program.network, spikes.window(0, spikes.steps + program.drain), probes)
    fired = {name: s for name, s in trace.spikes.items() if name in program.fires}
    return Trace(fired, trace.states, lag=dict(program.lag))
