"""Run what was emitted: the programming file, read back and executed without the emulator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snnstack.backends.crossbar.circuits import missing
from snnstack.backends.crossbar.execute import execute
from snnstack.backends.crossbar.program import Program
from snnstack.backends.crossbar.programming import programming_files, read_programming
from snnstack.target import Progress
from snnstack.trace import Counts, Spikes, Trace

TOGETHER = 8
"""Samples that are executed side by side."""


def describe(program: Program) -> str:
    """What `run` executes on, and what that does not show."""
    gone = missing()
    return (
        f"the emitted programming file of {program.arrays} arrays, executed with ideal cells and "
        f"converters without loss{'; ' if gone else ''}{gone}"
    )


def run(
    program: Program,
    spikes: Spikes,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Trace:
    """The emitted programming file on `spikes`: dense currents, codes, the plain reference.

    Power comes from the circuit of each array with its wires.
    """
    settings, arrays = read_programming(programming_files(program))
    parts = []
    for start in range(0, max(spikes.batch, 1), TOGETHER):
        part = spikes.samples(start, start + TOGETHER)
        parts.append(execute(settings, arrays, program.board, part, probes))
        if progress is not None:
            progress(min(start + TOGETHER, spikes.batch), spikes.batch)
    return _joined(parts)


def _joined(parts: Sequence[Trace]) -> Trace:
    first = parts[0]
    spikes = {k: _one([part.spikes[k] for part in parts]) for k in first.spikes}
    states = {k: np.concatenate([part.states[k] for part in parts]) for k in first.states}
    counts = {}
    for name, own in first.counts.items():
        every = [part.counts[name] for part in parts]
        counts[name] = Counts(
            np.concatenate([c.synops for c in every]),
            np.concatenate([c.updates for c in every]),
            np.concatenate([c.spikes for c in every]),
            {k: np.concatenate([c.other[k] for c in every]) for k in own.other},
        )
    return Trace(spikes, states, counts)


def _one(parts: Sequence[Spikes]) -> Spikes:
    return Spikes.from_dense(np.concatenate([part.dense() for part in parts]))
