"""The rules every graph must keep. A rule's docstring is the sentence users see.

A rule yields one `Problem` for each breach and passes over what another rule reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeGuard

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.finite import parameters_are_finite
from snnstack.ir.graph import INTEGRATORS, Graph
from snnstack.ir.loops import algebraic_loops, zero_delay_loops
from snnstack.ir.nodes import (
    COMPARES,
    RESET_TIMES,
    RESETS,
    SPIKING,
    Affine,
    Array,
    Cells,
    Delay,
    Linear,
)
from snnstack.ir.shapes import shape_problems
from snnstack.ir.wellformed import malformed

Rule = Callable[[Graph], Iterator[Problem]]

TIME_CONSTANTS = ("tau", "tau_mem", "tau_syn")
CHOICES = {
    "reset": RESETS,
    "reset_time": RESET_TIMES,
    "compare": COMPARES,
    "events": ("binary", "count", "value", "real"),
}
TIMES = {"subtract": ("now", "next", "recheck"), "none": ("now",)}
"""The times at which a reset of a kind can act; other kinds: now, next, next_all."""


def check(graph: Graph) -> None:
    """Raise ModelError with every breach of every rule, or do nothing."""
    raise_if_any(ModelError, problems(graph))


def problems(graph: Graph) -> list[Problem]:
    """Every breach of every rule, in this graph and in the graphs nested in it."""
    return broken(RULES, graph)


def broken(rules: tuple[Rule, ...], graph: Graph) -> list[Problem]:
    """Every breach of some rules; a nested graph's name stands before its problems."""
    found = [problem for rule in rules for problem in rule(graph)]
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            dt, integrator = node.dt or graph.dt, node.integrator or graph.integrator
            nested = broken(rules, node.with_(dt=dt, integrator=integrator))
            found += [Problem(f"{name}: {p.where}", p.what, p.hint) for p in nested]
    return found


def near(name: str, known: Any) -> str:
    """A hint that lists the names most like `name`, or all of them if none is near."""
    names = sorted(known)
    like = get_close_matches(name, names, n=3, cutoff=0.6)
    return f"near names: {', '.join(like)}" if like else f"there are: {', '.join(names)}"


def edges_name_existing_nodes(graph: Graph) -> Iterator[Problem]:
    """Every edge joins two nodes of the graph."""
    for edge in graph.edges:
        for name in dict.fromkeys((edge.source, edge.target)):
            if name not in graph.nodes:
                yield Problem(str(edge), f"there is no node '{name}'", near(name, graph.nodes))


def edges_are_unique(graph: Graph) -> Iterator[Problem]:
    """No edge is there twice with the same delay."""
    for edge, count in Counter(graph.edges).items():
        if count > 1:
            yield Problem(str(edge), f"this edge is there {count} times", "keep one of them")


def edges_do_not_enter_inputs(graph: Graph) -> Iterator[Problem]:
    """Nothing leads into an input node, and nothing leads out of an output node."""
    for edge in graph.edges:
        if edge.target in graph.inputs():
            yield Problem(str(edge), f"'{edge.target}' is an input node", "remove the edge")
        if edge.source in graph.outputs():
            yield Problem(str(edge), f"'{edge.source}' is an output node", "remove the edge")


def edges_end_in_ports(graph: Graph) -> Iterator[Problem]:
    """An edge that names a port leads into a node that has it."""
    for edge in graph.edges:
        node = graph.nodes.get(edge.target)
        if edge.port is None or node is None:
            continue
        ports = node.model.inputs if isinstance(node, Cells) else ()
        if edge.port not in ports:
            listed = f"its ports are {', '.join(ports)}" if ports else "it has one input"
            yield Problem(str(edge), f"'{edge.target}' has no port '{edge.port}'", listed)


def ports_are_fed(graph: Graph) -> Iterator[Problem]:
    """Every port of a node of any model is fed by an edge."""
    for name, node in graph.nodes.items():
        ports = node.model.inputs if isinstance(node, Cells) else ()
        fed = {edge.port or ports[0] for edge in graph.edges if edge.target == name and ports}
        known = fed and fed <= set(ports)
        for port in (port for port in ports if known and port not in fed):
            hint = f"an edge into it says its port; fed are {', '.join(sorted(fed))}"
            yield Problem(name, f"nothing feeds its port '{port}'", hint)


