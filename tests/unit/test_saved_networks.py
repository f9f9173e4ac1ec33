"""The integer network beside a saved program, and networks of simple targets: refused where their
parts do not belong together, or not to the program."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.errors import TargetError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, AvgPool2d, Conv2d, Flatten, Input, Linear, Output
from snnstack.program import digest
from snnstack.saved_networks import network_problems
from snnstack.serial import to_files
from snnstack.simple import NetworkProgram, emit, load
from tests.cli.calls import small

BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")


PAIRS = ((1, 1), (1, 1), (1, 1))
"""Stride, padding and dilation."""


def image() -> Graph:
    """A convolution, a pool and a read-out: populations of several shapes."""
    rng = np.random.default_rng(0)

    def lif(*shape: int) -> LIF:
        one = np.ones(shape)
        return LIF(tau=0.01 * one, r=10 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)

    nodes = {
        "in": Input((1, 6, 6), events="binary"),
        "conv": Conv2d((6, 6), rng.normal(0, 0.5, (2, 1, 3, 3)), *PAIRS, 1, np.zeros(2)),
        "lif": lif(2, 6, 6),
        "pool": AvgPool2d((2, 2), (2, 2), (0, 0)),
        "flat": Flatten((2, 3, 3), 0, -1),
        "fc": Linear(rng.normal(0, 0.5, (3, 18))),
        "out": lif(3),
        "end": Output((3,)),
    }
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(names)))


@cache
def built(board: str, of_image: bool = False) -> Any:
    graph = image() if of_image else small()
    (port,) = graph.inputs().values()
    x = (np.random.default_rng(0).random((4, 6, *port.shape)) < 0.4).astype(np.uint8)
    return snnstack.build(graph, board, (x, np.arange(4) % 3))


@pytest.mark.parametrize("of_image", (False, True))
@pytest.mark.parametrize("board", BOARDS)
def test_what_was_built_is_opened(tmp_path: Path, board: str, of_image: bool) -> None:
    made = built(board, of_image)
    snnstack.save(made, tmp_path / "p")
    program, network = snnstack.open_program(tmp_path / "p")
    assert network is not None
    assert program.outputs == network.outputs == made.network.outputs
    assert not list(network_problems(network))


def first(change: Callable[[Any], Any]) -> Any:
    network = built("microbit-v1").network
    population, *rest = network.populations
    return network.with_(populations=(change(population), *rest))


def synapses(change: Callable[[Any], Any]) -> Any:
    network = built("microbit-v1").network
    projection, *rest = network.projections
    return network.with_(projections=(change(projection), *rest))


NETWORK = built("microbit-v1").network
WRONG = {
    "lif, threshold: has shape (3,), not (4,)": first(
        lambda p: p.with_lif(threshold=p.threshold[:3])
    ),
    "lif, alpha: holds 131072..131072, not 0..65536": first(
        lambda p: p.with_lif(alpha=np.full(4, 2**17))
    ),
    "lif, scale: is not above 0": first(lambda p: replace(p, scale=0 * p.scale)),
    "lif, input gain: holds a number that is not finite": first(
        lambda p: replace(p, input_gain=np.full(4, np.nan))
    ),
    f"lif: has alpha of {2**40} bits": first(lambda p: p.with_lif(alpha_bits=2**40)),
    "lif: shifts by 99 and rests 0 steps": first(lambda p: p.with_lif(shift=99)),
    "lif: has the shape (-4,)": first(lambda p: replace(p, shape=(-4,))),
    "in to lif: has shape (4, 2), not (4, 3)": synapses(
        lambda c: replace(c, synapses=replace(c.synapses, weight=c.synapses.weight[:, :2]))
    ),
    "gone to lif: is no connection of this network": synapses(lambda c: replace(c, source="gone")),
    "in to in: leads into the input": synapses(lambda c: replace(c, target="in")),
    f"in to lif: has a delay of {2**40} steps": synapses(lambda c: replace(c, delay=2**40)),
    "lif -> lif: reads a later population in the same step": synapses(
        lambda c: replace(
            c, source="lif", synapses=replace(c.synapses, weight=np.ones((4, 4), np.int64))
        )
    ),
    "populations: there are none, or two have the same name": NETWORK.with_(
        inputs=NETWORK.inputs * 2
    ),
    "network: has no input": NETWORK.with_(inputs=()),
    "network: has steps of nan s": NETWORK.with_(dt=float("nan")),
    "outputs: no populations of this program": NETWORK.with_(outputs=("gone",)),
    "numerics: is the arithmetic of no machine": NETWORK.with_(
        numerics=replace(NETWORK.numerics, decay_bits=2**30)
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_network_beside_a_program_fits_together(tmp_path: Path, what: str) -> None:
    assert what in refused(tmp_path, WRONG[what])


@pytest.mark.parametrize("what", WRONG)
def test_a_simple_program_fits_together(what: str) -> None:
    made = NetworkProgram(WRONG[what], built("microbit-v1").program.board)
    with pytest.raises(TargetError) as caught:
        load(to_files(made, "program"))
    assert what in str(caught.value)


def test_a_simple_program_is_opened() -> None:
    made = NetworkProgram(NETWORK, built("microbit-v1").program.board)
    assert load(emit(made)).network.outputs == NETWORK.outputs


def refused(folder: Path, network: Any) -> str:
    """What is said of a program's directory with another network in it."""
    place = folder / "p"
    snnstack.save(built("microbit-v1"), place)
    manifest = json.loads((place / "manifest.json").read_text())
    for name, content in to_files(network, "network").items():
        (place / name).write_bytes(content)
        manifest["files"][name] = digest({name: content})
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TargetError) as caught:
        snnstack.open_program(place)
    return str(caught.value)


