"""Objects of the package nir in the form in which a file holds them.

Anything may have been written into their fields, so nothing is believed of them: what a file
could not hold is handed on as text or as nothing, and refused by the reader in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.door import shown
from snnstack.errors import ModelError, fail
from snnstack.frontends.nir_parse import PARAMETERS

DEEPEST = 40
"""Graphs within graphs, as in a file."""


def tree(node: Any, where: str = "graph", depth: int = 0) -> dict[str, Any]:
    """A node and all in it; ModelError for a graph without an end and for names that are none."""
    kind = type(node).__name__
    metadata = _field(node, "metadata")
    found: dict[str, Any] = {"type": kind}
    found["metadata"] = metadata if isinstance(metadata, Mapping) else {}
    if kind == "NIRGraph":
        if depth > DEEPEST:
            raise fail(ModelError, where, f"is nested more than {DEEPEST} deep")
        return found | {"nodes": _nodes(node, where, depth), "edges": _edges(node, where)}
    if kind in ("Input", "Output"):
        return {**found, "shape": _first(_field(node, f"{kind.lower()}_type"))}
    found |= {key: _field(node, key) for key in PARAMETERS.get(kind, ())}
    if kind == "Flatten":
        found["input_type"] = _first(_field(node, "input_type"))
    return found


def _nodes(graph: Any, where: str, depth: int) -> dict[str, Any]:
    nodes = _field(graph, "nodes")
    if not isinstance(nodes, Mapping):
        raise fail(ModelError, where, f"nodes is {shown(nodes)}", "a dictionary of nodes by name")
    for name in nodes:
        if not isinstance(name, str):
            raise fail(ModelError, where, f"has a node called {shown(name)}", "names are text")
    return {name: tree(inner, str(name), depth + 1) for name, inner in nodes.items()}


def _edges(graph: Any, where: str) -> list[Any]:
    """Pairs of names; anything else as text, which is no pair."""
    edges = _field(graph, "edges")
    if not isinstance(edges, list | tuple | set | frozenset):
        raise fail(ModelError, where, f"edges is {shown(edges)}", "a list of pairs of node names")
    return [tuple(edge) if _is_pair(edge) else shown(edge) for edge in edges]


def _is_pair(edge: Any) -> bool:
    listed = isinstance(edge, list | tuple) or (isinstance(edge, np.ndarray) and edge.ndim == 1)
    return listed and len(edge) == 2 and all(isinstance(end, str | bytes) for end in edge)


def _first(types: Any) -> Any:
    """The shape in what nir keeps of a node's input or output: {name: shape}."""
    return next(iter(types.values()), None) if isinstance(types, Mapping) else None


def _field(node: Any, name: str) -> Any:
    try:
        return getattr(node, name, None)
    except Exception:  # a property that computes, in a node that is not as it was made
        return None
