"""Measure programs on data, batch by batch: memory does not grow with the number of samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from snnstack.building import Build, Refused, Told, with_measured_memory
from snnstack.errors import SnnstackError
from snnstack.frontends.data import Data
from snnstack.frontends.stream import Stream
from snnstack.ir.inputs import split
from snnstack.ir.step import StepGraph
from snnstack.measure.checks import compared_with_reference, shifted, verified
from snnstack.measure.opponent import Rival, prepared
from snnstack.measure.subject import Ann, Choices, Subject
from snnstack.measure.tally import Tally
from snnstack.process import processors
from snnstack.quant.network import QuantizedNetwork
from snnstack.report.bench import BenchRow
from snnstack.report.operations import OperationCounter, Wiring
from snnstack.samples import run_float
from snnstack.trace import Trace

__all__ = [
    "Ann",
    "Choices",
    "Subject",
    "batch_size",
    "compared_with_reference",
    "measure",
    "measure_program",
    "shifted",
    "verified",
]

BATCH_SLOTS = 2**27
"""(sample, step, neuron) slots that are emulated at a time."""


def measure(
    builds: Sequence[Build],
    steps: StepGraph | None,
    test: Stream,
    choices: Choices,
    progress: Told | None = None,
    whole: StepGraph | None = None,
) -> list[BenchRow | Refused]:
    """A row for each of `builds` on all of `test`; one entry of Refused where a tool fails.

    `steps`: the float network, None where there is none to compare with; `whole`: it before
    pruning, which then is what the programs are compared with.
    """
    programs = [built.program for built in builds]
    rival, why = prepared(programs, steps, choices.ann, test)
    counted = None if steps is None else OperationCounter(Wiring.of_steps(steps))
    tallies = [Tally(Subject.of(built), choices, rival, why, counted) for built in builds]
    with ThreadPoolExecutor(processors()) as pool:  # linkers work while this process emulates
        link = with_measured_memory if choices.verify_samples else (lambda built: built)
        linked = [pool.submit(link, built) for built in builds]
        for part, real in _batches(tallies, rival, test, whole or steps, _neurons(steps), progress):
            if counted is not None and steps is not None and real is not None:
                run = real if whole is None else run_float(steps, part)
                counted.add(run, split(part.spikes, steps.inputs))
        for tally, found in zip(tallies, linked, strict=True):
            tally.subject = Subject.of(found.result())
    return [_row_or_refused(tally, progress) for tally in tallies]


def measure_program(subject: Subject, test: Stream, choices: Choices) -> BenchRow:
    """The row of a program whose float network is not known: no agreement with it."""
    rival, why = prepared([subject.program], subject.network, choices.ann, test)
    tally = Tally(subject, choices, rival, why)
    deque(_batches([tally], rival, test, None, _neurons(subject.network), None), maxlen=0)
    return tally.row()


def _batches(
    tallies: Sequence[Tally],
    rival: Rival | None,
    test: Stream,
    steps: StepGraph | None,
    neurons: int,
    progress: Told | None,
) -> Iterator[tuple[Data, Trace | None]]:
    """Each batch of `test` with the float network's run, once programs and opponent had it."""
    done = 0
    for part in test.batches(batch_size(neurons, test)):
        real = None if steps is None else run_float(steps, part)
        for tally in tallies:
            tally.add(part, real)
        if rival is not None:
            rival.add(part)
        done += part.spikes.batch
        if progress is not None:
            progress("emulating", done, test.samples)
        yield part, real


def _neurons(network: StepGraph | QuantizedNetwork | None) -> int:
    """Populations and inputs, as far as they are known."""
    if network is None:
        return 0
    return sum(p.n for p in network.populations) + sum(i.n for i in network.inputs)


def _row_or_refused(tally: Tally, progress: Told | None) -> BenchRow | Refused:
    board = tally.subject.program.board
    note = None if progress is None else lambda done, total: progress(board.name, done, total)
    try:
        return tally.row(note)
    except SnnstackError as error:
        return Refused(board, error)


def batch_size(neurons: int, test: Stream) -> int:
    """Samples of `neurons` (inputs included) that are emulated at a time."""
    own = test.batch_size()
    return max(1, min(own, BATCH_SLOTS // max(1, neurons * test.steps)))