def graph_has_an_input(graph: Graph) -> Iterator[Problem]:
    """A graph has an input node, a graph inside a graph exactly one; all or none take numbers."""
    inner = [(f"{k}: graph", len(n.inputs())) for k, n in graph.nodes.items() if _is_graph(n)]
    for where, count in inner:
        if count > 1:
            hint = "a graph inside another takes one"
            yield Problem(where, f"it has {count} input nodes", hint)
    kinds = {name: node.events for name, node in graph.inputs().items()}
    if not kinds:
        yield Problem("graph", "it has 0 input nodes", "at least one node of type Input is needed")
    if "real" in kinds.values() and set(kinds.values()) != {"real"}:
        listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        what = f"its inputs take different kinds of events: {listed}"
        yield Problem("graph", what, "all of them real numbers, or none")


def _is_graph(node: Any) -> TypeGuard[Graph]:
    return isinstance(node, Graph)


def graph_has_an_output(graph: Graph) -> Iterator[Problem]:
    """A graph has at least one output node."""
    if not graph.outputs():
        yield Problem("graph", "it has no output node", "add a node of type Output")


def nodes_are_well_formed(graph: Graph) -> Iterator[Problem]:
    """The arrays of a node fit each other, and its window and shape are possible."""
    for name, node in graph.nodes.items():
        if not isinstance(node, Graph):
            hint = _form_hint(node)
            yield from (Problem(name, what, hint) for what in malformed(node))


def _form_hint(node: Any) -> str:
    if hasattr(node, "shape"):
        return "write the shape of one step of one sample, such as [12]"
    neuron = any(hasattr(node, name) for name in ("v_leak", "v_threshold", "threshold", "r"))
    return "give every parameter the shape of the population" if neuron else ""


def shapes_agree(graph: Graph) -> Iterator[Problem]:
    """What a node gives is what the next node takes."""
    yield from shape_problems(graph)


def every_node_is_reachable(graph: Graph) -> Iterator[Problem]:
    """A path leads from an input to every node."""
    front = list(graph.inputs())
    seen = set(front)
    while front:
        new = [name for name in graph.successors(front.pop()) if name not in seen]
        seen.update(new)
        front += new
    if graph.inputs():
        hint = "connect it or remove it"
        lost = (name for name in graph.nodes if name not in seen)
        yield from (Problem(name, "no path leads to it from an input", hint) for name in lost)


def choices_are_known(graph: Graph) -> Iterator[Problem]:
    """Reset, comparison, event kind and integrator are among those that exist."""
    for name, node in graph.nodes.items():
        for key, known in CHOICES.items():
            value = getattr(node, key, known[0])
            if value not in known:
                yield Problem(name, f"{key} is '{value}'", f"one of: {', '.join(known)}")
    if graph.integrator not in (None, *INTEGRATORS):
        what = f"integrator is '{graph.integrator}'"
        yield Problem("graph", what, f"one of: {', '.join(INTEGRATORS)}")


def time_step_is_positive(graph: Graph) -> Iterator[Problem]:
    """The time step, where given, is a positive number of seconds."""
    if graph.dt is not None and not (np.isfinite(graph.dt) and graph.dt > 0):
        yield Problem("graph", f"dt is {graph.dt:g} s", "a time step is positive, such as 0.001")


def time_constants_are_positive(graph: Graph) -> Iterator[Problem]:
    """Every time constant is above zero."""
    for name, key, tau in _time_constants(graph):
        yield from _breach(name, key, tau, tau <= 0, "seconds, above 0")


def time_steps_resolve_time_constants(graph: Graph) -> Iterator[Problem]:
    """Under forward Euler no time constant is shorter than the time step."""
    if graph.dt is None or graph.integrator == "exponential":
        return
    hint = f"dt is {graph.dt:g} s: choose a smaller dt or the exponential integrator"
    for name, key, tau in _time_constants(graph):
        with np.errstate(over="ignore"):  # a step that single precision cannot hold is longer
            short = (tau > 0) & (tau < graph.dt)
        yield from _breach(name, key, tau, short, hint)


def _time_constants(graph: Graph) -> Iterator[tuple[str, str, Array]]:
    for name, node in graph.nodes.items():
        for key in TIME_CONSTANTS:
            if hasattr(node, key):
                yield name, key, getattr(node, key)


