"""Measure programs on data, batch by batch: memory does not grow with the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.building import Build, Refused
from snnstack.energy.performance import Performance
from snnstack.errors import SnnstackError, TargetError, ToolError, fail
from snnstack.frontends.data import Data
from snnstack.frontends.stream import Stream
from snnstack.ir.step import StepGraph
from snnstack.program import Program
from snnstack.quant.network import QuantizedNetwork
from snnstack.reference import run_quantized
from snnstack.report.bench import BenchRow
from snnstack.report.chips import Chips
from snnstack.report.equality import Equality, compare, joined
from snnstack.report.example import example, probes
from snnstack.report.operations import OperationCounter
from snnstack.report.readout import aligned, classes, differing_slots, output_probes
from snnstack.samples import run_float
from snnstack.target import Progress, backend, emulator, statistical
from snnstack.trace import Counts, Spikes, Trace

BATCH_BYTES = 2**28
"""Recorded states that a verification holds at a time, once for either side."""
BATCH_SLOTS = 2**27
"""(sample, step, neuron) slots that are emulated at a time."""


@dataclass(frozen=True)
class Choices:
    """What a benchmark does besides emulating: see `snnstack.bench`.

    `verify_samples` 0: no comparison, and an independent run only where the price needs one.
    `seed`: emulate this chip of an analogue target instead of the exact machine.
    """

    verify_samples: int = 16
    period_s: float | None = None
    seeds: int = 0
    ann: bool = False
    figures: bool = True
    seed: int | None = None


def measure(
    builds: Sequence[Build],
    steps: StepGraph | None,
    test: Stream,
    choices: Choices,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[BenchRow | Refused]:
    """A row for each of `builds` on all of `test`; one entry of Refused where a tool fails.

    `steps`: the float network, None where there is none to compare with.
    """
    tallies = [Tally(Subject.of(built), choices) for built in builds]
    done = 0
    for part in test.batches(batch_size(_neurons(steps), test)):
        real = None if steps is None else run_float(steps, part)
        for tally in tallies:
            tally.add(part, real)
        done += part.spikes.batch
        if progress is not None:
            progress("emulating", done, test.samples)
    return [_row_or_refused(tally, progress) for tally in tallies]


def measure_program(subject: Subject, test: Stream, choices: Choices) -> BenchRow:
    """The row of a program whose float network is not known: no agreement with it."""
    tally = Tally(subject, choices)
    for part in test.batches(batch_size(_neurons(subject.network), test)):
        tally.add(part, None)
    return tally.row()


def _neurons(network: StepGraph | QuantizedNetwork | None) -> int:
    """Populations and inputs, as far as they are known."""
    if network is None:
        return 0
    return sum(p.n for p in network.populations) + sum(i.n for i in network.inputs)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured; `conversion`: the report of its compilation as plain data.

    `network` None: the program's integers came from a file, and operations are not counted.
    """

    program: Program
    network: QuantizedNetwork | None
    conversion: Mapping[str, Any] | None

    @classmethod
    def of(cls, built: Build) -> Subject:
        """A build without its float side."""
        report = None if built.conversion is None else built.conversion.to_dict()
        return cls(built.program, built.network, report)


def _row_or_refused(
    tally: Tally, progress: Callable[[str, int, int], None] | None
) -> BenchRow | Refused:
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


