"""Sums over batches for one program, and the row that they end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.energy.performance import Performance
from snnstack.errors import ModelError, SnnstackError, TargetError, ToolError, raise_if_any
from snnstack.frontends.data import Data
from snnstack.ir.inputs import split
from snnstack.measure.checks import NOTHING, compared_with_reference, joined_counts, verified
from snnstack.measure.clipping import ClippedSums
from snnstack.measure.opponent import Rival
from snnstack.measure.subject import Choices, Subject
from snnstack.program import port_of
from snnstack.report.bench import BenchRow
from snnstack.report.chips import Chips
from snnstack.report.clipping import Clipped, summary, warnings_of
from snnstack.report.dead import Fired
from snnstack.report.equality import Equality
from snnstack.report.example import example, probes
from snnstack.report.operations import SENT, OperationCounter, Wiring
from snnstack.report.opponent import AnnResult
from snnstack.report.readout import (
    aligned,
    classes,
    differing_slots,
    in_units_of,
    output_probes,
    read_out,
    readout_notes,
)
from snnstack.target import Progress, backend, emulator, offered, statistical
from snnstack.trace import Counts, Spikes, Trace


class Tally:
    """Sums over batches for one program; `row` closes them.

    `rival`: the opponent of its network, `why` what is to be said where there is none.
    `operations`: counted elsewhere, on the float network; None: here, on the program's own.
    """

    def __init__(
        self,
        subject: Subject,
        choices: Choices,
        rival: Rival | None,
        why: Sequence[str],
        operations: OperationCounter | None = None,
    ) -> None:
        self.subject, self.choices = subject, choices
        self.rival, self.why = rival, tuple(why)
        self.names = list(subject.program.fires)
        self.readout = choices.readout or read_out(subject.program.settings)
        wiring = None if operations is not None else _wiring(subject)
        self.own = None if wiring is None else OperationCounter(wiring)
        self.operations = operations or self.own
        self.samples = self.steps = self.slots = self.different = 0
        self.same = self.right = self.right_float = 0
        self.labelled = self.compared = True
        self.fired = Fired(subject.program.outputs)
        analogue = statistical(subject.program.target)
        self.chips = [0] * (choices.seeds if analogue else 0)
        self.clipped = ClippedSums()
        self.counts: list[Mapping[str, Counts]] = []
        self.first: Spikes | None = None

    def add(self, part: Data, real: Trace | None) -> None:
        """One batch: its samples and what the float network does with them, where known."""
        program = self.subject.program
        trace = self._emulated(part, self.choices.seed)
        found = self._classes(trace)
        self.fired.add(trace, real)
        wanted = found if real is None else classes(real, program.outputs, self.readout)
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
            chip = self._classes(self._emulated(part, seed))
            self.chips[seed] += int(np.sum(chip == truth))
        if self.own is not None:
            self.own.add(trace, split(part.spikes, port_of(program).sources))
        self.counts.append(trace.counts)
        self._keep_first(part.spikes)

    def _classes(self, trace: Trace) -> NDArray[np.int64]:
        """Of a run of the board."""
        network = self.subject.network
        readout = self.readout if network is None else in_units_of(self.readout, network)
        return classes(trace, self.subject.program.outputs, readout)

    def _emulated(self, part: Data, seed: int | None) -> Trace:
        program = self.subject.program
        wanted = output_probes(program.outputs, program.fires, self.readout)
        if self.own is not None:
            wanted += [(name, SENT) for name in self.names if (name, SENT) in program.variables]
        run = emulator(program.target).emulate(program, part.spikes, seed=seed, probes=wanted)
        if seed is not None or not statistical(program.target):
            self.clipped.add(run.counts)
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
        clipped = self.clipped.found(program)
        raise_if_any(ModelError, warnings_of(clipped) if choices.strict else ())
        ann, more = (None, ()) if choices.ann is None else self._ann()
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
            memory_basis=_memory_basis(program),
            board_status=program.board.status,
            settings=dict(program.settings),
            operations=None if self.operations is None else self.operations.total(),
            ann=ann,
            chips=self._chips(),
            clipped=clipped,
            dead=self.fired.dead(),
            notes=(
                *notes,
                *more,
                *map(str, self.fired.dead()),
                *_clipping(clipped),
                *readout_notes(program.settings),
            ),
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

    def _ann(self) -> tuple[AnnResult | None, tuple[str, ...]]:
        """The opponent without spikes on this board, and why there is none."""
        program = self.subject.program
        if offered(backend(program.target), "opponent") is None:
            return None, (f"{program.target} has no network without spikes to compare with",)
        if self.rival is None:
            return None, self.why
        try:
            return self.rival.on(program, self.choices.period_s), ()
        except SnnstackError as error:
            return None, tuple(f"no network without spikes: {p}" for p in error.problems)


def _memory_basis(program: Any) -> str:
    """What linked the memory's figures, for a target whose programs are linked; else ""."""
    basis = getattr(program, "memory_basis", None)
    if basis is None:
        return ""
    return f"linked by {basis}" if basis else "code and stack are upper bounds"


def _clipping(found: Sequence[Clipped]) -> tuple[str, ...]:
    """The warnings, else the count, for people."""
    line = summary(found)
    return tuple(map(str, warnings_of(found))) or ((line,) if line else ())


def _wiring(subject: Subject) -> Wiring | None:
    """What operations are counted on: the quantised network, or what the backend knows."""
    if subject.network is not None:
        return Wiring.of(subject.network)
    own = offered(backend(subject.program.target), "wiring")
    return None if own is None else own(subject.program)


def figures(subject: Subject, spikes: Spikes) -> dict[str, Any]:
    """What a page shows of a program besides numbers: plain data, for one sample."""
    program, one = subject.program, spikes.samples(0, 1)
    run = emulator(program.target).emulate(program, one, probes=probes(program.variables))
    views = offered(backend(program.target), "views")
    return {
        "example": example(aligned(run, one.steps), split(one, port_of(program).sources)),
        "views": [] if views is None else [view.to_dict() for view in views(program)],
        "conversion": None if subject.conversion is None else dict(subject.conversion),
    }


def _mean(trace: Trace, count: str, names: Sequence[str]) -> float:
    """Per inference, summed over the populations (counts of cores are the same events again)."""
    counts = [trace.counts[name] for name in names if name in trace.counts]
    return float(sum(getattr(found, count).mean() for found in counts))
