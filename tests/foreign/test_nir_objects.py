"""A graph of the package nir in memory is as foreign as a file: anything may be in its fields."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.errors import ModelError
from snnstack.frontends.nir import to_nir
from snnstack.target import backend
from tests.cli.calls import small
from tests.firmware.test_hostile_names import SPECIAL
from tests.hostile import NAMES, network


class Rude:
    """Whatever it is asked, it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("never")


def refused(change: Callable[[Any], None]) -> str:
    theirs = to_nir(small())
    change(theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError) as told:
            snnstack.load(theirs)
    return str(told.value)


def itself(theirs: Any) -> None:
    theirs.nodes["again"] = theirs


def cycle(theirs: Any) -> None:
    theirs.metadata["a"] = theirs.metadata


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "nodes": (lambda g: setattr(g, "nodes", 3), "graph: nodes is 3"),
    "nodes in a list": (lambda g: setattr(g, "nodes", [1]), "graph: nodes is [1]"),
    "edges": (lambda g: setattr(g, "edges", True), "graph: edges is True"),
    "an edge of one": (lambda g: g.edges.append(("lif",)), "is not a pair of node names"),
    "an edge of numbers": (lambda g: g.edges.append((1, 2)), "is not a pair of node names"),
    "an edge of arrays": (lambda g: g.edges.append((np.ones(2), [])), "is not a pair of node"),
    "a name": (lambda g: g.nodes.update({None: g.nodes["lif"]}), "has a node called None"),
    "a node": (lambda g: g.nodes.update(lif=Rude()), "lif: unknown node type 'Rude'"),
    "itself": (itself, "again: is nested more than 40 deep"),
    "metadata in themselves": (cycle, "graph: holds metadata that contain themselves"),
    "a parameter": (lambda g: setattr(g.nodes["lif"], "tau", Rude()), "parameter 'tau' "),
    "objects": (lambda g: setattr(g.nodes["lif"], "tau", [None]), "holds object values"),
    "a type": (lambda g: setattr(g.nodes["in"], "input_type", 7), "parameter 'shape' of Input"),
    "types": (lambda g: setattr(g.nodes["in"], "input_type", {1: "x"}), "holds text, not numbers"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_no_graph_is_refused_by_name(what: str) -> None:
    change, text = CHANGES[what]
    assert text in refused(change)


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "oheo-gulch", "spinnaker2-chip", "neurram"])
def test_hostile_names_of_a_graph_in_memory_reach_no_code(board: str) -> None:
    """The same files as of the graph that is its own."""
    own = network({k: n for k, n in NAMES.items() if "\0" not in n and n}, "a")
    theirs = to_nir(own)
    files = [
        backend(made.target).emit(made)
        for made in (snnstack.compile(own, board), snnstack.compile(theirs, board))
    ]
    code = [{n for n in emitted if not n.endswith((".json", ".npz"))} for emitted in files]
    assert code[0] == code[1]
    for name in code[1]:
        assert files[1][name].isascii(), name
        plain = files[1][name].replace(b"\\x", b"")
        assert not [key for key, raw in SPECIAL.items() if raw in plain], name
