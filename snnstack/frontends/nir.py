"""NIR models to `Graph` and back, without loss, in memory and in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from snnstack import door
from snnstack.door import instance, shown
from snnstack.dynamics.rule import Plastic
from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends import nir_objects
from snnstack.frontends.nir_cells import said as said_of
from snnstack.frontends.nir_cells import stand_in
from snnstack.frontends.nir_file import read_tree, write_nir
from snnstack.frontends.nir_parse import EXTRAS, PARAMETERS, VERSION, Parser
from snnstack.frontends.nir_rules import KEY as RULE
from snnstack.frontends.nir_rules import rule_text
from snnstack.frontends.nir_spread import spread
from snnstack.frontends.nir_values import metadata as canonical
from snnstack.ir.check import (
    Rule,
    broken,
    choices_are_known,
    edges_name_existing_nodes,
    nodes_are_well_formed,
    problems,
)
from snnstack.ir.finite import parameters_are_finite
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import Cells, Leaf
from snnstack.ir.shapes import with_shapes
from snnstack.passes.as_written import noted
from snnstack.passes.axes import with_shapes_behind, without_sample_axes

READABLE: tuple[Rule, ...] = (
    edges_name_existing_nodes,
    nodes_are_well_formed,
    parameters_are_finite,
    choices_are_known,
)
"""What a model must keep to be read at all; `snnstack.ir.check` has all rules."""


def read(path: str | Path) -> Graph:
    """The network in a NIR file. `settings` says "file" for what the file settles.

    Raises ModelError with everything wrong with the file and the network in it, each
    problem headed by `path`.
    """
    found: list[Problem] = []
    tree = read_tree(Path(path), found)
    try:
        if found:
            raise ModelError(found)
        return _graph(tree)
    except ModelError as error:
        raise ModelError(
            p if p.where == str(path) else Problem(f"{path}: {p.where}", p.what, p.hint)
            for p in error.problems
        ) from None


def write(graph: Graph, path: str | Path) -> None:
    """Write a NIR file that `read` gives back and other tools read.

    Shapes that Conv and Flatten nodes leave out are filled in, since NIR's own reader needs
    them. An existing file is replaced in one step, or stays as it was. Raises ModelError where
    the graph cannot be held by a file.
    """
    graph = instance(graph, Graph, "graph", "give what snnstack.load returns")
    raise_if_any(ModelError, _unwritable(graph, "graph"))
    write_nir(to_nir(with_shapes(graph)), door.path(path, "write_nir"))


def from_nir(nir_graph: Any) -> Graph:
    """A `nir.NIRGraph` as a `Graph`; the caller's object is not changed.

    Raises ModelError with everything that is wrong with it.
    """
    try:
        return _graph(nir_objects.tree(nir_graph))
    except RecursionError:
        what = "holds metadata that contain themselves"
        raise fail(ModelError, "graph", what, "remove them") from None


def to_nir(graph: Graph) -> Any:
    """A `nir.NIRGraph` of the same nodes, edges and metadata, which `from_nir` gives back.

    Types are not inferred: NIR gets those of grouped convolutions wrong. Raises ModelError
    for a node that is malformed or metadata that NIR cannot hold.
    """
    raise_if_any(ModelError, broken((edges_name_existing_nodes, nodes_are_well_formed), graph))
    said = {name for name, origin in graph.settings.items() if origin != "default"}
    made = _to_nir(graph, frozenset(said))
    if _says_more(made):
        made.metadata.setdefault("snnstack", {})["version"] = VERSION
    return made


def _graph(tree: Mapping[str, Any]) -> Graph:
    kind = tree.get("type")
    word = isinstance(kind, str | bytes)
    if not word or kind not in ("NIRGraph", b"NIRGraph"):
        named = kind if word or kind is None else shown(kind)
        what = f"it holds a single node of type {named}, not a network"
        raise fail(ModelError, "graph", what, "wrap it in a NIRGraph with an Input and an Output")
    parser = Parser([], set())
    graph = parser.graph(tree)
    raise_if_any(ModelError, parser.problems)
    graph = _one_sample(graph) if graph.dt is None else spread(graph)
    if broken(READABLE, graph):
        raise ModelError(problems(graph))
    return graph.with_(settings=dict.fromkeys(sorted(parser.said), "file"))


def _one_sample(graph: Graph) -> Graph:
    """A file of another tool, with single numbers spread and axes of batch and time left out."""
    graph, inputs = without_sample_axes(graph)
    graph, flattens = with_shapes_behind(spread(graph))
    graph, outputs = with_shapes_behind(spread(graph))
    return noted(graph, (*inputs, *flattens, *outputs))


def _to_nir(graph: Graph, said: frozenset[str]) -> Any:
    import nir

    nodes = {
        name: _to_nir(node, said) if isinstance(node, Graph) else _leaf_to_nir(name, node, said)
        for name, node in graph.nodes.items()
    }
    pairs = dict.fromkeys((edge.source, edge.target) for edge in graph.edges)
    extra = {"dt": graph.dt, "integrator": graph.integrator, "edges": _stated(graph.edges)}
    known = {key: value for key, value in extra.items() if value is not None}
    metadata = _metadata("graph", graph.metadata, known)
    return nir.NIRGraph(nodes, list(pairs), metadata=metadata, type_check=False)


def _stated(edges: tuple[Edge, ...]) -> dict[str, Any] | None:
    """Edges that NIR's list of pairs cannot tell: with a delay or port, or several of one pair."""
    count = Counter((edge.source, edge.target) for edge in edges)
    more = {(e.source, e.target) for e in edges if e.delay is not None or e.port is not None}
    listed = [e for e in edges if (e.source, e.target) in more or count[e.source, e.target] > 1]
    if not listed:
        return None
    return {
        "source": tuple(edge.source for edge in listed),
        "target": tuple(edge.target for edge in listed),
        "delay": np.array([-1 if edge.delay is None else edge.delay for edge in listed]),
        **({"port": ports} if any(ports := tuple(edge.port or "" for edge in listed)) else {}),
    }


