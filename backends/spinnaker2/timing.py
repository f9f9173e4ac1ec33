"""Real time: how long every element is busy in a step, against the system's tick.

    cycles = step_cycles + update_cycles n + packet_cycles packets + synop_cycles words
             + tap_cycles taps

of a step, with the board's coefficients; an element that needs longer than the tick overruns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.backends.spinnaker2.program import INDEX_BITS, Element, Program
from snnstack.energy.model import Band
from snnstack.energy.price import factor
from snnstack.ir.nodes import Array
from snnstack.trace import Trace

LONGEST_TICK_S = 10e-3
"""A longer dt is no time: networks without time constants count in steps of 1."""
DEFAULT_TICK_S = 1e-3
"""py-spinnaker2's `sys_tick_in_s`, unless it is told another."""
DEFAULT_RATE = 0.1
"""Spikes per neuron and step where none were measured."""
COUNTS = ("step", "update", "packet", "synop", "tap")
MOST_NAMED = 5


@dataclass(frozen=True)
class Load:
    """What an element does in one step: number of each of `COUNTS`, in this order."""

    number: int
    counts: tuple[float, ...]


def tick_s(program: Program) -> float:
    """Seconds that a step lasts: the network's own time step where that is a time."""
    return program.dt if program.dt <= LONGEST_TICK_S else DEFAULT_TICK_S


def expected(program: Program, rates: Mapping[str, float] | None = None) -> list[Load]:
    """The load of every element if each population fires at its rate (spikes per step).

    `rates` None: those measured on the calibration data, else `DEFAULT_RATE`.
    """
    known = program.settings.get("rates", {}) if rates is None else rates
    of = np.array([float(known.get(e.population, DEFAULT_RATE)) for e in program.elements])
    return [_expected(program, e, of) for e in program.elements]


def _expected(program: Program, e: Element, rate: Array) -> Load:
    packets = sum(rate[s] * program.elements[s].n for s in e.sources.tolist())
    if e.population == program.network.input.name:
        return Load(e.number, (1.0, 0.0, float(rate[e.number]) * e.n, 0.0, 0.0))
    lengths = np.diff(e.rows.starts.astype(np.int64))
    words = float(lengths @ rate[(e.rows.keys >> np.uint32(INDEX_BITS)).astype(np.int64)])
    taps = 0.0
    for kernel in e.kernels:
        mean = float(rate[kernel.sources].mean()) if len(kernel.sources) else 0.0
        taps += mean * e.n * float(np.prod(kernel.weight.shape[1:]))
    return Load(e.number, (1.0, float(e.n), float(packets), words, taps))


def measured(program: Program, trace: Trace) -> list[Load]:
    """The load of every element in an average step of an emulation."""
    found, steps = [], _steps(program, trace)
    for e in program.elements:
        counts = trace.counts[f"element {e.number}"]
        macs = float(counts.other["macs"].mean())
        each = (
            float(counts.updates.mean()),
            float(counts.other["received"].mean()),
            float(counts.synops.mean()) - macs,
            macs,
        )
        found.append(Load(e.number, (1.0, *(value / steps for value in each))))
    return found


def _steps(program: Program, trace: Trace) -> float:
    for e in program.elements:
        updates = float(trace.counts[f"element {e.number}"].updates.mean())
        if updates and e.n:
            return updates / e.n
    return 1.0


def busy_s(program: Program, load: Load) -> Band:
    """Seconds of a step that an element works."""
    clock = float(program.board.clock.value)
    costs = [factor(program.board, f"{name}_cycles") for name in COUNTS]
    pairs = list(zip(load.counts, costs, strict=True))
    return Band(
        sum(n * cost.low for n, cost in pairs) / clock,
        sum(n * cost.typical for n, cost in pairs) / clock,
        sum(n * cost.high for n, cost in pairs) / clock,
    )


def busiest(program: Program, loads: list[Load]) -> tuple[Load, Band]:
    """The element with the most work, and how long it takes."""
    found = [(load, busy_s(program, load)) for load in loads]
    return max(found, key=lambda pair: pair[1].typical)


def overruns(program: Program, loads: list[Load]) -> list[str]:
    """A sentence for each of the elements that typically need longer than the tick, worst first."""
    tick = tick_s(program)
    found = [(busy_s(program, load).typical, load.number) for load in loads]
    late = sorted(((time, number) for time, number in found if time > tick), reverse=True)
    named = [
        f"element {number} ({program.elements[number].population}) is busy for "
        f"{time * 1e6:.4g} us of a tick of {tick * 1e6:.4g} us"
        for time, number in late[:MOST_NAMED]
    ]
    rest = len(late) - len(named)
    return [*named, f"{rest} more elements overrun"] if rest > 0 else named
