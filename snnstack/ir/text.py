"""Networks as text, one line a node: what `snnstack info` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snnstack.foreign_text import visible
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import (
    SPIKING,
    Array,
    AvgPool2d,
    Cells,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    SumPool2d,
)
from snnstack.ir.shapes import inferred_shapes, show
from snnstack.ir.step import Conv, Dense, Pool, Population, Projection, Sparse, StepGraph
from snnstack.ir.wellformed import arrays

Row = tuple[str, ...]
SENDS = {"spike": "fires", "value": "sends values", "nothing": "sends nothing"}


def describe(graph: Graph) -> str:
    """One line for every setting, then one for every node in the order of computation.

    A node's line has its name, type, shape, parameters (the value if uniform, else least..most),
    what a spike does, and what feeds it. Works on faulty graphs too: an unknown shape is `?`.
    """
    parts = _parts(graph)
    return "\n".join([*_settings(graph), *_table(_rows(graph)), *parts])


def describe_steps(graph: StepGraph) -> str:
    """One line for dt, then one for every input and population, and one for every projection."""
    rows: list[Row] = [(i.name, "input", show(i.shape), i.events) for i in graph.inputs]
    rows += [(p.name, "population", show(p.shape), _population(p)) for p in graph.populations]
    joins = [
        (f"{p}{_port(p)}", f"delay {p.delay}", _synapses(p), _pool(p.pool), _rule(p))
        for p in graph.projections
    ]
    origin = graph.settings.get("origin", {})
    head = [f"dt {graph.dt:g} s{_from(origin.get('dt'))}"]
    if "integrator" in graph.settings:
        name = graph.settings["integrator"]
        head.append(f"integrator {name}{_from(origin.get('integrator'))}")
    lines = [*_table(rows), *_table(joins, padded=2)]
    return "\n".join([*head, *lines, f"outputs {', '.join(map(visible, graph.outputs))}"])


def topological(graph: Graph) -> list[str]:
    """Names in the order of computation; a loop is entered where it is nearest to an input."""
    far = _distances(graph)
    waiting = {name: set(graph.predecessors(name)) & set(graph.nodes) for name in graph.nodes}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, before in waiting.items() if not before]
        name = min(ready or waiting, key=lambda n: (far.get(n, len(far)), n))
        ordered.append(name)
        del waiting[name]
        for before in waiting.values():
            before.discard(name)
    return ordered


def _distances(graph: Graph) -> dict[str, int]:
    found = dict.fromkeys(graph.inputs(), 0)
    front = list(found)
    while front:
        name = front.pop(0)
        for target in graph.successors(name):
            if target not in found:
                found[target] = found[name] + 1
                front.append(target)
    return found


def _settings(graph: Graph) -> Iterator[str]:
    dt = "not said" if graph.dt is None else f"{graph.dt:g} s"
    yield f"dt {dt}{_from(graph.settings.get('dt'))}"
    yield f"integrator {graph.integrator or 'not said'}{_from(graph.settings.get('integrator'))}"
    for name in ("reset", "reset_time", "compare", "events"):
        values = sorted({str(v) for v in _values(graph, name)})
        if values and values != ["now"]:
            yield f"{name} {', '.join(values)}{_from(graph.settings.get(name))}"


def _from(origin: Any) -> str:
    return f" ({origin})" if origin else ""


def _values(graph: Graph, name: str) -> Iterator[Any]:
    for node in graph.nodes.values():
        if isinstance(node, Graph):
            yield from _values(node, name)
        elif hasattr(node, name):
            yield getattr(node, name)


def _rows(graph: Graph) -> Iterator[Row]:
    shapes = inferred_shapes(graph)
    for name in topological(graph):
        node = graph.nodes[name]
        shape = show(shapes[name]) if name in shapes else "?"
        about = ", ".join([*_numbers(node), *_behaviour(node)])
        yield name, type(node).__name__, shape, about, _sources(graph, name)


def _parts(graph: Graph) -> Iterator[str]:
    """The nested graphs' own descriptions, each under its name and indented."""
    for name in topological(graph):
        node = graph.nodes[name]
        if isinstance(node, Graph):
            lines = [*_table(_rows(node)), *_parts(node)]
            inner = (f"  {line}" for line in "\n".join(lines).split("\n"))
            yield "\n".join([f"{visible(name)}:", *inner])


def _numbers(node: Any) -> Iterator[str]:
    if isinstance(node, Graph):
        yield f"{len(node.nodes)} nodes"
        return
    if isinstance(node, Cells):
        yield node.model.name
        for name, value in sorted({**node.values, **node.options}.items()):
            number = not isinstance(value, str | bool)
            yield f"{name} {_range(np.asarray(value)) if number else value}"
    for name, values in arrays(node).items():
        size = f" {show(values.shape)}" if name == "weight" else ""
        yield f"{name}{size} {_range(values)}"
    if isinstance(node, (Conv1d, Conv2d)):
        yield from _window(node, ("stride", "padding", "dilation", "groups"))
    if isinstance(node, (SumPool2d, AvgPool2d)):
        yield from _window(node, ("kernel_size", "stride", "padding"))
    if isinstance(node, Flatten):
        into = "" if node.into is None else f" into {show(node.into)}"
        yield f"axes {node.start_dim} to {node.end_dim}{into}"


