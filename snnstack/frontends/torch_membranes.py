"""Membranes of a framework's run against those here: a difference below threshold is one too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph

CLOSE = 1e-4
"""Membranes this near to each other, as a fraction of the largest of the neuron, are one."""
MOST = 2**22
"""Membranes that are compared: as many of the first samples as have no more, or one."""


@dataclass(frozen=True)
class Apart:
    """The first membrane of a sample that differs by more than rounding does."""

    population: str
    sample: int
    step: int
    neuron: int
    framework: float
    here: float

    def __str__(self) -> str:
        return (
            f"{self.population}[{self.neuron}], sample {self.sample}, step {self.step}: "
            f"the membrane is {self.framework:.6g} in the framework, {self.here:.6g} here"
        )


def samples(steps: StepGraph, length: int) -> int:
    """How many samples of `length` steps are compared."""
    return max(1, MOST // max(1, length * sum(p.n for p in steps.populations)))


def firing(steps: StepGraph) -> list[Population]:
    """Populations whose membranes are compared here; others are results."""
    return [p for p in steps.populations if p.fires]


def apart(
    steps: StepGraph,
    spikes: tuple[Mapping[str, Array], Mapping[str, Array]],
    theirs: Mapping[str, Array],
    mine: Mapping[tuple[str, str], Array],
) -> tuple[Apart, ...]:
    """The first difference of every sample, before the first spike in which it differs.

    `spikes`: {population: [sample, step, n]} of the framework and from here.
    """
    found: dict[int, tuple[int, int, Apart]] = {}
    for order, p in enumerate(firing(steps)):
        if p.name not in theirs or theirs[p.name].shape != mine[p.name, "v"].shape:
            continue
        here, there = mine[p.name, "v"], theirs[p.name]
        until = _agreeing(*spikes, len(here), here.shape[1])
        wrong = (np.abs(here - there) > CLOSE * _scale(p, here)) & until[:, :, None]
        for b in np.flatnonzero(wrong.any(axis=(1, 2))).tolist():
            t, j = (int(k) for k in np.argwhere(wrong[b])[0])
            if b not in found or (t, order) < found[b][:2]:
                values = (float(there[b, t, j]), float(here[b, t, j]))
                found[b] = (t, order, Apart(p.name, b, t, j, *values))
    return tuple(found[b][2] for b in sorted(found))


def _scale(p: Population, v: Array) -> Array:
    assert p.threshold is not None
    return np.asarray(np.maximum(np.abs(p.threshold), np.abs(v).max(axis=(0, 1), initial=0.0)))


def _agreeing(one: Mapping[str, Array], two: Mapping[str, Array], batch: int, steps: int) -> Array:
    """[sample, step]: whether all spikes up to and in this step are the same."""
    same = np.ones((batch, steps), dtype=bool)
    for name in one.keys() & two.keys():
        same &= ~((one[name][:batch] != 0) != (two[name][:batch] != 0)).any(axis=2)
    return np.logical_and.accumulate(same, axis=1)
