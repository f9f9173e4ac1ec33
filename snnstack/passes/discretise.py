"""Discretise: a `Graph` and its time step become a `StepGraph`.

Formulas: NIR's equations under forward Euler or exact exponential decay of a constant input
(`docs/numerics.md`, "Discretisation").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.dynamics.biased import PREFIX, with_bias
from snnstack.dynamics.rule import Plastic
from snnstack.errors import ModelError, fail
from snnstack.ir.graph import Graph, Integrator
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import (
    IF,
    LI,
    LIF,
    Array,
    Cells,
    CubaLI,
    CubaLIF,
    Flatten,
    I,
    Input,
    Output,
    Shape,
    Threshold,
)
from snnstack.ir.shapes import output_shapes
from snnstack.ir.step import (
    Dense,
    Population,
    Projection,
    StepGraph,
    StepInput,
    StepReset,
    door,
    lif,
    size,
)
from snnstack.passes.compose import LinearMap, extend, finished
from snnstack.passes.paths import Path, bias_paths, paths, target_names
from snnstack.passes.timing import distances, same_step, update_order


def discretise(graph: Graph) -> StepGraph:
    """The network per step of `graph.dt`; `graph` is flat and says dt and integrator."""
    if graph.dt is None or graph.integrator is None:
        raise fail(ModelError, "graph", "says no time step or integrator", "apply options first")
    shapes = output_shapes(graph)
    found = _kept([p for path in paths(graph) for p in _projections(graph, path, shapes)])
    names = target_names(graph)
    outputs = _outputs(graph, names)
    projections = _timed(list(graph.inputs()), outputs, found)
    pairs = [(p.source, p.target) for p in projections]
    now = [(p.source, p.target) for p in projections if p.delay == 0]
    order = update_order(names, now, distances(graph.inputs(), pairs))
    biases = _biases(graph, shapes)
    populations = (_population(graph, name, shapes[name], biases) for name in order)
    return StepGraph(
        inputs=_inputs(graph),
        populations=tuple(populations),
        projections=tuple(
            sorted(projections, key=lambda p: (order.index(p.target), p.source, p.delay))
        ),
        outputs=tuple(outputs),
        dt=graph.dt,
        settings=_settings(graph),
        metadata=graph.metadata,
    )


def _inputs(graph: Graph) -> tuple[StepInput, ...]:
    """Those of the graph; several take the kind of events that holds those of all."""
    found = tuple(StepInput(n, i.shape, i.events) for n, i in graph.inputs().items())
    kind = door(found).events
    return tuple(replace(port, events=kind) for port in found)


def _settings(graph: Graph) -> dict[str, Any]:
    return {
        "dt": graph.dt,
        "integrator": graph.integrator,
        "origin": dict(graph.settings),
    }


def _outputs(graph: Graph, names: list[str]) -> list[str]:
    found: list[str] = []
    for name in graph.outputs():
        found += [name] if name in names else graph.predecessors(name)
    return list(dict.fromkeys(found))


def steps_of(seconds: Array, dt: float) -> Array:
    """Delays in seconds as whole steps; ModelError for one that is not (to 1 part in 1000)."""
    exact = np.asarray(seconds, dtype=np.float64) / dt
    steps = np.rint(exact).astype(np.int64)
    wrong = np.abs(exact - steps) > 1e-3 * np.maximum(np.abs(steps), 1)
    if wrong.any():
        first = float(np.asarray(seconds)[wrong].flat[0])
        what = f"delay {first:g} s is {first / dt:g} steps of {dt:g} s"
        raise fail(ModelError, "graph", what, "choose a dt that divides every delay")
    return steps


def _projections(
    graph: Graph, path: Path, shapes: dict[str, Shape]
) -> list[tuple[Projection, bool]]:
    """The projections of one path; True where their delay is still to be decided."""
    plastic = _plastic(graph, path, shapes)
    maps = _maps(graph, path, shapes[path.source]) if plastic is None else [plastic]
    explicit = path.explicit_delay
    found = []
    for linear in maps:
        pool, synapses = finished(linear)
        delay = linear.delay + (explicit or 0)
        open_ = explicit is None and linear.delay == 0
        port = _port(graph, path)
        rule = None if plastic is None else _rule(graph, path)
        wire = Projection(path.source, path.target, synapses, delay, pool, port, rule)
        found.append((wire, open_))
    return found


def _rule(graph: Graph, path: Path) -> Plastic | None:
    rules = (getattr(graph.nodes[name], "rule", None) for name in path.via)
    return next((rule for rule in rules if rule is not None), None)


def _plastic(graph: Graph, path: Path, shapes: dict[str, Shape]) -> LinearMap | None:
    """The synapses of a path that learns: all to all, whatever they start from; None: it does not.

    ModelError for weights that cannot be those of one projection.
    """
    if _rule(graph, path) is None:
        return None
    ends = f"{path.source} -> {path.target}"
    nodes = {name: graph.nodes[name] for name in path.via}
    others = [k for k, n in nodes.items() if getattr(n, "rule", None) is None]
    bad = [name for name in others if not isinstance(nodes[name], Flatten)]
    learning = [name for name in nodes if name not in others]
    if bad or len(learning) > 1:
        what = f"'{learning[0]}' learns, and '{(bad or learning[1:])[0]}' lies on the same path"
        hint = "a plastic Linear or Affine stands alone between two populations"
        raise fail(ModelError, ends, what, hint)
    node: Any = nodes[learning[0]]
    shape, target = shapes[path.source], shapes[path.target]
    if node.weight.ndim != 2 or node.delay is not None:
        what = f"'{learning[0]}' learns and has {'delays' if node.delay is not None else 'axes'}"
        hint = "weight [target, source], one delay for all: Edge(..., delay=n)"
        raise fail(ModelError, ends, f"{what} of its own", hint)
    return LinearMap(shape, target, synapses=Dense(node.weight.astype(np.float64)))


def _port(graph: Graph, path: Path) -> str:
    node = graph.nodes[path.target]
    return path.edges[-1].port or (node.model.inputs[0] if isinstance(node, Cells) else "x")


def _kept(found: list[tuple[Projection, bool]]) -> list[tuple[Projection, bool]]:
    """All but those without a synapse, where another one joins the same two populations.

    A path that only carries a bias leaves such a projection.
    """
    pairs = [(p.source, p.target, p.port) for p, _ in found]
    return [
        (p, open_)
        for p, open_ in found
        if p.synapses.weight.size or pairs.count((p.source, p.target, p.port)) == 1
    ]


def _maps(graph: Graph, path: Path, shape: Shape) -> list[LinearMap]:
    assert graph.dt is not None
    dt = graph.dt
    maps = [LinearMap(shape, shape)]
    for name in path.via:
        node = graph.nodes[name]
        maps = [m for one in maps for m in extend(one, node, lambda s: steps_of(s, dt))]
    return maps


def _timed(
    inputs: list[str], outputs: list[str], found: list[tuple[Projection, bool]]
) -> list[Projection]:
    undecided = [(p.source, p.target) for p, open_ in found if open_]
    fixed = [(p.source, p.target) for p, open_ in found if not open_ and p.delay == 0]
    now = same_step(inputs, outputs, undecided, fixed)
    return [
        replace(p, delay=1) if open_ and (p.source, p.target) not in now else p
        for p, open_ in found
    ]


Biases = dict[tuple[str, str], Array]
"""By population and port: float64 [n]."""


def _biases(graph: Graph, shapes: dict[str, Shape]) -> Biases:
    """The constant input of every target, from all Affine and Conv biases before it."""
    totals: Biases = {}
    for path in bias_paths(graph):
        node, shape = graph.nodes[path.source], shapes[path.source]
        bias = np.asarray(node.bias, dtype=np.float64)  # type: ignore[union-attr]
        if not hasattr(node, "stride"):
            values = np.broadcast_to(bias, shape).ravel()
        else:
            values = np.repeat(bias, size(shape) // len(bias))
        at = path.target, _port(graph, path)
        for linear in _maps(graph, path, shape):
            totals[at] = totals.get(at, 0.0) + _through(linear, values)
    return totals


def _through(linear: LinearMap, values: Array) -> Array:
    pool, synapses = finished(linear)
    if pool is not None:
        values = pool_matrix(pool) @ values
    return np.asarray(matrix(synapses, size(linear.shape)) @ values)


def _population(graph: Graph, name: str, shape: Shape, biases: Biases) -> Population:
    node = graph.nodes[name]
    if isinstance(node, Cells):
        return _cells(name, node, {port: b for (at, port), b in biases.items() if at == name})
    return _lif(graph, name, shape, biases.get((name, "x")))


def _cells(name: str, node: Cells, biases: dict[str, Array]) -> Population:
    """Numbers are as the model says, whatever dt is; constants of synapses become parameters."""
    biases = {port: bias for port, bias in biases.items() if bias.any()}

    def flat(values: Mapping[str, Any]) -> dict[str, Any]:
        spread = {k: np.asarray(v, dtype=np.float64) for k, v in values.items()}
        return {
            k: np.broadcast_to(v, node.shape).ravel() if v.ndim else float(v)
            for k, v in spread.items()
        }

    values = flat(node.values) | {PREFIX + port: bias for port, bias in biases.items()}
    model = with_bias(node.model, tuple(biases))
    return Population(name, node.shape, model, values, node.options, flat(node.initial))


def _lif(graph: Graph, name: str, shape: Shape, bias: Array | None) -> Population:
    assert graph.dt is not None and graph.integrator is not None
    n = size(shape)
    values = _dynamics(graph.nodes[name], graph.dt, graph.integrator)
    full = {
        key: None if value is None else np.broadcast_to(value, shape).ravel().astype(np.float64)
        for key, value in values.items()
    }
    node = graph.nodes[name]
    kind = getattr(node, "reset", "v_reset")
    reset: StepReset = {"subtract": "subtract", "none": "none"}.get(kind, "set")  # type: ignore
    v_reset = np.zeros(n)
    if kind == "v_reset" and hasattr(node, "v_reset"):
        v_reset = np.broadcast_to(node.v_reset, shape).ravel().astype(np.float64)
    refractory = getattr(node, "refractory", 0.0)
    return lif(
        name=name,
        shape=shape,
        bias=np.zeros(n) if bias is None else bias,
        v_reset=v_reset,
        reset=reset,
        compare=getattr(node, "compare", "gt"),
        refractory=int(steps_of(np.array(refractory), graph.dt)),
        reset_time=getattr(node, "reset_time", "now"),
        **full,  # type: ignore[arg-type]
    )


def _factors(tau: Array, dt: float, integrator: Integrator) -> tuple[Array, Array]:
    """(decay per step, gain of a constant input) of a first-order low-pass."""
    with np.errstate(over="ignore"):  # a time constant of almost nothing forgets at once
        ratio = dt / np.asarray(tau, dtype=np.float64)
    if integrator == "euler":
        return 1.0 - ratio, ratio
    return np.exp(-ratio), -np.expm1(-ratio)


def _dynamics(node: Any, dt: float, integrator: Integrator) -> dict[str, Any]:
    """alpha, beta, gain_in, gain, leak, threshold of one neuron node."""
    out: dict[str, Any] = {"beta": None, "gain_in": 1.0, "leak": 0.0, "threshold": None}
    match node:
        case Input() | Output() | Threshold():
            out |= {"alpha": 0.0, "gain": 1.0}
        case I() | IF():
            out |= {"alpha": 1.0, "gain": dt * np.asarray(node.r, dtype=np.float64)}
        case LI() | LIF():
            alpha, gain = _factors(node.tau, dt, integrator)
            out |= {"alpha": alpha, "gain": gain * node.r, "leak": gain * node.v_leak}
        case CubaLI() | CubaLIF():
            alpha, gain = _factors(node.tau_mem, dt, integrator)
            beta, gain_in = _factors(node.tau_syn, dt, integrator)
            out |= {"alpha": alpha, "gain": gain * node.r, "leak": gain * node.v_leak}
            out |= {"beta": beta, "gain_in": gain_in * node.w_in}
    if isinstance(node, (IF, LIF, CubaLIF)):
        out["threshold"] = node.v_threshold
    if isinstance(node, Threshold):
        out["threshold"] = node.threshold
    return out
