"""`GradedEvents`: events that carry signed integers, of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class GradedEvents:
    """As `snnstack.trace.Spikes`, with int32 `values` (not 0) in place of counts."""

    shape: tuple[int, ...]
    batch: int
    steps: int
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.int32]

    @property
    def n(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @classmethod
    def from_dense(cls, dense: NDArray[Any]) -> GradedEvents:
        """From integers within int32, [batch, steps, n]; zeros are no events.

        >>> GradedEvents.from_dense(np.array([[[0, -3], [7, 0]]])).values.tolist()
        [-3, 7]
        """
        batch, steps, n = dense.shape
        flat = dense.reshape(batch * steps, n)
        rows, columns = np.nonzero(flat)
        indptr = np.zeros(batch * steps + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=batch * steps), out=indptr[1:])
        values = flat[rows, columns].astype(np.int32)
        return cls((n,), batch, steps, indptr, columns.astype(np.int32), values)

    def rows(self) -> NDArray[np.int64]:
        """For each event, `sample * steps + step`."""
        return np.repeat(np.arange(self.batch * self.steps), np.diff(self.indptr))

    def samples(self, start: int, stop: int) -> GradedEvents:
        """The samples `start`..`stop` - 1 as a batch of their own."""
        indptr = self.indptr[start * self.steps : stop * self.steps + 1]
        part = slice(int(indptr[0]), int(indptr[-1]))
        rebased, indices, values = indptr - indptr[0], self.indices[part], self.values[part]
        return GradedEvents(self.shape, stop - start, self.steps, rebased, indices, values)
