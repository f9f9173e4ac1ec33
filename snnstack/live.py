"""Models straight from torch modules, and proof at the door that they are the same network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from logging import getLogger
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.agreement import (
    LISTED,
    Agreement,
    Difference,
    counted,
    dense_of,
    differences_of,
    noted,
    run_steps_on,
    total,
    unlike,
    values_of,
)
from snnstack.door import shown, whole
from snnstack.errors import ModelError, TargetError, fail, raise_if_any
from snnstack.frontends.levels import levels_of, with_levels
from snnstack.frontends.torch_load import Forward, Traced, trace
from snnstack.frontends.torch_membranes import apart, firing, samples
from snnstack.frontends.torch_run import Run, returned, run_module
from snnstack.frontends.torch_single import run_single
from snnstack.ir.graph import Graph
from snnstack.loading import discretised, load
from snnstack.passes.options import READOUT, Options, said
from snnstack.report.told import told

DEFAULT_DT = 1e-3
"""Seconds of a step: the frameworks count steps only. It changes no spike."""


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
    options = said(options)
    check_said(outputs, name, levels, forward)
    dt = DEFAULT_DT if options is None or options.dt is None else options.dt
    kinds = {"forward": forward, "outputs": outputs, "dt": dt, "name": name}
    traced = trace(module, sample, **kinds)  # type: ignore[arg-type]
    if levels is not None and _is_real(traced.graph):
        sample, traced = _with_levels(sample, traced, levels)
    graph = traced.graph
    found = agreement(module, sample, traced, forward=forward)
    raise_if_any(ModelError, unlike(found))
    noted_of = noted(found, _framework(module))
    origin = dict.fromkeys(
        ("dt", "integrator", "reset", "reset_time", "compare", "events"), "module"
    )
    origin["dt"] = "default" if options is None or options.dt is None else "option"
    settings = MappingProxyType(origin)
    about = {**graph.metadata, "agreement": noted_of}
    used = None if outputs is not None else _readout(module, sample, traced, forward)
    if used is not None:
        about[READOUT] = used
    if options is None or options.readout is None:
        _say(graph, used)
    return load(graph.with_(settings=settings, metadata=about), options)


def _readout(module: Any, sample: Any, traced: Traced, forward: Forward | None) -> str | None:
    """The read-out whose result the module itself returns; None where it is not certain."""
    batch = traced.x.shape[0]
    result = returned(module, sample, traced, forward)
    if result is None or result.ndim != 2 or len(result) != batch:
        return None
    steps = discretised(load(traced.graph))
    last = steps.population(steps.outputs[0])
    fires = last.fires
    ours = run_steps_on(steps, traced.x, () if fires else [(last.name, "v")])
    sent = dense_of(ours.spikes[last.name]) if fires else ours.states[last.name, "v"]
    values = np.asarray(sent, dtype=np.float64).reshape(batch, traced.x.shape[1], last.n)
    return told(result, values, fires)


def _say(graph: Graph, used: str | None) -> None:
    """What is taken for the class, on stderr."""
    name = graph.metadata.get("name", "network")
    said_ = (
        f"classes are read as the module returns them: readout={used!r}"
        if used
        else "classes are read by most spikes, else the largest summed membrane (assumed: the "
        "module's result is none of ours; readout= says another, docs/readout.md)"
    )
    getLogger("snnstack").warning("%s: %s", name, said_)


def check_said(outputs: object, name: object, levels: object, forward: object) -> None:
    """TargetError for what is of another kind than it should be."""
    if outputs is not None and (isinstance(outputs, str) or not isinstance(outputs, Sequence)):
        raise fail(TargetError, "outputs", f"is {shown(outputs)}", "a list of neurons: ['fc2']")
    if name is not None and not isinstance(name, str):
        raise fail(TargetError, "name", f"is {shown(name)}", "text")
    if forward is not None and not callable(forward):
        raise fail(TargetError, "forward", f"is {shown(forward)}", "a function of net and sample")
    whole(levels, "levels", 1)


def _is_real(graph: Graph) -> bool:
    return any(port.events == "real" for port in graph.inputs().values())


def _with_levels(sample: Any, traced: Traced, most: int) -> tuple[Any, Traced]:
    """The sample rounded to levels, and the network that takes their numbers."""
    values = np.asarray(sample)
    levels = levels_of(values, most)
    rounded = levels.values(levels.counts(values)).astype(values.dtype)
    counts = levels.counts(traced.x)
    return rounded, replace(traced, graph=with_levels(traced.graph, levels), x=counts)


def _framework(module: Any) -> str:
    packages = {k.__module__.partition(".")[0] for m in module.modules() for k in type(m).__mro__}
    return ", ".join(sorted(packages & {"snntorch", "spikingjelly"}))


def agreement(
    module: Any, sample: Any, traced: Traced, *, forward: Forward | None = None
) -> Agreement:
    """Run the sample through the framework and through the step graph, and compare."""
    steps = discretised(load(traced.graph))
    silent = [(p.name, "v") for p in steps.populations if not p.fires]
    ours = run_steps_on(steps, traced.x, silent)
    few = samples(steps, traced.x.shape[1])
    run = run_module(module, sample, traced, forward, membranes=few)
    theirs = run.spikes
    mine = {name: dense_of(events) for name, events in ours.spikes.items()}
    counts, precision = counted(theirs, mine), "double"
    double, exact = total(counts), None
    probed = run_steps_on(steps, traced.x[:few], [(p.name, "v") for p in firing(steps)]).states
    far = apart(steps, (theirs, mine), run.membranes, probed)
    twin = _in_double(module, sample, traced, forward, few) if double or far else None
    if far and twin is not None:
        far = apart(steps, (twin.spikes, mine), twin.membranes, probed)
    if double:
        exact = None if twin is None else total(counted(twin.spikes, mine))
        single = run_single(steps, traced.x)
        if single is not None and total(counted(theirs, single)) < double:
            counts, precision = counted(theirs, single), "single"
    differences: tuple[Difference, ...] = ()
    if double:
        wrong = [(name, "v") for name, (_, count) in counted(theirs, mine).items() if count]
        states = run_steps_on(steps, traced.x, wrong).states
        differences = differences_of(steps, theirs, states, mine)
    values = values_of(steps, theirs, ours)
    found = (precision, double, exact, differences, values, far[:LISTED])
    return Agreement(MappingProxyType(counts), *found)


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
