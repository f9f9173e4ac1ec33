"""Models straight from torch modules, and proof at the door that they are the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends.levels import levels_of, with_levels
from snnstack.frontends.torch_load import Forward, Traced, trace
from snnstack.frontends.torch_membranes import Apart, apart, firing, samples
from snnstack.frontends.torch_run import Run, run_module
from snnstack.frontends.torch_single import run_single
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph
from snnstack.passes.options import Options
from snnstack.pipeline import discretised, load
from snnstack.reference.run import run_steps
from snnstack.trace import Spikes, Trace

DEFAULT_DT = 1e-3
"""Seconds of a step: the frameworks count steps only. It changes no spike."""
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


def read_module(
    module: Any,
    sample: Any,
    options: Options | None = None,
    *,
    forward: Forward | None = None,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    levels: int | None = None,
) -> Graph:
    """The network of a module of snnTorch or SpikingJelly, checked against it on `sample`.

    `sample` is what the module's forward takes; or, for a module that does one step at a time,
    [step, sample, ...]. `forward(module, sample)` runs all steps where the module's own forward
    takes more than the sample. `outputs` names the neurons that are the result, where it is not
    what the module returns. `levels`: real-valued input becomes counts 0..levels, in the sample
    as well (`snnstack.encode` does it to data). Options replace what the module says, after the
    comparison.

    Raises ModelError if a module cannot be expressed, or if any spike or membrane differs for
    another reason than single precision; `metadata["agreement"]` tells what was compared.
    """
    dt = DEFAULT_DT if options is None or options.dt is None else options.dt
    kinds = {"forward": forward, "outputs": outputs, "dt": dt, "name": name}
    traced = trace(module, sample, **kinds)  # type: ignore[arg-type]
    if levels is not None and _is_real(traced.graph):
        sample, traced = _with_levels(sample, traced, levels)
    graph = traced.graph
    found = agreement(module, sample, traced, forward=forward)
    raise_if_any(ModelError, _unlike(found))
    noted = _noted(found, module)
    said = dict.fromkeys(("dt", "integrator", "reset", "reset_time", "compare", "events"), "module")
    said["dt"] = "default" if options is None or options.dt is None else "option"
    settings = MappingProxyType(said)
    graph = graph.with_(settings=settings, metadata={**graph.metadata, "agreement": noted})
    return load(graph, options)


def _is_real(graph: Graph) -> bool:
    return any(port.events == "real" for port in graph.inputs().values())


def _with_levels(sample: Any, traced: Traced, most: int) -> tuple[Any, Traced]:
    """The sample rounded to levels, and the network that takes their numbers."""
    values = np.asarray(sample)
    levels = levels_of(values, most)
    rounded = levels.values(levels.counts(values)).astype(values.dtype)
    counts = levels.counts(traced.x)
    return rounded, replace(traced, graph=with_levels(traced.graph, levels), x=counts)


def _noted(found: Agreement, module: Any) -> dict[str, Any]:
    """An agreement as metadata, which survives a file."""
    packages = {k.__module__.partition(".")[0] for m in module.modules() for k in type(m).__mro__}
    noted: dict[str, Any] = {
        "framework": ", ".join(sorted(packages & {"snntorch", "spikingjelly"})),
        "slots": found.slots,
        "mismatches": found.mismatches,
        "precision": found.precision,
        "mismatches_of_double_to_single": found.double,
    }
    if found.exact is not None:
        noted["mismatches_both_double"] = found.exact
    if found.differences:
        noted["differences"] = tuple(map(str, found.differences))
    return noted


def _unlike(found: Agreement) -> list[Problem]:
    if found.by_rounding:
        return []
    hint = "this is a fault of the import: the network is not what the module computes"
    listed = [Problem(d.population, str(d), hint) for d in found.differences]
    hint += "; if it differs in the first steps, let the same layers run in them as in all others"
    return listed + [Problem(d.population, str(d), hint) for d in found.membranes]


def agreement(
    module: Any, sample: Any, traced: Traced, *, forward: Forward | None = None
) -> Agreement:
    """Run the sample through the framework and through the step graph, and compare."""
    steps = discretised(load(traced.graph))
    silent = [(p.name, "v") for p in steps.populations if p.threshold is None]
    ours = _run(steps, traced.x, silent)
    few = samples(steps, traced.x.shape[1])
    run = run_module(module, sample, traced, forward, membranes=few)
    theirs = run.spikes
    mine = {name: _dense(events) for name, events in ours.spikes.items()}
    counts, precision = _counted(theirs, mine), "double"
    double, exact = _total(counts), None
    probed = _run(steps, traced.x[:few], [(p.name, "v") for p in firing(steps)]).states
    far = apart(steps, (theirs, mine), run.membranes, probed)
    twin = _in_double(module, sample, traced, forward, few) if double or far else None
    if far and twin is not None:
        far = apart(steps, (twin.spikes, mine), twin.membranes, probed)
    if double:
        exact = None if twin is None else _total(_counted(twin.spikes, mine))
        single = run_single(steps, traced.x)
        if single is not None and _total(_counted(theirs, single)) < double:
            counts, precision = _counted(theirs, single), "single"
    differences: tuple[Difference, ...] = ()
    if double:
        wrong = [(name, "v") for name, (_, count) in _counted(theirs, mine).items() if count]
        states = _run(steps, traced.x, wrong).states
        differences = _differences(steps, theirs, states, mine)
    values = _values(steps, theirs, ours)
    found = (precision, double, exact, differences, values, far[:LISTED])
    return Agreement(MappingProxyType(counts), *found)


def _run(steps: StepGraph, x: Array, probes: Sequence[tuple[str, str]]) -> Trace:
    """The float network: on the event engine, or for real numbers by the plain definition."""
    from snnstack.engine.steps import run_step_graph

    given = as_spikes(x)
    if isinstance(given, Spikes):
        return run_step_graph(steps, given, probes)
    return run_steps(steps, given, probes)


def _total(counts: Mapping[str, tuple[int, int]]) -> int:
    return sum(wrong for _, wrong in counts.values())


def as_spikes(x: Array) -> Spikes | Array:
    """Input as spikes where it is spikes or counts, else as real numbers."""
    whole = x.dtype.kind in "biu" or np.array_equal(x, np.rint(x))
    if whole and x.min(initial=0) >= 0 and x.max(initial=0) <= 255:
        return Spikes.from_dense(x.astype(np.uint8))
    return x.astype(np.float64)


def _dense(events: Spikes) -> Array:
    return events.dense().reshape(events.batch, events.steps, -1)


def _counted(theirs: Mapping[str, Array], mine: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    """{population: (slots, mismatches)} of all neurons that fire in both."""
    counts = {}
    for name, fired in mine.items():
        if name in theirs:
            wrong = (theirs[name] != 0) != (fired != 0)
            counts[name] = (int(wrong.size), int(np.count_nonzero(wrong)))
    return counts


def _differences(
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


def _values(steps: StepGraph, theirs: Mapping[str, Array], ours: Trace) -> float:
    worst = 0.0
    for p in steps.populations:
        if p.threshold is None and p.name in theirs:
            mine, other = ours.states[p.name, "v"], theirs[p.name]
            largest = max(float(np.abs(other).max(initial=0.0)), 1e-30)
            worst = max(worst, float(np.abs(mine - other).max(initial=0.0)) / largest)
    return worst


def _in_double(
    module: Any, sample: Any, traced: Traced, forward: Callable[..., Any] | None, membranes: int
) -> Run | None:
    """The framework's run in double precision; None where it cannot."""
    from snnstack.frontends.torch_double import double_precision

    try:
        with double_precision(module) as twin:
            return run_module(twin, sample, traced, forward, double=True, membranes=membranes)
    except Exception:  # whatever a user's forward raises with other numbers
        return None
