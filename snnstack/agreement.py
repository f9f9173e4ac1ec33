"""Two runs of one network compared: what another program computes, and the step graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.onnx_step import StepFile, run_step_file, with_agreement
from snnstack.frontends.torch_membranes import Apart
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph
from snnstack.reference.run import run_steps
from snnstack.trace import Spikes, Trace

LISTED = 10
"""Differences of an agreement that are kept one by one."""
CLOSE = 1e-4
"""A membrane this near to its threshold, as a fraction of it, can differ by rounding."""


@dataclass(frozen=True)
class Difference:
    """The first spike of a sample that differs, and how far the membrane was from firing."""

    population: str
    sample: int
    step: int
    neuron: int
    framework: int
    here: int
    distance: float

    def __str__(self) -> str:
        return (
            f"{self.population}[{self.neuron}], sample {self.sample}, step {self.step}: "
            f"{self.framework} spikes in the framework, {self.here} here; "
            f"v - threshold is {self.distance:.3g}"
        )


@dataclass(frozen=True)
class Agreement:
    """The framework's run of a sample against the step graph's, every spike of every neuron.

    `populations`: {name: (slots, mismatches)}. `precision`: in which the graph was run, "double"
    where nothing differs then or single precision does not help, else "single": with the
    framework's own products and order of sums. `double`: mismatches of the graph in double
    precision, and `exact` of both in double precision (None: not needed, or it cannot).
    `differences`: the first of each sample. `values`: largest relative difference of results
    that do not fire. `membranes`: the first of each sample that is apart, also where both
    compute in double precision.
    """

    populations: Mapping[str, tuple[int, int]]
    precision: str
    double: int
    exact: int | None
    differences: tuple[Difference, ...]
    values: float
    membranes: tuple[Apart, ...] = ()

    @property
    def slots(self) -> int:
        """Spikes compared: neurons times steps times samples."""
        return sum(slots for slots, _ in self.populations.values())

    @property
    def mismatches(self) -> int:
        """Spikes that differ."""
        return sum(wrong for _, wrong in self.populations.values())

    @property
    def by_rounding(self) -> bool:
        """Whether all that differs is single against double precision.

        Either nothing differs where both have the same precision, or every first difference is a
        membrane that meets its threshold to within rounding.
        """
        near = all(abs(d.distance) < CLOSE for d in self.differences)
        spikes = not self.mismatches or self.exact == 0 or (self.exact is None and near)
        return spikes and not self.membranes

    def __str__(self) -> str:
        found = f"{self.mismatches} of {self.slots} spikes differ from the framework's"
        if self.precision == "single":
            found += f" in single precision, {self.double} in double"
        if self.exact is not None:
            found += f", {self.exact} where both compute in double precision"
        return "\n  ".join([found, *map(str, self.differences), *map(str, self.membranes)])


def unlike(found: Agreement) -> list[Problem]:
    """A problem for every difference that is none of rounding."""
    if found.by_rounding:
        return []
    hint = "this is a fault of the import: the network is not what the module computes"
    listed = [Problem(d.population, str(d), hint) for d in found.differences]
    hint += "; if it differs in the first steps, let the same layers run in them as in all others"
    return listed + [Problem(d.population, str(d), hint) for d in found.membranes]


def compared(
    steps: StepGraph,
    x: Array,
    theirs: Mapping[str, Array],
    exactly: Callable[[], Mapping[str, Array] | None],
    singly: Callable[[], Mapping[str, Array] | None],
) -> Agreement:
    """What the other program computed on `x` against the step graph.

    `exactly` runs it in double precision, `singly` the graph in single; both only if asked.
    """
    silent = [(p.name, "v") for p in steps.populations if not p.fires]
    ours = run_steps_on(steps, x, silent)
    mine = {name: dense_of(events) for name, events in ours.spikes.items()}
    counts, precision = counted(theirs, mine), "double"
    double, exact = total(counts), None
    differences: tuple[Difference, ...] = ()
    if double:
        twin, single = exactly(), singly()
        exact = None if twin is None else total(counted(twin, mine))
        wrong = [(name, "v") for name, (_, count) in counts.items() if count]
        differences = differences_of(steps, theirs, run_steps_on(steps, x, wrong).states, mine)
        if single is not None and total(counted(theirs, single)) < double:
            counts, precision = counted(theirs, single), "single"
    values = values_of(steps, theirs, ours)
    return Agreement(MappingProxyType(counts), precision, double, exact, differences, values)


def noted(found: Agreement, framework: str) -> dict[str, Any]:
    """An agreement as metadata, which survives a file."""
    said: dict[str, Any] = {
        "framework": framework,
        "slots": found.slots,
        "mismatches": found.mismatches,
        "precision": found.precision,
        "mismatches_of_double_to_single": found.double,
    }
    if found.exact is not None:
        said["mismatches_both_double"] = found.exact
    if found.differences:
        said["differences"] = tuple(map(str, found.differences))
    return said


def run_steps_on(steps: StepGraph, x: Array, probes: Sequence[tuple[str, str]]) -> Trace:
    """The float network: on the event engine, or for real numbers by the plain definition."""
    from snnstack.engine.steps import run_step_graph

    given = as_spikes(x)
    if isinstance(given, Spikes):
        return run_step_graph(steps, given, probes)
    return run_steps(steps, given, probes)


def total(counts: Mapping[str, tuple[int, int]]) -> int:
    """Spikes that differ in all populations."""
    return sum(wrong for _, wrong in counts.values())


def as_spikes(x: Array) -> Spikes | Array:
    """Input as spikes where it is spikes or counts, else as real numbers."""
    whole = x.dtype.kind in "biu" or np.array_equal(x, np.rint(x))
    if whole and x.min(initial=0) >= 0 and x.max(initial=0) <= 255:
        return Spikes.from_dense(x.astype(np.uint8))
    return x.astype(np.float64)


def dense_of(events: Spikes) -> Array:
    """[sample, step, n]."""
    return events.dense().reshape(events.batch, events.steps, -1)


def counted(theirs: Mapping[str, Array], mine: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    """{population: (slots, mismatches)} of all neurons that fire in both."""
    counts = {}
    for name, fired in mine.items():
        if name in theirs:
            wrong = (theirs[name] != 0) != (fired != 0)
            counts[name] = (int(wrong.size), int(np.count_nonzero(wrong)))
    return counts


def differences_of(
    steps: StepGraph,
    theirs: Mapping[str, Array],
    states: Mapping[tuple[str, str], Array],
    mine: Mapping[str, Array],
) -> tuple[Difference, ...]:
    """The first difference of every sample: what follows can be its consequence."""
    first: dict[int, tuple[int, int, Difference]] = {}
    for order, p in enumerate(steps.populations):
        if p.name not in mine or p.name not in theirs:
            continue
        fired, other = mine[p.name], theirs[p.name] != 0
        for b, t, j in np.argwhere(other != (fired != 0)).tolist():
            if b in first and first[b][:2] <= (t, order):
                continue
            distance = _distance(p, states[p.name, "v"][b, t, j], bool(fired[b, t, j]), j)
            at = (p.name, b, t, j, int(other[b, t, j]), int(fired[b, t, j]))
            first[b] = (t, order, Difference(*at, distance))
    return tuple(found for _, _, found in first.values())[:LISTED]


def _distance(p: Population, v: float, fired: bool, j: int) -> float:
    """How far a membrane was from its threshold, as a fraction of it, before any reset."""
    assert p.threshold is not None
    threshold = float(p.threshold[j])
    if p.reset_time in ("now", "recheck") and fired:
        if p.reset == "set":
            return float("nan")
        v += threshold if p.reset == "subtract" else 0.0
    return (float(v) - threshold) / max(abs(threshold), 1e-30)


def values_of(steps: StepGraph, theirs: Mapping[str, Array], ours: Trace) -> float:
    """The largest relative difference of results that do not fire."""
    worst = 0.0
    for p in steps.populations:
        if not p.fires and p.name in theirs:
            mine, other = ours.states[p.name, "v"], theirs[p.name]
            largest = max(float(np.abs(other).max(initial=0.0)), 1e-30)
            worst = max(worst, float(np.abs(mine - other).max(initial=0.0)) / largest)
    return worst


# ONNX

CLOSE_VALUES = 1e-4
"""Largest relative difference of results that do not fire, for single precision."""
PROOF_STEPS, PROOF_SAMPLES = 24, 2
"""Of the sample that a file is tried on where none is given."""


def proved(file: StepFile, steps: StepGraph, sample: Any = None) -> Graph:
    """The graph of an ONNX step, if it computes what onnxruntime computes from the file.

    `sample` [step, sample, *shape]; None: random spikes.
    """
    x = _sample(file, steps, sample)
    theirs = run_step_file(file, x)
    found = compared(steps, x, theirs, lambda: run_step_file(file, x, double=True), lambda: None)
    raise_if_any(ModelError, unlike(found))
    if found.values > CLOSE_VALUES and not found.mismatches:
        what = f"gives results that differ by {found.values:.3g} from onnxruntime's"
        hint = "this is a fault of the import: the network is not what the file computes"
        raise fail(ModelError, file.onnx.name, what, hint)
    return with_agreement(file, noted(found, "onnxruntime"))


def _sample(file: StepFile, steps: StepGraph, sample: Any) -> Array:
    """[sample, step, *shape]."""
    shape = steps.port.shape
    if sample is None:
        rng = np.random.default_rng(0)
        rate = rng.choice([0.05, 0.3, 0.7], (PROOF_SAMPLES, PROOF_STEPS, *[1] * len(shape)))
        return (rng.random((PROOF_SAMPLES, PROOF_STEPS, *shape)) < rate).astype(np.uint8)
    x = np.asarray(sample)
    if x.ndim != len(shape) + 2 or x.shape[2:] != shape or not x.size:
        what = f"takes {list(shape)} in a step, the sample has the shape {list(x.shape)}"
        hint = f"give [step, sample, {', '.join(map(str, shape))}]"
        raise fail(ModelError, file.onnx.name, what, hint)
    return np.moveaxis(x, 0, 1)