def test_a_network_of_another_program_is_refused(tmp_path: Path) -> None:
    port = replace(NETWORK.inputs[0], name="eye")
    renamed = [replace(c, source="eye") for c in NETWORK.projections]
    other = NETWORK.with_(inputs=(port,), projections=tuple(renamed))
    what = "network: has the input 'eye' of shape [3], the program's is 'in' of shape [3]"
    assert what in refused(tmp_path / "a", other)
    silent = first(lambda p: p.with_lif(threshold=None))
    what = "network: its populations or results are not the program's"
    assert what in refused(tmp_path / "b", silent)


def kernel(change: Callable[[Any], Any]) -> str:
    """What is said of a SpiNNaker 2 program whose last element with a kernel was changed."""
    from snnstack.target import backend

    made = built("spinnaker2-chip", True).program
    elements = list(made.elements)
    at = max(k for k, e in enumerate(elements) if e.kernels)
    elements[at] = change(elements[at])
    with pytest.raises(TargetError) as caught:
        backend("spinnaker2").load(to_files(replace(made, elements=tuple(elements)), "program"))
    return str(caught.value)


def changed(**fields: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An element whose first kernel has other `fields`."""

    def change(e: Any) -> Any:
        one, *rest = e.kernels
        new = {name: make(getattr(one, name).copy()) for name, make in fields.items()}
        return replace(e, kernels=(replace(one, **new), *rest))

    return change


def test_a_kernel_is_that_of_the_neurons_that_its_element_holds() -> None:
    moved = kernel(changed(box=lambda box: box + np.array([[0, 0], [1, 1], [0, 0]], box.dtype)))
    assert "kernel 0, box: " in moved and " neurons of [2, 6, 6]" in moved
    turned = kernel(lambda e: replace(e, neurons=e.neurons[::-1].copy()))
    assert "holds other neurons than element" in turned
    assert "its weights are not those of connection 0" in kernel(
        changed(weight=lambda w: (w + 1).astype(np.int8))
    )


def test_a_kernel_reads_the_neurons_that_its_sources_hold() -> None:
    moved = kernel(changed(boxes=lambda b: b + np.array([[0, 0], [1, 1], [0, 0]], b.dtype)))
    assert "kernel 0, box of element" in moved and " neurons of [1, 6, 6]" in moved
    last = len(built("spinnaker2-chip", True).program.elements) - 1
    other = kernel(changed(sources=lambda s: np.full_like(s, last)))
    assert f"sources: element {last} holds out, not in" in other


def test_every_neuron_is_held_by_one_element() -> None:
    twice = kernel(lambda e: replace(e, neurons=np.full_like(e.neurons, e.neurons[0])))
    assert "lif: its neurons are not held by one element each" in twice
