"""Run a float `StepGraph` on the event engine: the same equations, work only where spikes are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from snnstack.engine.batch import Progress, run
from snnstack.engine.check import spikes_problems
from snnstack.engine.order import in_c_order, renumbered
from snnstack.engine.plan import LayerPlan, NetworkPlan
from snnstack.engine.tables import Memory, edge, memory_order, unrolled
from snnstack.errors import DataError, ModelError, Problem, raise_if_any
from snnstack.ir.inputs import split
from snnstack.ir.learning import refuse_learning
from snnstack.ir.nodes import Shape
from snnstack.ir.step import StepGraph, size
from snnstack.trace import Spikes, Trace


def run_step_graph(
    step_graph: StepGraph,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]] = (),
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The float64 network on `spikes`, everything in C order; states float64 [batch, steps, n].

    Sums are taken in another order than in `snnstack.reference.run_steps`, so a spike may
    differ where a membrane meets its threshold to the last bit. Input that carries values
    (`Spikes.carrying`) may be any real numbers; several inputs are one set of events
    (`snnstack.ir.inputs`). Takes networks in which only populations that send feed others;
    raises `ModelError` for the rest, and for a probe that names no state, and `DataError` for
    spikes of another shape.
    """
    raise_if_any(ModelError, _problems(step_graph))
    refuse_learning(step_graph, "the event engine")
    port = step_graph.port
    raise_if_any(DataError, spikes_problems(port.name, spikes, port.shape))
    shapes = _shapes(step_graph)
    plain = tuple(unrolled(projection, shapes) for projection in step_graph.projections)
    graph, memory = step_graph.with_(projections=plain), memory_order(plain, shapes)
    events = [
        renumbered(part, memory[name], (part.n,))
        for name, part in split(spikes, graph.inputs).items()
    ]
    plan = _plan(graph, shapes, memory, graded=spikes.values is not None)
    trace = run(plan, events, probes=probes, threads=threads, progress=progress)
    return in_c_order(trace, shapes, memory)


def _problems(graph: StepGraph) -> Iterator[Problem]:
    if not graph.inputs:
        yield Problem("network", "has no input")
        return
    silent = {p.name for p in graph.populations if not p.fires}
    for projection in graph.projections:
        if projection.source in silent:
            hint = "only what is sent arrives; use the plain reference run"
            yield Problem(str(projection), f"{projection.source} does not fire", hint)


def _shapes(graph: StepGraph) -> dict[str, Shape]:
    shapes = {port.name: port.shape for port in graph.inputs}
    return shapes | {p.name: p.shape for p in graph.populations}


def _plan(graph: StepGraph, shapes: dict[str, Shape], memory: Memory, graded: bool) -> NetworkPlan:
    numbers = {name: k for k, name in enumerate(shapes)}
    layers = []
    for p in graph.populations:
        edges = tuple(
            replace(
                edge(projection, numbers[projection.source], memory, np.float64),
                port=p.model.inputs.index(projection.port),
            )
            for projection in graph.into(p.name)
        )
        index = memory[p.name]
        neurons = p.neurons
        neurons = neurons if index is None else neurons.at(np.argsort(index))
        layers.append(LayerPlan(p.name, p.n, edges, neurons))
    inputs = tuple(size(port.shape) for port in graph.inputs)
    return NetworkPlan(inputs, tuple(layers), frozenset(range(len(inputs)) if graded else ()))