class Tally:
    """Sums over batches for one program; `row` closes them."""

    def __init__(self, subject: Subject, choices: Choices) -> None:
        self.subject, self.choices = subject, choices
        self.names = list(subject.program.fires)
        network = subject.network
        self.operations = None if network is None else OperationCounter(network)
        self.samples = self.steps = self.slots = self.different = 0
        self.same = self.right = self.right_float = 0
        self.labelled = self.compared = True
        analogue = statistical(subject.program.target)
        self.chips = [0] * (choices.seeds if analogue else 0)
        self.counts: list[Mapping[str, Counts]] = []
        self.first: Spikes | None = None

    def add(self, part: Data, real: Trace | None) -> None:
        """One batch: its samples and what the float network does with them, where known."""
        program = self.subject.program
        trace = self._emulated(part, self.choices.seed)
        found = classes(trace, program.outputs)
        wanted = found if real is None else classes(real, program.outputs)
        self.samples += part.spikes.batch
        self.steps = part.spikes.steps
        self.labelled &= part.labels is not None
        self.compared &= real is not None
        if real is not None:
            slots, different = differing_slots(trace, real, self.names)
            self.slots, self.different = self.slots + slots, self.different + different
        truth = wanted if part.labels is None else part.labels
        self.same += int(np.sum(found == wanted))
        self.right += int(np.sum(found == truth))
        self.right_float += int(np.sum(wanted == truth))
        for seed in range(len(self.chips)):
            chip = classes(self._emulated(part, seed), program.outputs)
            self.chips[seed] += int(np.sum(chip == truth))
        if self.operations is not None:
            self.operations.add(trace, {program.port.name: part.spikes})
        self.counts.append(trace.counts)
        self._keep_first(part.spikes)

    def _emulated(self, part: Data, seed: int | None) -> Trace:
        program = self.subject.program
        wanted = output_probes(program.outputs, program.fires)
        run = emulator(program.target).emulate(program, part.spikes, seed=seed, probes=wanted)
        return aligned(run, part.spikes.steps)

    def _keep_first(self, spikes: Spikes) -> None:
        """The samples that are verified later."""
        wanted = max(1, self.choices.verify_samples)
        if self.first is None:
            self.first = spikes.samples(0, wanted)
        elif self.first.batch < wanted:
            self.first = Spikes.concatenated(
                [self.first, spikes.samples(0, wanted - self.first.batch)]
            )

    def row(self, progress: Progress | None = None) -> BenchRow:
        """The finished row, after verifying and pricing. Raises what the machine's run raises."""
        assert self.first is not None
        program, choices = self.subject.program, self.choices
        machine = backend(program.target)
        counted = Trace({}, {}, joined_counts(self.counts))
        equality, cost, notes = self._checked_and_priced(counted, progress)
        ann, more = self._ann() if choices.ann else (None, ())
        n = self.samples
        return BenchRow(
            board=program.board.name,
            title=program.board.title,
            target=program.target,
            samples=n,
            steps=self.steps,
            accuracy=self.right / n if self.labelled else None,
            accuracy_float=self.right_float / n if self.labelled and self.compared else None,
            spike_agreement=self._spike_agreement() if self.compared else None,
            class_agreement=self.same / n if self.compared else None,
            bit_exact=equality.mismatches == 0 if equality.samples else None,
            verified=equality,
            performance=cost,
            period_s=choices.period_s,
            synops=_mean(counted, "synops", self.names),
            updates=_mean(counted, "updates", self.names),
            spikes=_mean(counted, "spikes", self.names),
            memory={
                name: {"used": int(used), "available": int(available)}
                for name, (used, available) in machine.utilization(program).items()
            },
            board_status=program.board.status,
            settings=dict(program.settings),
            operations=None if self.operations is None else self.operations.total(),
            ann=ann,
            chips=self._chips(),
            notes=(*notes, *more),
            figures=figures(self.subject, self.first) if choices.figures else {},
        )

    def _checked_and_priced(
        self, counted: Trace, progress: Progress | None
    ) -> tuple[Equality, Performance, tuple[str, ...]]:
        """The comparison, the cost, and what a reader must know about either.

        Where the machine's tool is missing and the emulator's counts are enough for a price,
        the comparison is with the target's definition instead, and a note says so.
        """
        program, period = self.subject.program, self.choices.period_s
        assert self.first is not None
        machine = backend(program.target)
        if self.choices.verify_samples == 0:
            with suppress(TargetError):
                return NOTHING, machine.price(program, counted, period), ()
        notes: tuple[str, ...] = ()
        try:
            equality, run = verified(program, self.first, progress)
        except ToolError as error:
            with suppress(TargetError):
                cost = machine.price(program, counted, period)
                missing = "; ".join(str(problem) for problem in error.problems)
                notes = (f"not run independently, compared with the definition: {missing}",)
                return compared_with_reference(self.subject, self.first), cost, notes
            raise
        return equality, machine.price(program, run if run.counts else counted, period), notes

    def _spike_agreement(self) -> float:
        return 1.0 - self.different / self.slots if self.slots else 1.0

    def _chips(self) -> Chips | None:
        if not self.chips:
            return None
        of = "accuracy" if self.labelled else "agreement with the float network"
        shares = tuple(right / self.samples for right in self.chips)
        return Chips(of, self.right / self.samples, shares)

    def _ann(self) -> tuple[Any, tuple[str, ...]]:
        """Cost of the opponent without spikes, and why there is none."""
        program = self.subject.program
        own = getattr(backend(program.target), "opponent", None)
        if own is None:
            return None, (f"{program.target} has no network without spikes to compare with",)
        try:
            return own(program, self.choices.period_s, self.steps), ()
        except SnnstackError as error:
            return None, tuple(f"no network without spikes: {p}" for p in error.problems)


def figures(subject: Subject, spikes: Spikes) -> dict[str, Any]:
    """What a page shows of a program besides numbers: plain data, for one sample."""
    program, one = subject.program, spikes.samples(0, 1)
    run = emulator(program.target).emulate(program, one, probes=probes(program.variables))
    views = getattr(backend(program.target), "views", None)
    return {
        "example": example(aligned(run, one.steps), {program.port.name: one}),
        "views": [] if views is None else [view.to_dict() for view in views(program)],
        "conversion": None if subject.conversion is None else dict(subject.conversion),
    }


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
    own = getattr(machine, "agreements", None)
    if own is not None:
        found = replace(found, agreements=tuple(own(program, spikes)))
    return found, Trace({}, {}, joined_counts(runs))


NOTHING = Equality("nothing", 0, 0, 0, 0, ())
"""No comparison."""


def compared_with_reference(subject: Subject, spikes: Spikes) -> Equality:
    """Emulator against the definition of the target's answer."""
    program, network = subject.program, subject.network
    emulated = emulator(program.target).emulate(program, spikes, probes=program.variables)
    own: Any = getattr(backend(program.target), "reference", None)
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


def _mean(trace: Trace, count: str, names: Sequence[str]) -> float:
    """Per inference, summed over the populations (counts of cores are the same events again)."""
    counts = [trace.counts[name] for name in names if name in trace.counts]
    return float(sum(getattr(found, count).mean() for found in counts))