def _window(node: Any, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = getattr(node, name)
        yield f"{name} {'x'.join(map(str, value)) if isinstance(value, tuple) else value}"


def _behaviour(node: Any) -> Iterator[str]:
    if isinstance(node, Cells):
        yield SENDS[node.model.sends]
    if isinstance(node, Input):
        yield f"{node.events} events"
    if hasattr(node, "compare"):
        sign, variable = {"gt": ">", "ge": ">="}.get(node.compare, node.compare), "x"
        limit = "threshold"
        if isinstance(node, SPIKING):
            variable, limit = "v", "v_threshold"
        yield f"fires at {variable} {sign} {limit}"
    if isinstance(node, SPIKING):
        yield f"then {_reset(node.reset)}{WHEN.get(node.reset_time, '')}"
        if node.refractory:
            yield f"refractory {node.refractory:g} s"


WHEN = {
    "now": "",
    "next": " in the next step",
    "next_all": " over the whole next step",
    "recheck": ", and the next spike above twice the threshold if v is still above it",
}
"""The time of a reset in words, by `ResetTime`."""


def _reset(kind: str) -> str:
    known = {"v_reset": "v = v_reset", "zero": "v = 0", "subtract": "v = v - v_threshold"}
    return known.get(kind, "no reset" if kind == "none" else kind)


def _sources(graph: Graph, name: str) -> str:
    edges = [edge for edge in graph.edges if edge.target == name]
    edges.sort(key=lambda edge: (edge.source, -1 if edge.delay is None else edge.delay))
    listed = (e.source if e.delay is None else f"{e.source} (delay {e.delay})" for e in edges)
    return f"from {', '.join(listed)}" if edges else ""


def _range(values: Array) -> str:
    if not values.size:
        return "none"
    least, most = np.min(values), np.max(values)
    return f"{least:.4g}" if least == most else f"{least:.4g}..{most:.4g}"


def _population(p: Population) -> str:
    if not p.is_lif:
        return _of_any_model(p)
    said = [f"alpha {_range(p.alpha)}"]
    if p.beta is not None:
        said += [f"beta {_range(p.beta)}", f"gain_in {_range(p.gain_in)}"]
    said += [f"gain {_range(p.gain)}", f"bias {_range(p.bias)}", f"leak {_range(p.leak)}"]
    if p.threshold is None:
        return ", ".join([*said, "does not fire"])
    sign = {"gt": ">", "ge": ">="}[p.compare]
    kinds = {"subtract": "v = v - threshold", "none": "no reset"}
    reset = kinds.get(p.reset, f"v = {_range(p.v_reset)}") + WHEN[p.reset_time]
    said += [f"fires at v {sign} {_range(p.threshold)}", f"then {reset}"]
    return ", ".join([*said, f"refractory {p.refractory} steps"] if p.refractory else said)


def _of_any_model(p: Population) -> str:
    """The model, its numbers and choices, and what it sends."""
    said = [f"{name} {_range(np.asarray(value))}" for name, value in sorted(p.values.items())]
    said += [f"{name} = {value}" for name, value in sorted(p.options.items())]
    return ", ".join([p.model.name, *said, SENDS[p.model.sends]])


def _port(p: Projection) -> str:
    return "" if p.port == "x" else f" ({p.port})"


def _rule(p: Projection) -> str:
    if p.rule is None:
        return ""
    third = f", third factor {p.rule.modulator}" if p.rule.modulator else ""
    return f"learns by {p.rule.rule.name}{third}"


def _synapses(projection: Projection) -> str:
    synapses = projection.synapses
    weights = f"weight {_range(synapses.weight)}"
    match synapses:
        case Dense():
            return f"dense {show(synapses.weight.shape)}, {weights}"
        case Sparse():
            return f"sparse {len(synapses.weight)} synapses, {weights}"
        case Conv():
            shape = f"{show(synapses.in_shape)} to {show(synapses.out_shape)}"
            return f"conv {show(synapses.weight.shape)}, {shape}, {weights}"


def _pool(pool: Pool | None) -> str:
    if pool is None:
        return ""
    size = "x".join(map(str, pool.kernel))
    return f"after sum pool {size}, {show(pool.in_shape)} to {show(pool.out_shape)}"


def _table(rows: Iterable[Row], padded: int = 3) -> list[str]:
    """Rows as lines; the first `padded` columns have one width, empty cells after them go."""
    listed = [tuple(map(visible, row)) for row in rows]
    widths = [max(len(row[column]) for row in listed) for column in range(padded) if listed]
    lines = []
    for row in listed:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        rest = [cell for cell in row[padded:] if cell]
        lines.append("  ".join([*cells, *rest]).rstrip())
    return lines
