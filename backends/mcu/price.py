"""Energy and latency of a microcontroller: counted instructions, cycles, energy per cycle."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from snnstack.backends.mcu.program import Program
from snnstack.energy import clocked_energy, latency
from snnstack.energy.performance import Performance
from snnstack.errors import TargetError, fail
from snnstack.trace import Trace


def price(program: Program, trace: Trace, period_s: float | None = None) -> Performance:
    """Of one inference, from the instruction counts of a `run`.

    `period_s`: an inference comes every so many seconds and the core sleeps in between; None:
    one after the other. Raises TargetError if `trace` holds no instruction counts.
    """
    layers = [c.other["instructions"] for c in trace.counts.values() if "instructions" in c.other]
    if not layers:
        what = "the trace holds no instruction counts"
        raise fail(TargetError, program.name, what, "price the trace of a run, not an emulation")
    per_sample = np.sum(layers, axis=0)
    instructions = float(per_sample.mean())
    return Performance(
        latency=latency(instructions, program.board),
        energy=clocked_energy(instructions, program.board, period_s),
        basis=f"instructions counted in QEMU over {len(per_sample)} samples",
        counts=MappingProxyType({"instructions": instructions}),
    )
