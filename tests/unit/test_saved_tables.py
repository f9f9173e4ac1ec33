"""Arrays of a saved program that do not belong to each other are refused when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.errors import TargetError
from snnstack.ir.step import Conv, Pool, Sparse
from snnstack.saved_tables import pool_problems, synapse_problems
from snnstack.target import backend
from tests.cli.calls import small

BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")


@cache
def program(board: str) -> Any:
    return snnstack.compile(small(), board)


def refused(changed: Any) -> str:
    """What is said of a program whose tables were changed before it was written."""
    machine = backend(changed.target)
    from snnstack.serial import to_files

    with pytest.raises(TargetError) as caught:
        machine.load(to_files(changed, "program"))
    return str(caught.value)


@pytest.mark.parametrize("board", BOARDS)
def test_what_was_compiled_is_opened(board: str) -> None:
    made = program(board)
    files = backend(made.target).emit(made)
    assert backend(made.target).load(files).name == made.name


def changed_placement(**fields: Any) -> Any:
    made = program("oheo-gulch")
    name = made.outputs[0]
    place = replace(made.placement[name], **fields)
    return replace(made, placement={**made.placement, name: place})


def test_a_neuron_of_loihi_stands_on_a_core_of_the_board() -> None:
    made = program("oheo-gulch")
    name = made.outputs[0]
    n = made.network.population(name).n
    far = np.full(n, 2**31 - 1)
    assert f"{name}, core: holds 2147483647..2147483647, not 0.." in refused(
        changed_placement(core=far)
    )
    few = np.zeros(n + 1, np.int32)
    assert f"{name}, messages: has shape ({n + 1},), not ({n},)" in refused(
        changed_placement(messages=few)
    )


def element(change: Callable[[Any], Any]) -> Any:
    made = program("spinnaker2-chip")
    *rest, last = made.elements
    return replace(made, elements=(*rest, change(last)))


def test_an_element_of_spinnaker2_holds_neurons_of_its_population() -> None:
    far = element(lambda e: replace(e, neurons=np.full(e.n, 2**31 - 1, np.int32)))
    assert "neurons: holds 2147483647..2147483647, not 0.." in refused(far)
    source = element(lambda e: replace(e, sources=np.array([99], np.int32)))
    assert "sources: holds 99..99, not 0.." in refused(source)
    key = element(lambda e: replace(e, rows=replace(e.rows, keys=e.rows.keys + np.uint32(2**31))))
    assert "keys: holds 2147483" in refused(key)
    cut = element(lambda e: replace(e, rows=replace(e.rows, words=e.rows.words[:-1])))
    assert "starts: " in refused(cut)


def test_tables_of_a_microcontroller_are_those_of_its_layers() -> None:
    made = program("microbit-v1")
    layer = made.layers[0]
    route = layer.routes[0]
    short = replace(route, table=replace(route.table, weight=route.table.weight[:-1]))
    text = refused(replace(made, layers=(replace(layer, routes=(short,)), *made.layers[1:])))
    assert f"{route.source} to {layer.name}: has shape" in text
    late = replace(layer, routes=(replace(route, delay=5),))
    text = refused(replace(made, layers=(late, *made.layers[1:])))
    assert f"{route.source} to {layer.name}: reads 5 steps ago, 1 are kept" in text


def test_blocks_of_a_crossbar_stay_inside_of_their_populations() -> None:
    made = program("neurram")
    route = made.routes[0]
    block = route.blocks[0]
    far = replace(block, scatter=np.full_like(block.scatter, 10**6))
    text = refused(replace(made, routes=(replace(route, blocks=(far,)), *made.routes[1:])))
    assert "tile 0: writes outside the " in text
    first, *rest = made.populations
    short = first.with_lif(threshold=first.threshold[:-1])
    text = refused(replace(made, populations=(short, *rest)))
    assert f"{first.name}, threshold: has shape ({first.n - 1},), not ({first.n},)" in text


def test_synapses_are_between_the_neurons_that_they_name() -> None:
    said = lambda s: [str(p) for p in synapse_problems("a to b", s, 2, 3)]  # noqa: E731
    ends = np.array([0, 2, 3])
    good = Sparse(ends, np.array([0, 2, 1]), np.array([1, 1, 1]))
    assert said(good) == []
    for wrong in (
        replace(good, target=np.array([0, 3, 1])),
        replace(good, target=np.array([0, -1, 1])),
        replace(good, indptr=np.array([0, 3, 2])),
        replace(good, indptr=np.array([0, 4, 3])),
        replace(good, weight=np.array([1, 1])),
    ):
        assert len(said(wrong)) == 1
    conv = Conv(np.ones((1, 1, 2, 2), np.int64), (1, 3, 3), (1, 2, 2), (1, 1), (0, 0), (1, 1), 1)
    assert not list(synapse_problems("a to b", conv, 9, 4))
    assert list(synapse_problems("a to b", replace(conv, stride=(0, 1)), 9, 4))
    assert list(synapse_problems("a to b", replace(conv, groups=0), 9, 4))
    pool = Pool((1, 4, 4), (1, 2, 2), (2, 2), (2, 2), (0, 0))
    assert not list(pool_problems("a to b", pool, 16))
    assert list(pool_problems("a to b", replace(pool, out_shape=(1, 9999, 2)), 16))
