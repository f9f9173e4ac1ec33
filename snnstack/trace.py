"""`Spikes` (address-events over batch x step x neuron) and `Trace` (what a run recorded)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, fail

LARGEST_COUNT = 255
"""Spikes of an element in one step."""


@dataclass(frozen=True, eq=False)
class Spikes:
    """Events of a batch, held sparsely.

    The events of step t of sample b are `indices[indptr[b * steps + t] : indptr[... + 1]]`:
    neuron numbers in C order of `shape`, ascending. `counts` (uint8, like `indices`) says how
    many spikes an event stands for; None means one each. `values` (int32 or float64, like
    `indices`, never 0): what each event carries, from sources that send values; None: nothing.

    >>> s = Spikes.from_dense(np.array([[[0, 1, 0], [1, 0, 2]]], dtype=np.uint8))
    >>> s.indices.tolist(), s.total
    ([1, 0, 2], 4)
    """

    shape: tuple[int, ...]
    batch: int
    steps: int
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    counts: NDArray[np.uint8] | None = None
    values: NDArray[Any] | None = None

    @property
    def n(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def total(self) -> int:
        """Number of spikes."""
        return len(self.indices) if self.counts is None else int(self.counts.sum(dtype=np.int64))

    @classmethod
    def from_dense(cls, dense: NDArray[Any]) -> Spikes:
        """From integers 0..255 of shape [batch, steps, *shape]; the input is not changed.

        Raises DataError for any other number, which no count could hold.
        """
        _check_counts(dense)
        found = cls.carrying(dense)
        values = np.asarray(found.values).astype(np.uint8)
        counts = None if not len(values) or values.max() <= 1 else values
        return replace(found, counts=counts, values=None)

    @classmethod
    def carrying(cls, dense: NDArray[Any]) -> Spikes:
        """Events that carry the numbers of `dense` [batch, steps, *shape]; zeros are none.

        Integers, within int32, stay integers; all others become float64.

        >>> Spikes.carrying(np.array([[[0, -3], [7, 0]]])).values.tolist()
        [-3, 7]
        """
        batch, steps, *shape = dense.shape
        flat = dense.reshape(batch * steps, int(np.prod(shape, dtype=np.int64)))
        rows, columns = np.nonzero(flat)
        indptr = np.zeros(batch * steps + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=batch * steps), out=indptr[1:])
        values = flat[rows, columns]
        values = values.astype(np.float64 if values.dtype.kind == "f" else np.int32)
        indices = columns.astype(np.int32)
        return cls(tuple(shape), batch, steps, indptr, indices, values=values)

    def dense(self) -> NDArray[Any]:
        """[batch, steps, *shape]: uint8, or what events carry, int32 or float64."""
        each = self.event_counts() if self.values is None else self.values
        out = np.zeros((self.batch * self.steps, self.n), dtype=each.dtype)
        out[self.rows(), self.indices] = each
        return out.reshape(self.batch, self.steps, *self.shape)

    def rows(self) -> NDArray[np.int64]:
        """For each event, `sample * steps + step`."""
        return np.repeat(np.arange(self.batch * self.steps), np.diff(self.indptr))

    def per_neuron(self, values: bool = False) -> NDArray[Any]:
        """Number of spikes of each neuron in each sample: int64 [batch, n].

        `values`: of events that carry values, their sums: float64 [batch, n].
        """
        keys = (self.rows() // max(self.steps, 1)) * self.n + self.indices
        each = self.values if values and self.values is not None else self.counts
        weights = None if each is None else each.astype(np.float64)
        sums = np.bincount(keys, weights=weights, minlength=self.batch * self.n)
        kind = np.float64 if values and self.values is not None else np.int64
        return sums.astype(kind).reshape(self.batch, self.n)

    @classmethod
    def concatenated(cls, parts: Sequence[Spikes]) -> Spikes:
        """Batches one after the other, all of the same shape and number of steps; at least one."""
        first = parts[0]
        ends = np.cumsum([0, *(len(part.indices) for part in parts)])
        rows = [part.indptr[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
        counts = None
        if any(part.counts is not None for part in parts):
            counts = np.concatenate([part.event_counts() for part in parts])
        values = [part.values for part in parts if part.values is not None]
        return cls(
            first.shape,
            sum(part.batch for part in parts),
            first.steps,
            np.concatenate([np.zeros(1, dtype=np.int64), *rows]),
            np.concatenate([part.indices for part in parts]),
            counts,
            np.concatenate(values) if values else None,
        )

    def valued(self) -> Spikes:
        """The same events, each of which carries how many spikes it stood for."""
        if self.values is not None:
            return self
        return replace(self, counts=None, values=self.event_counts().astype(np.int32))

    def event_counts(self) -> NDArray[np.uint8]:
        """How many spikes each event stands for."""
        return np.ones(len(self.indices), dtype=np.uint8) if self.counts is None else self.counts

    def samples(self, start: int, stop: int) -> Spikes:
        """The samples `start`..`stop` - 1 as a batch of their own."""
        start, stop, _ = slice(start, stop).indices(self.batch)
        indptr = self.indptr[start * self.steps : stop * self.steps + 1]
        part = slice(int(indptr[0]), int(indptr[-1]))
        rebased = indptr - indptr[0]
        return Spikes(
            self.shape, stop - start, self.steps, rebased, self.indices[part], *self._carried(part)
        )

    def window(self, start: int, steps: int) -> Spikes:
        """The steps `start`..`start + steps` - 1 of every sample; 0 <= start."""
        kept = np.clip(self.steps - start, 0, steps)
        first = np.arange(self.batch)[:, None] * self.steps + start + np.arange(kept)
        counts = np.zeros((self.batch, steps), dtype=np.int64)
        counts[:, :kept] = np.diff(self.indptr)[first]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        step = self.rows() % max(self.steps, 1)
        inside = (step >= start) & (step < start + steps)
        kept_events = self.indices[inside]
        carried = self._carried(inside)
        return Spikes(self.shape, self.batch, steps, indptr, kept_events, *carried)

    def _carried(self, place: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Counts and values of the events at `place`."""
        counts = None if self.counts is None else self.counts[place]
        return counts, None if self.values is None else self.values[place]


