"""`Stream`: samples read batch by batch, so that memory holds one batch whatever the set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from snnstack.door import whole
from snnstack.errors import DataError, fail
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
    called any number of times and gives the same samples each time.
    """

    name: str
    port: StepInput
    samples: int
    steps: int
    reader: Callable[[int], Iterator[Data]]

    def first(self, samples: int | None) -> Stream:
        """The first `samples` samples (all for None); TargetError if that is no number from 1."""
        whole(samples, "samples", 1)
        if samples is None or samples >= self.samples:
            return self
        return replace(self, samples=samples)

    def batches(self, most: int | None = None) -> Iterator[Data]:
        """All samples in order; a batch has at most `most` of them (None: by their size)."""
        left = self.samples
        for part in self.reader(min(most or self.batch_size(), max(left, 1))):
            yield part.first(left)
            left -= part.spikes.batch
            if left <= 0:
                return

    def batch_size(self) -> int:
        """Samples whose dense form has about `BATCH_SLOTS` slots."""
        slots = max(self.steps * size(self.port.shape), 1)
        return max(1, min(MOST_SAMPLES, BATCH_SLOTS // slots))

    def read(self) -> Data:
        """Everything at once."""
        return joined(list(self.batches()), self.name)


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

    return Stream(data.name, port, data.spikes.batch, data.spikes.steps, reader)
