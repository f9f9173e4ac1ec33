"""Graphs of the package nir in memory, whose fields anything may have been written into."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from tests.cli.calls import small
from tests.fuzz import sources
from tests.fuzz.damage import Rng
from tests.fuzz.kind import Kind, nothing, one_of, some_board
from tests.fuzz.odd_values import LEAVES


class Rude:
    """Whatever it is asked, it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("never")


def _odd(rng: Rng, theirs: Any) -> Any:
    """A value that nothing expects: plain, an array, a node, or the graph itself."""
    arrays = (
        np.array([None]),
        np.zeros((0, 3)),
        np.array(["x"]),
        np.array(1j),
        np.full((3, 4), np.nan),
        np.zeros(3, dtype=[("a", "i4")]),
        np.array("2020", dtype="datetime64[Y]"),
        np.ones((1, 1, 1, 1, 1)),
        np.full(4, 1e308),
        np.ones(4, dtype=np.float16),
        np.arange(4, dtype=np.uint64),
    )
    others = (theirs, one_of(list(theirs.nodes.values()), rng), object(), Rude(), int, {1: 2}, b"x")
    return one_of((arrays, others, LEAVES)[int(rng.choice([0, 1, 2], p=[0.5, 0.2, 0.3]))], rng)


def _in_fields(theirs: Any, rng: Rng) -> None:
    node = one_of(list(theirs.nodes.values()), rng)
    if names := [name for name in getattr(node, "__dict__", ()) if not name.startswith("__")]:
        object.__setattr__(node, str(one_of(names, rng)), _odd(rng, theirs))


def _in_nodes(theirs: Any, rng: Rng) -> None:
    name = one_of(list(theirs.nodes), rng)
    if rng.random() < 0.3:
        theirs.nodes[one_of((None, 1, "", "../x", "a" * 3000, "\n", ("a", 1)), rng)] = (
            theirs.nodes.pop(name)
        )
    elif rng.random() < 0.3:
        del theirs.nodes[name]
    else:
        theirs.nodes[name] = _odd(rng, theirs)


def _in_edges(theirs: Any, rng: Rng) -> None:
    known = list(theirs.nodes)
    ends = (one_of(known, rng), one_of(known, rng))
    more = (ends, (ends[0],), (*ends, 1), "ab", None, (1, 2), (ends[0], None), ([], {}))
    if rng.random() < 0.3 and isinstance(theirs.edges, list) and theirs.edges:
        theirs.edges.pop(int(rng.integers(len(theirs.edges))))
    elif rng.random() < 0.8 and isinstance(theirs.edges, list):
        theirs.edges.append(one_of(more, rng))
    else:
        theirs.edges = _odd(rng, theirs)


def _in_graph(theirs: Any, rng: Rng) -> None:
    name = one_of(("metadata", "input_type", "output_type", "nodes", "edges"), rng)
    if name == "metadata" and rng.random() < 0.5:
        theirs.metadata = {one_of((None, 1, "a", ""), rng): _odd(rng, theirs)}
    else:
        setattr(theirs, name, _odd(rng, theirs))


def _object(folder: Path, rng: Rng) -> Any:
    theirs = copy.deepcopy(one_of(_graphs(), rng))
    for _ in range(int(rng.integers(1, 4))):
        if not isinstance(theirs.nodes, dict) or not theirs.nodes:
            break
        one_of((_in_fields, _in_fields, _in_nodes, _in_edges, _in_graph), rng)(theirs, rng)
    graph = snnstack.load(theirs, snnstack.Options(dt=1e-3) if rng.random() < 0.7 else None)
    return snnstack.compile(graph, some_board(rng))


@cache
def _graphs() -> tuple[Any, ...]:
    from snnstack.frontends.nir import to_nir

    return to_nir(small()), to_nir(sources.conv())


KINDS: Mapping[str, Kind] = {"nir object": Kind((sources.npz,), "a*", (nothing,), _object)}
