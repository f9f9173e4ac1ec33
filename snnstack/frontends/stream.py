"""`Stream`: samples read batch by batch, so that memory holds one batch whatever the set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snnstack.door import whole
from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.frontends.data import Data
from snnstack.ir.step import StepInput, size
from snnstack.trace import Spikes

BATCH_SLOTS = 2**25
"""(sample, step, element) slots of a batch: 32 MB where a reader holds them densely."""
MOST_SAMPLES = 256
"""A batch is never larger, however small its samples are."""


@dataclass(frozen=True, eq=False)
class Stream:
    """`samples` samples for `port`, each of `steps` steps.

    `reader(size)` yields them in order, from the first, as batches of at most `size`; it can be
    called any number of times and gives the same samples each time. `labels` are those that are
    known before anything is read, `classes` the names whose order made them numbers, if it did.
    """

    name: str
    port: StepInput
    samples: int
    steps: int
    reader: Callable[[int], Iterator[Data]]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] | None = None

    def first(self, samples: int | None) -> Stream:
        """The first `samples` samples (all for None); TargetError if that is no number from 1."""
        whole(samples, "samples", 1)
        if samples is None or samples >= self.samples:
            return self
        labels = None if self.labels is None else self.labels[:samples]
        return replace(self, samples=samples, labels=labels)

    def within(self, outputs: int) -> Stream:
        """The same samples for a network of so many outputs; DataError for labels beyond them.

        At once where labels are known already, else batch by batch.
        """
        problems = label_problems(self.labels, outputs, self.name)
        if self.classes is not None and len(self.classes) != outputs:
            problems.append(_named(self.classes, outputs, self.name))
        raise_if_any(DataError, problems)

        def reader(most: int) -> Iterator[Data]:
            done = 0
            for part in self.reader(most):
                used = part.first(self.samples - done)
                raise_if_any(DataError, label_problems(used.labels, outputs, self.name, done))
                done += part.spikes.batch
                yield part

        return replace(self, reader=reader)

    def batches(self, most: int | None = None) -> Iterator[Data]:
        """All samples in order; a batch has at most `most` of them (None: by their size)."""
        left = self.samples
        for part in self.reader(min(most or self.batch_size(), max(left, 1))):
            yield self._carrying(part.first(left))
            left -= part.spikes.batch
            if left <= 0:
                return

    def _carrying(self, part: Data) -> Data:
        """Events that carry their count where the input takes values."""
        return replace(part, spikes=part.spikes.valued()) if self.port.events == "value" else part

    def batch_size(self) -> int:
        """Samples whose dense form has about `BATCH_SLOTS` slots."""
        slots = max(self.steps * size(self.port.shape), 1)
        return max(1, min(MOST_SAMPLES, BATCH_SLOTS // slots))

    def read(self) -> Data:
        """Everything at once."""
        return joined(list(self.batches()), self.name)


def label_problems(
    labels: NDArray[np.int64] | None, outputs: int, name: str, first: int = 0
) -> list[Problem]:
    """What is wrong with labels for so many outputs; `first` is the number of the first sample."""
    if labels is None:
        return []
    if outputs == 1:
        what = "has labels, and the network one output: the largest of one says nothing"
        hint = "--readout above:X says when it means class 1; or leave out y"
        return [Problem(name, what, hint)]
    wrong = np.flatnonzero((labels < 0) | (labels >= outputs))
    if not len(wrong):
        return []
    at = int(wrong[0])
    what = f"y has the class {int(labels[at])} at sample {at + first}, "
    what += f"the network has {outputs} outputs: 0..{outputs - 1}"
    what += f"; {len(wrong)} samples have such classes" if len(wrong) > 1 else ""
    return [Problem(name, what, "classes count from 0" if labels.min() > 0 else "")]


def _named(classes: tuple[str, ...], outputs: int, name: str) -> Problem:
    shown = ", ".join(classes[:4]) + (", ..." if len(classes) > 4 else "")
    what = f"folders name {len(classes)} classes ({shown}), the network has {outputs} outputs"
    return Problem(name, what, "classes=a,b,c names all of them in the order of the outputs")


def joined(parts: list[Data], name: str) -> Data:
    """Consecutive batches as one; labels only where every batch has them."""
    if not parts:
        raise fail(DataError, name, "holds no samples")
    spikes = Spikes.concatenated([part.spikes for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    together = np.concatenate(labels) if len(labels) == len(parts) else None
    return Data(spikes, together, name)


def of_data(data: Data, port: StepInput) -> Stream:
    """Samples that are in memory already, as a stream."""

    def reader(most: int) -> Iterator[Data]:
        for start in range(0, data.spikes.batch, most):
            labels = None if data.labels is None else data.labels[start : start + most]
            yield Data(data.spikes.samples(start, start + most), labels, data.name)

    return Stream(data.name, port, data.spikes.batch, data.spikes.steps, reader, data.labels)