def thresholds_are_positive(graph: Graph) -> Iterator[Problem]:
    """Every firing threshold of a neuron with state is above zero, where its membrane starts."""
    for name, node in graph.nodes.items():
        if isinstance(node, SPIKING):
            values = node.v_threshold
            yield from _breach(name, "v_threshold", values, values <= 0, "above 0")


def resets_lie_below_thresholds(graph: Graph) -> Iterator[Problem]:
    """A neuron that is set to `v_reset` is below its threshold afterwards."""
    for name, node in graph.nodes.items():
        if isinstance(node, SPIKING) and node.reset == "v_reset" and not any(malformed(node)):
            wrong = (node.v_reset >= node.v_threshold) & (node.v_threshold > 0)
            hint = "below v_threshold, or the neuron fires for ever"
            yield from _breach(name, "v_reset", node.v_reset, wrong, hint)


def reset_times_fit_resets(graph: Graph) -> Iterator[Problem]:
    """A reset acts at a time that its kind can; a late one has no refractory time."""
    for name, node in graph.nodes.items():
        if not isinstance(node, SPIKING) or node.reset_time not in RESET_TIMES:
            continue
        known = TIMES.get(node.reset, ("now", "next", "next_all"))
        if node.reset_time not in known:
            what = f"reset_time is '{node.reset_time}' for reset '{node.reset}'"
            yield Problem(name, what, f"one of: {', '.join(known)}")
        elif node.reset_time != "now" and node.refractory:
            what = f"reset_time is '{node.reset_time}' with a refractory time"
            yield Problem(name, what, "only a reset that acts now can have one")


def refractory_times_are_not_negative(graph: Graph) -> Iterator[Problem]:
    """A refractory time is zero or more seconds."""
    for name, node in graph.nodes.items():
        if isinstance(node, SPIKING) and node.refractory < 0:
            what = f"refractory is {node.refractory:g}"
            yield Problem(name, what, "seconds, 0 or more")


def delays_are_not_negative(graph: Graph) -> Iterator[Problem]:
    """A delay is zero or more; one in steps is a whole number."""
    for edge in graph.edges:
        if edge.delay is not None and edge.delay < 0:
            yield Problem(str(edge), f"its delay is {edge.delay}", "steps, 0 or more")
    for name, node in graph.nodes.items():
        if isinstance(node, Delay):
            yield from _breach(name, "delay", node.delay, node.delay < 0, "seconds, 0 or more")
        elif isinstance(node, (Linear, Affine)) and node.delay is not None:
            wrong = (node.delay < 0) | (node.delay != np.rint(node.delay))
            yield from _breach(name, "delay", node.delay, wrong, "whole steps, 0 or more")


def no_zero_delay_loops(graph: Graph) -> Iterator[Problem]:
    """No loop of edges is to act within one step, and every loop passes through a neuron."""
    for loop in zero_delay_loops(graph):
        what = f"the loop {' -> '.join(loop)} has delay 0 all the way round"
        yield Problem("graph", what, "give one of its edges a delay of 1 step or none")
    for loop in algebraic_loops(graph):
        what = f"the loop {' -> '.join(loop)} passes through no neuron"
        yield Problem("graph", what, "put a neuron into it or remove an edge")


def _breach(name: str, key: str, values: Array, wrong: Any, hint: str) -> Iterator[Problem]:
    """One problem for all the elements of a parameter that are `wrong`, with the first value."""
    count = int(np.count_nonzero(wrong))
    if count:
        index = np.argwhere(wrong)[0]
        first = f"{key}{index.tolist() if values.ndim else ''} is {values[tuple(index)]:g}"
        more = f" ({count} of {values.size} are wrong)" if count > 1 else ""
        yield Problem(name, first + more, hint)


RULES: tuple[Rule, ...] = (
    edges_name_existing_nodes,
    edges_are_unique,
    edges_do_not_enter_inputs,
    edges_end_in_ports,
    ports_are_fed,
    graph_has_an_input,
    graph_has_an_output,
    nodes_are_well_formed,
    shapes_agree,
    every_node_is_reachable,
    parameters_are_finite,
    choices_are_known,
    time_step_is_positive,
    time_constants_are_positive,
    time_steps_resolve_time_constants,
    thresholds_are_positive,
    resets_lie_below_thresholds,
    reset_times_fit_resets,
    refractory_times_are_not_negative,
    delays_are_not_negative,
    no_zero_delay_loops,
)
"""All rules, in the order in which their problems are reported."""