def _check_counts(dense: NDArray[Any]) -> None:
    if dense.dtype.kind == "b" or dense.dtype == np.uint8 or not dense.size:
        return
    wrong = dense[(dense != np.floor(dense)) | (dense < 0) | (dense > LARGEST_COUNT)]
    if wrong.size:
        what = f"{wrong.size} of {dense.size} numbers are no counts, first {wrong.flat[0]:g}"
        hint = f"an element sends 0..{LARGEST_COUNT} spikes in a step"
        raise fail(DataError, "spikes", what, hint)


@dataclass(frozen=True, eq=False)
class Counts:
    """What one population (or core) did, per sample: int64 [batch] each.

    `synops`: synaptic operations, one per synapse that a spike reached. `updates`: neuron
    updates. `spikes`: spikes sent. `other`: target-specific, e.g. "instructions", "hops".
    """

    synops: NDArray[np.int64]
    updates: NDArray[np.int64]
    spikes: NDArray[np.int64]
    other: Mapping[str, NDArray[np.int64]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run recorded.

    `spikes` by population (those that fire). `states[population, variable]`: [batch, steps, n],
    the value after the step (after a reset); variables are "v" and, where it exists, "i".
    `counts` by population or core; empty where the runner does not count. `lag`: steps by
    which a population runs behind the input on a chip that delays every hop (others: 0).
    `weights` by plastic projection ("a -> b"): [batch, target, source] after the last step.
    """

    spikes: Mapping[str, Spikes]
    states: Mapping[tuple[str, str], NDArray[Any]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    counts: Mapping[str, Counts] = field(default_factory=lambda: MappingProxyType({}))
    lag: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    weights: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))


def joined(parts: Sequence[Trace]) -> Trace:
    """The traces of consecutive batches as that of one; at least one."""
    first = parts[0]
    counts = {}
    for name, one in first.counts.items():
        each = [part.counts[name] for part in parts]
        counts[name] = Counts(
            synops=np.concatenate([c.synops for c in each]),
            updates=np.concatenate([c.updates for c in each]),
            spikes=np.concatenate([c.spikes for c in each]),
            other={k: np.concatenate([c.other[k] for c in each]) for k in one.other},
        )
    return Trace(
        {name: Spikes.concatenated([part.spikes[name] for part in parts]) for name in first.spikes},
        {key: np.concatenate([part.states[key] for part in parts]) for key in first.states},
        counts,
        first.lag,
        {key: np.concatenate([part.weights[key] for part in parts]) for key in first.weights},
    )
