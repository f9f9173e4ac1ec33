"""Fill in what a model file does not say: dt, integrator, reset, comparison, input events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from snnstack.ir.graph import Graph, Integrator
from snnstack.ir.nodes import Compare, EventKind, Input, Reset, ResetTime

DEFAULT_DT = 1e-4
"""Seconds; what snnTorch's and Norse's exporters assume."""
DEFAULT_DT_WITHOUT_TAU = 1.0
"""A network without time constants: `r` is the gain per step."""


@dataclass(frozen=True)
class Options:
    """What the user says about a model; None leaves it to the file, then to the default."""

    dt: float | None = None
    integrator: Integrator | None = None
    reset: Reset | None = None
    reset_time: ResetTime | None = None
    compare: Compare | None = None
    events: EventKind | None = None


def apply_options(graph: Graph, options: Options) -> Graph:
    """The graph with every choice made; `settings` says where each came from.

    dt and integrator: option, else file, else default. reset, reset_time and compare: an option
    replaces what every spiking node says; events: what every input says. A reset that is chosen
    without its time acts now.
    """
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
    nodes = {name: _with(node, options) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes, dt=dt, integrator=integrator, settings=origin)


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
