"""Compare two runs bit for bit: every spike and every state of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from snnstack.report.readout import differing
from snnstack.trace import Spikes, Trace


@dataclass(frozen=True)
class Difference:
    """Where two runs disagree first in one population: what, and both values.

    States of a target that computes in real numbers are floats, with all their digits.
    """

    population: str
    variable: str
    sample: int
    step: int
    neuron: int
    emulator: int | float
    other: int | float
    count: int

    def __str__(self) -> str:
        return (
            f"{self.population} {self.variable}: {self.count} differ, first at sample "
            f"{self.sample}, step {self.step}, neuron {self.neuron}: emulator "
            f"{self.emulator}, other {self.other}"
        )


@dataclass(frozen=True)
class Agreement:
    """Two ways to compute the same real numbers: `worst` relative difference of `compared`.

    `of`: what was compared; `worst` and `tolerance` are relative to the largest number.
    """

    against: str
    of: str
    compared: int
    worst: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the difference is inside the tolerance; a NaN is not."""
        return self.worst <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "holds": self.holds}

    def __str__(self) -> str:
        verdict = "agree" if self.holds else "DISAGREE"
        return (
            f"{self.compared} {self.of} {verdict} with {self.against}: relative difference "
            f"{self.worst:.2g}, tolerance {self.tolerance:.2g}"
        )


@dataclass(frozen=True)
class Equality:
    """The result of comparing an emulation with an independent run.

    `agreements`: comparisons of analogue quantities, each within its own tolerance; one that
    does not hold counts as a mismatch.
    """

    against: str
    samples: int
    steps: int
    spikes_compared: int
    states_compared: int
    differences: tuple[Difference, ...]
    agreements: tuple[Agreement, ...] = ()

    @property
    def mismatches(self) -> int:
        """Number of spikes and states that differ, and of agreements that do not hold."""
        broken = sum(not agreement.holds for agreement in self.agreements)
        return broken + sum(difference.count for difference in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        plain = asdict(self)
        plain["differences"] = [asdict(d) for d in self.differences]
        plain["agreements"] = [a.to_dict() for a in self.agreements]
        return {**plain, "mismatches": self.mismatches}


def joined(parts: Sequence[Equality]) -> Equality:
    """One result for consecutive batches, samples numbered on from batch to batch."""
    found: dict[tuple[str, str], Difference] = {}
    samples = 0
    for part in parts:
        for difference in part.differences:
            key = (difference.population, difference.variable)
            first = found.get(key, replace(difference, sample=difference.sample + samples, count=0))
            found[key] = replace(first, count=first.count + difference.count)
        samples += part.samples
    return Equality(
        against=parts[0].against,
        samples=samples,
        steps=parts[0].steps,
        spikes_compared=sum(part.spikes_compared for part in parts),
        states_compared=sum(part.states_compared for part in parts),
        differences=tuple(found.values()),
        agreements=tuple(a for part in parts for a in part.agreements),
    )


def compare(emulated: Trace, other: Trace, against: str) -> Equality:
    """All spikes and states of `emulated` against `other`; both must hold the same names."""
    found: list[Difference] = []
    slots = states = samples = steps = 0
    for name, spikes in emulated.spikes.items():
        slots += spikes.batch * spikes.steps * spikes.n
        samples, steps = spikes.batch, spikes.steps
        found += _spikes(name, spikes, other.spikes[name])
    for (name, variable), values in emulated.states.items():
        states += values.size
        samples, steps = values.shape[:2]
        found += _states(name, variable, values, other.states[name, variable])
    return Equality(against, samples, steps, slots, states, tuple(found))


def _spikes(name: str, left: Spikes, right: Spikes) -> list[Difference]:
    a, b = (s.rows() * s.n + s.indices for s in (left, right))
    count = differing(a, b)
    if not count:
        return _carried(name, left, right)
    first = int(np.setxor1d(a, b)[0])
    row, neuron = divmod(first, left.n)
    sample, step = divmod(row, left.steps)
    here, there = int(first in a), int(first in b)
    return [Difference(name, "spike", sample, step, neuron, here, there, count)]


def _carried(name: str, left: Spikes, right: Spikes) -> list[Difference]:
    """Events that carry other numbers, where both have the same events."""
    a, b = (np.asarray(s.event_counts() if s.values is None else s.values) for s in (left, right))
    wrong = np.flatnonzero(a != b)
    if not len(wrong):
        return []
    first = int(wrong[0])
    sample, step = divmod(int(left.rows()[first]), left.steps)
    here, there = _plain(a[first]), _plain(b[first])
    neuron = int(left.indices[first])
    return [Difference(name, "value", sample, step, neuron, here, there, len(wrong))]


def _states(name: str, variable: str, left: Any, right: Any) -> list[Difference]:
    wrong = np.asarray(left) != np.asarray(right)
    count = int(np.count_nonzero(wrong))
    if not count:
        return []
    sample, step, neuron = (int(k) for k in np.argwhere(wrong)[0])
    here, there = (_plain(np.asarray(one)[sample, step, neuron]) for one in (left, right))
    return [Difference(name, variable, sample, step, neuron, here, there, count)]


def _plain(value: Any) -> int | float:
    """A number of numpy as Python's: an integer only where it is one by type."""
    found: int | float = value.item()
    return int(found) if isinstance(found, bool) else found
