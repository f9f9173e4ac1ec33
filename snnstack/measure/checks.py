"""One program against an independent run: bit for bit, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import TargetError, fail
from snnstack.measure.subject import Subject
from snnstack.reference import run_quantized
from snnstack.report.equality import Equality, compare, joined
from snnstack.target import Progress, backend, emulator, offered
from snnstack.trace import Counts, Spikes, Trace

BATCH_BYTES = 2**28
"""Recorded states that a verification holds at a time, once for either side."""
NOTHING = Equality("nothing", 0, 0, 0, 0, ())
"""No comparison."""


def verified(program: Any, spikes: Spikes, progress: Progress | None) -> tuple[Equality, Trace]:
    """Emulator against an independent run, and the counts of that run.

    Batches keep the recorded states small: a data set of any size fits the memory.
    """
    machine, emulate = backend(program.target), emulator(program.target).emulate
    against = machine.describe(program)
    results, runs = [], []
    size = _recordable(program, spikes)
    for start in range(0, spikes.batch, size):
        part = spikes.samples(start, start + size)
        note = shifted(progress, start, spikes.batch)
        run = machine.run(program, part, probes=program.variables, progress=note)
        results.append(compare(emulate(program, part, probes=program.variables), run, against))
        runs.append(run.counts)
    found = joined(results)
    own = offered(machine, "agreements")
    if own is not None:
        found = replace(found, agreements=tuple(own(program, spikes)))
    return found, Trace({}, {}, joined_counts(runs))


def compared_with_reference(subject: Subject, spikes: Spikes) -> Equality:
    """Emulator against the definition of the target's answer."""
    program, network = subject.program, subject.network
    emulated = emulator(program.target).emulate(program, spikes, probes=program.variables)
    own = offered(backend(program.target), "reference")
    if own is not None:
        reference = own(program, network, spikes, program.variables)
    else:
        if network is None:
            hint = "compile the model again"
            raise fail(TargetError, program.name, "its integer network is missing", hint)
        reference = run_quantized(network, spikes, program.variables)
    return compare(emulated, reference, "integer reference")


def _recordable(program: Any, spikes: Spikes) -> int:
    """How many samples may record all states at once."""
    emulate = emulator(program.target).emulate
    one = emulate(program, spikes.samples(0, 1), probes=program.variables)
    return max(1, BATCH_BYTES // max(1, sum(v.nbytes for v in one.states.values())))


def shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    """The progress of a part that starts at `start` of `total`."""
    if progress is None:
        return None
    return lambda done, _: progress(start + done, total)


def joined_counts(runs: Sequence[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The counts of consecutive batches as those of one."""
    found: dict[str, Counts] = {}
    for name, first in runs[0].items():
        parts = [run[name] for run in runs]
        found[name] = Counts(
            synops=np.concatenate([part.synops for part in parts]),
            updates=np.concatenate([part.updates for part in parts]),
            spikes=np.concatenate([part.spikes for part in parts]),
            other={k: np.concatenate([part.other[k] for part in parts]) for k in first.other},
        )
    return found
