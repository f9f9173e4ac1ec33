"""A NIR file as the program that wrote it computes it: form, gains, beginnings, lags, and notes.

`snnstack.passes.writers` knows the programs. Where none is said, a file of another tool is read
by NIR's equations with membranes that begin at `v_leak`, and what it may mean is noted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import IF, LI, LIF, Array, CubaLI, CubaLIF
from snnstack.passes.late import with_late_input
from snnstack.passes.options import Options
from snnstack.passes.writers import WRITERS, Writer
from snnstack.passes.writers.writer import counted_from, each, neurons

KEY = "notes"
"""In the metadata of a graph: what was guessed about its file, and what the file leaves out."""


def noted(graph: Graph, notes: tuple[str, ...]) -> Graph:
    """The graph with notes added to those it has."""
    if not notes:
        return graph
    told = dict.fromkeys((*graph.metadata.get(KEY, ()), *notes))
    return graph.with_(metadata={**graph.metadata, KEY: tuple(told)})


def as_meant(graph: Graph, options: Options) -> Graph:
    """A graph as it was read, in the form of NIR: before choices are made.

    `options.written_by` says who wrote it; without it, a file of another tool gets a note of
    what it may be. Raises ModelError for an unknown writer.
    """
    writer = options.written_by
    if writer is not None and writer not in WRITERS:
        what = f"is not known to have been written by {writer!r}"
        raise fail(ModelError, "graph", what, f"one of: {', '.join(WRITERS)}")
    if writer is None:
        return noted(graph, _guesses(graph)) if options.reset is None else graph
    found = WRITERS[writer]
    if not found.fits(graph):
        graph = noted(graph, (f"its numbers are not those that {writer} writes",))
    graph, notes = found.form(graph, options.dt)
    return noted(graph, notes)


def _guesses(graph: Graph) -> tuple[str, ...]:
    like = [name for name, writer in WRITERS.items() if writer.fits(graph)]
    if not like:
        return ()
    return (
        "the file does not say how neurons are reset, nor who wrote it: read by NIR's own "
        f"equations; if it is of {' or '.join(like)}, --written-by changes spikes",
    )


def as_written(graph: Graph, name: str | None) -> Graph:
    """A graph with all choices made, with the gains of the program and membranes from 0 on.

    Raises ModelError for neurons that reset above their threshold, and for read-outs whose
    membranes begin at several values.
    """
    writer = None if name is None else WRITERS[name]
    problems: list[Problem] = []
    notes: list[str] = []

    def change(where: str, node: Any) -> Any:
        if writer is not None and writer.meant["integrator"] == graph.integrator:
            node = writer.node(node, graph.dt or 0.0)
        return _begun(where, node, writer, problems, notes)

    made = each(graph, change)
    raise_if_any(ModelError, problems)
    return noted(made, (*notes, *_left_out(graph, writer)))


def with_lags(graph: Graph, name: str | None) -> Graph:
    """A flat graph whose neurons answer as late as the program's do."""
    if name is None or not WRITERS[name].late:
        return graph
    late = [n for n, node in graph.nodes.items() if isinstance(node, (IF, LIF, CubaLIF))]
    at_once = {n for n in late if getattr(graph.nodes[n], "reset", "") == "none"}
    return with_late_input(graph, [n for n in late if n not in at_once])


def _left_out(graph: Graph, writer: Writer | None) -> tuple[str, ...]:
    if writer is None:
        return ()
    found = dict.fromkeys(what for node in neurons(graph) for what in writer.left_out(node))
    return tuple(f"{writer.name} files do not hold {what}" for what in found)


def _begun(
    where: str, node: Any, writer: Writer | None, problems: list[Problem], notes: list[str]
) -> Any:
    """A neuron with its membranes counted from where they begin."""
    rest = _beginning(node, writer)
    if rest is None or not np.any(rest):
        return node
    span = _span(rest)
    if isinstance(node, (LI, CubaLI)) and np.ptp(rest) > 0:
        what = f"its membranes begin at v_leak, {span}, and are its result"
        problems.append(Problem(where, what, "give them one v_leak"))
        return node
    if getattr(node, "reset", "") == "v_reset" and not (node.v_reset < node.v_threshold).all():
        what = f"v_reset is {_span(node.v_reset)}, not below v_threshold {_span(node.v_threshold)}"
        hint = f"--reset zero resets to where membranes begin, {span}"
        problems.append(Problem(where, what, hint))
        return node
    notes.append(f"{where}: membranes begin at {span} and are counted from there")
    made = counted_from(node, rest)
    return replace(made, v_leak=np.zeros_like(made.v_leak)) if _same_leak(node, rest) else made


def _same_leak(node: Any, rest: Array) -> bool:
    return hasattr(node, "v_leak") and np.array_equal(node.v_leak, rest)


def _beginning(node: Any, writer: Writer | None) -> Array | None:
    if writer is not None:
        return writer.begins(node)
    if isinstance(node, IF):
        below = (node.v_threshold <= 0).any() and (node.v_reset < node.v_threshold).all()
        return node.v_reset if below else None
    return getattr(node, "v_leak", None)


def _span(values: Array) -> str:
    low, high = f"{np.min(values):g}", f"{np.max(values):g}"
    return low if low == high else f"{low}..{high}"
