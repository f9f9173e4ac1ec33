"""Fill in what a model file does not say: dt, integrator, reset, comparison, input events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from types import MappingProxyType
from typing import Any

from snnstack.door import instance, shown
from snnstack.errors import ModelError, TargetError, fail
from snnstack.ir.graph import Graph, Integrator
from snnstack.ir.nodes import Compare, EventKind, Input, Reset, ResetTime
from snnstack.passes.prune import prune
from snnstack.passes.writers import WRITERS

READOUT = "readout"
"""Metadata of a graph, and setting of what is made of it: the text of its read-out."""
DEFAULT_DT = 1e-4
"""Seconds; what snnTorch's and Norse's exporters assume."""
DEFAULT_DT_WITHOUT_TAU = 1.0
"""A network without time constants: `r` is the gain per step."""


@dataclass(frozen=True)
class Options:
    """What the user says about a model; None leaves it to the file, then to the default.

    `prune`: the share of every layer's weights, the smallest, that become zero. `readout`: how
    the first output names a class (`snnstack.report.readout`); kept in the graph's metadata.
    """

    dt: float | None = None
    integrator: Integrator | None = None
    reset: Reset | None = None
    reset_time: ResetTime | None = None
    compare: Compare | None = None
    events: EventKind | None = None
    written_by: str | None = None
    prune: float | None = None
    readout: str | None = None


WRITTEN_BY: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {name: writer.meant for name, writer in WRITERS.items()}
)
"""What a NIR file does not say and its writer means. `docs/frontends.md` says what else the
writers differ in."""


def said(options: Any) -> Options | None:
    """Options whose values are of the kinds they should be; TargetError says which is not.

    Words are compared with what a node knows by the rules of a graph.
    """
    if options is None:
        return None
    found = instance(options, Options, "options", "snnstack.Options(dt=1e-3, reset='zero', ...)")
    found = replace(found, dt=_number("dt", found.dt), prune=_number("prune", found.prune))
    for name in ("integrator", "reset", "reset_time", "compare", "events", "written_by", "readout"):
        value = getattr(found, name)
        if value is not None and not isinstance(value, str):
            raise fail(TargetError, f"options.{name}", f"is {shown(value)}", "a word, as text")
    return found


def _number(name: str, value: Any) -> float | None:
    """A real number that is finite in double precision; TargetError for anything else."""
    if value is None:
        return None
    try:
        real = isinstance(value, Real) and not isinstance(value, bool)
        number = float(value) if real else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise fail(TargetError, f"options.{name}", f"is {shown(value)}", "a number")
    return number


def apply_options(graph: Graph, options: Options) -> Graph:
    """The graph with every choice made; `settings` says where each came from.

    dt and integrator: option, else file, else default. reset, reset_time and compare: an option
    replaces what every spiking node says; events: what every input says. A reset that is chosen
    without its time acts now. `written_by` stands between file and default.
    """
    said = graph.settings
    if options.written_by is not None:
        graph = _as_written(graph, options.written_by)
        said = graph.settings
    dt, dt_from = _chosen(options.dt, graph.dt, _default_dt(graph), said.get("dt"))
    integrator, integrator_from = _chosen(
        options.integrator, graph.integrator, "euler", said.get("integrator")
    )
    origin = {"dt": dt_from, "integrator": integrator_from}
    for name in ("reset", "reset_time", "compare", "events"):
        chosen = getattr(options, name) is not None
        origin[name] = "option" if chosen else said.get(name, "default")
    if options.reset is not None:
        origin["reset_time"] = "option"
    graph = graph if options.prune is None else prune(graph, options.prune)
    if options.readout is not None:
        graph = replace(graph, metadata={**graph.metadata, READOUT: options.readout})
    nodes = {name: _with(node, options) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes, dt=dt, integrator=integrator, settings=origin)


def _as_written(graph: Graph, writer: str) -> Graph:
    """The graph with what the program that wrote it means, where the file does not say it."""
    if writer not in WRITTEN_BY:
        what = f"is not known to have been written by {writer!r}"
        raise fail(ModelError, "graph", what, f"one of: {', '.join(WRITTEN_BY)}")
    meant, origin = dict(WRITTEN_BY[writer]), f"written by {writer}"
    meant["dt"] = WRITERS[writer].told(graph) or meant["dt"]
    settled = {k for k, v in graph.settings.items() if v != "default"}
    settled |= {k for k in ("dt", "integrator") if getattr(graph, k) is not None}
    filled = {key: value for key, value in meant.items() if key not in settled}
    chosen = {key: filled[key] for key in ("reset", "reset_time", "compare") if key in filled}
    nodes = {
        name: node if getattr(node, "reset", "") == "none" else _with(node, Options(**chosen))
        for name, node in graph.nodes.items()
    }
    times = {key: filled[key] for key in ("dt", "integrator") if key in filled}
    settings = {**graph.settings, **dict.fromkeys(filled, origin)}
    return graph.with_(nodes=nodes, settings=settings, **times)


def _chosen(option: Any, stated: Any, default: Any, origin: str | None) -> tuple[Any, str]:
    if option is not None:
        return option, "option"
    return (stated, origin or "file") if stated is not None else (default, "default")


def _default_dt(graph: Graph) -> float:
    timed = any(hasattr(node, "tau") or hasattr(node, "tau_mem") for node in _leaves(graph))
    return DEFAULT_DT if timed else DEFAULT_DT_WITHOUT_TAU


def _leaves(graph: Graph) -> list[Any]:
    found: list[Any] = []
    for node in graph.nodes.values():
        found += _leaves(node) if isinstance(node, Graph) else [node]
    return found


def _with(node: Any, options: Options) -> Any:
    if isinstance(node, Graph):
        return replace(node, nodes={k: _with(n, options) for k, n in node.nodes.items()})
    if isinstance(node, Input) and options.events is not None:
        return replace(node, events=options.events)
    if options.compare is not None and hasattr(node, "compare"):
        node = replace(node, compare=options.compare)
    if options.reset is not None and hasattr(node, "reset"):
        node = replace(node, reset=options.reset, reset_time="now")
    if options.reset_time is not None and hasattr(node, "reset_time"):
        node = replace(node, reset_time=options.reset_time)
    return node