def _leaf_to_nir(name: str, node: Leaf, said: frozenset[str]) -> Any:
    import nir

    if isinstance(node, Cells):
        made = _leaf_to_nir(name, stand_in(node), said)
        made.metadata = _metadata(name, node.metadata, said_of(node))
        return made
    kind = type(node).__name__
    known = {key: getattr(node, key) for key in EXTRAS.get(kind, ()) if _says(node, key, said)}
    rule: Plastic | None = getattr(node, "rule", None)
    if rule is not None:
        known[RULE] = rule_text(rule)
    values = {key: _nir_value(node, key) for key in PARAMETERS[kind]}
    if kind in ("Input", "Output"):
        values = {"input_type" if kind == "Input" else "output_type": values["shape"]}
    made = getattr(nir, kind)(**values, metadata=_metadata(name, node.metadata, known))
    if "w_in" in values:
        made.w_in = values["w_in"]  # nir gives it the dtype of v_threshold
    return made


def _says(node: Any, key: str, said: frozenset[str]) -> bool:
    """Whether a value must be written: it is not the default, or someone chose it."""
    default = next(f.default for f in fields(node) if f.name == key)
    value = getattr(node, key)
    return key in said or (value is not None if default is None else value != default)


def _nir_value(node: Any, key: str) -> Any:
    """A parameter as nir's classes and nir's writer want it; arrays are copies."""
    if key == "shape":
        return np.array(node.shape, dtype=np.int64)
    if key == "input_type":
        return None if node.input_shape is None else np.array(node.input_shape, dtype=np.int64)
    value = getattr(node, key)
    if isinstance(value, np.ndarray):
        return value.copy() if value.ndim else value[()]
    return value


def _metadata(name: str, user: Mapping[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """User metadata as plain dictionaries, with `known` added under `snnstack`."""
    try:
        found: dict[str, Any] = _writable(canonical(user))
    except ValueError as error:
        raise fail(ModelError, name, f"metadata {error}", "remove it") from error
    if known:
        found["snnstack"] = {**found.get("snnstack", {}), **_writable(known)}
    return found


def _writable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _writable(inner) for key, inner in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _says_more(nir_graph: Any) -> bool:
    """Whether anything in a NIR graph says more than NIR can."""
    inner = any(
        _says_more(node) if hasattr(node, "nodes") else "snnstack" in node.metadata
        for node in nir_graph.nodes.values()
    )
    return inner or "snnstack" in nir_graph.metadata


def _unwritable(graph: Graph, where: str) -> Iterator[Problem]:
    """Names that a file cannot hold, since HDF5 separates groups by `/`."""
    yield from _bad_keys(where, graph.metadata)
    for name, node in graph.nodes.items():
        if _bad_name(name):
            what = f"the name {name!r} cannot stand in a NIR file"
            yield Problem(name, what, "names are not empty, not '.', and without '/' and NUL")
        if isinstance(node, Graph):
            yield from _unwritable(node, name)
        else:
            yield from _bad_keys(name, node.metadata)


def _bad_keys(where: str, metadata: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in metadata.items():
        if isinstance(key, str) and _bad_name(key):
            what = f"the metadata key {key!r} cannot stand in a NIR file"
            yield Problem(where, what, "keys are not empty, not '.', and without '/' and NUL")
        if isinstance(value, Mapping):
            yield from _bad_keys(where, value)


def _bad_name(name: str) -> bool:
    return name in ("", ".") or "/" in name or "\0" in name
