"""Networks in chip units on machines: every key delivered, and the tables compute the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.delivery import delivery_problems, needed
from snnstack.backends.spinnaker2.element_route import Router
from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.program import Program
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.backends.spinnaker2.run_reference import reference
from snnstack.board import Board, load_board
from snnstack.compilers.spinnaker2 import compile_chip
from snnstack.emulators.spinnaker2 import emulate
from snnstack.errors import CapacityError, ModelError
from snnstack.trace import Spikes
from tests.spinnaker2.chipnets import random_network
from tests.spinnaker2.interpreter import interpret
from tests.spinnaker2.test_emulator import assert_equal


def machine(chips: tuple[int, int] = (1, 1), **capacity: int) -> Board:
    """A board with other sizes, by the names of `capacity`."""
    board = load_board("spinnaker2-chip")
    named = {
        "elements": "usable_elements_per_chip", "neurons": "neurons_per_element",
        "bytes": "data_bytes_per_element", "entries": "routing_entries_per_chip",
    }  # fmt: skip
    sizes = dict(board.capacity)
    for key, value in capacity.items():
        old = sizes[named[key]]
        sizes[named[key]] = type(old)(value, old.unit, old.status, old.source)
    kept = {k: getattr(board, k) for k in board.__struct_fields__}
    return Board(**(kept | {"capacity": sizes, "hardware": {"chips": list(chips)}}))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_tables_and_packets_compute_the_network(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, spikes = random_network(rng, steps=12)
    board = machine((4, 3), elements=int(rng.integers(2, 9)), neurons=int(rng.integers(3, 9)))
    try:
        program = compile_chip(network, board)
    except CapacityError:
        program = compile_chip(network, machine((9, 8), neurons=9))
    probes = list(program.variables)
    expected = reference(program, None, spikes, probes)
    assert_equal(interpret(program, spikes, probes=probes), expected)
    assert_equal(emulate(program, spikes, probes=probes), expected)


def walked(program: Program) -> set[tuple[int, int]]:
    """(sender, element) of every key, one after the other through the tables."""
    router = Router(program.tables, program.elements)
    return {
        (e.number, reached)
        for e in program.elements
        for position in range(e.n)
        for reached in router.reached(e.key + position, e.chip)
    }


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_every_key_reaches_exactly_the_elements_that_need_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(1, 90)) for _ in range(int(rng.integers(1, 4)))]
    neurons = {"x": int(rng.integers(1, 60))} | {f"p{k}": n for k, n in enumerate(sizes)}
    builder = ChipBuilder().input("x", neurons["x"])
    names = list(neurons)
    for name in names[1:]:
        builder.population(name, neurons[name], "lif", threshold=1)
    local = bool(rng.integers(2))
    for source in names:
        for target in names[1:]:
            m, n = neurons[source], neurons[target]
            weight = (rng.random((n, m)) < rng.choice([0.005, 0.05, 0.5])).astype(int)
            if local:
                near = np.abs(np.arange(n)[:, None] / n - np.arange(m) / m) < 0.1
                weight = weight * near
            builder.connect(source, target, weight)
    board = machine(
        (int(rng.integers(6, 9)), int(rng.integers(6, 9))),
        elements=int(rng.integers(1, 8)) if sum(sizes) < 100 else 8,
        neurons=int(rng.integers(5, 12)),
    )
    program = compile_chip(builder.build(), board)
    pairs = {(int(s), e.number) for e in program.elements for s in needed(e)}
    assert walked(program) == pairs
    assert {(int(s), e.number) for e in program.elements for s in e.sources} == pairs
    for e in program.elements:
        assert e.packets == sum(pair[0] == e.number for pair in pairs)


def test_a_wrong_table_is_found() -> None:
    program = compile_chip(line(40), machine((4, 4), elements=2, neurons=5))
    full = [t for t in program.tables if len(t.key)]
    changed = replace(full[0], elements=full[0].elements[::-1].copy() ^ np.uint64(1))
    tables = tuple(changed if t is full[0] else t for t in program.tables)
    assert list(delivery_problems(program)) == []
    assert list(delivery_problems(replace(program, tables=tables)))


def line(n: int) -> Any:
    """A ring of neurons, each reached by its neighbour."""
    return (
        ChipBuilder().input("x", n).population("n", n, "lif", threshold=1)
        .connect("x", "n", np.eye(n)).connect("n", "n", np.roll(np.eye(n), 1, axis=0)).build()
    )  # fmt: skip


def test_no_element_is_over_capacity() -> None:
    rng = np.random.default_rng(3)
    weight = rng.integers(-15, 16, (900, 700)) * (rng.random((900, 700)) < 0.6)
    network = (
        ChipBuilder().input("x", 700).population("n", 900, "lif_curr_exp", threshold=1,
        exc_decay=0.5, inh_decay=0.5).connect("x", "n", weight).build()
    )  # fmt: skip
    program = compile_chip(network, machine())
    limits = limits_of(program.board)
    for e in program.elements:
        assert e.n <= limits.neurons and e.data_bytes <= limits.data_bytes
        assert e.rows.starts[-1] == len(e.rows.words)
    assert sum(len(e.rows.words) for e in program.elements) == np.count_nonzero(weight)


def test_long_delays_become_relays_and_their_cost_is_told() -> None:
    rng = np.random.default_rng(1)
    weight, delay = rng.integers(-15, 16, (6, 5)), rng.integers(0, 30, (6, 5))
    for application in ("lif", "lif_no_delay"):
        builder = ChipBuilder().input("x", 5)
        builder.population("n", 6, application, threshold=9, alpha=0.8)  # type: ignore[arg-type]
        network = unchecked(builder, "x", "n", weight, delay)
        program = compile_chip(network, machine(), events="binary")
        chain = {"lif": 3, "lif_no_delay": len({*delay[weight != 0], 8, 16, 24} - {0})}
        assert program.settings["relay_neurons"] == {"x": 5 * chain[application]}
        dense = (rng.random((2, 60, 5)) < 0.2).astype(np.uint8)
        spikes = Spikes.from_dense(dense)
        kept = [("n", "v")]
        wanted = run_chip(network, spikes, kept)
        made = emulate(program, spikes, probes=kept)
        np.testing.assert_array_equal(made.states["n", "v"], wanted.states["n", "v"])
        assert_equal(interpret(program, spikes, probes=kept), made)


def unchecked(builder: ChipBuilder, source: str, target: str, weight: Any, delay: Any) -> Any:
    """A network whose delays no application takes."""
    builder.connect(source, target, weight, delay=delay)
    with patch("snnstack.backends.spinnaker2.builder.CHIP_RULES", ()):
        return builder.build()


def test_counts_cannot_be_relayed() -> None:
    network = unchecked(
        ChipBuilder().input("x", 2).population("n", 1, "lif", threshold=1),
        "x", "n", np.ones((1, 2)), 9,
    )  # fmt: skip
    with pytest.raises(ModelError) as error:
        compile_chip(network, machine())
    assert str(error.value) == (
        "x: is delayed by 8 steps and sends counts (a relay passes one spike a step on: declare "
        "binary input (--events binary))"
    )


def test_a_neuron_that_does_not_fit_is_named_with_the_table_and_the_smallest_change() -> None:
    network = (
        ChipBuilder().input("x", 400).population("n", 3, "lif", threshold=1)
        .connect("x", "n", np.ones((3, 400))).build()
    )  # fmt: skip
    with pytest.raises(CapacityError) as error:
        compile_chip(network, machine(bytes=12_000), events="binary")
    assert str(error.value) == (
        "n: element 0 of it, with 1 neuron, needs 13,532 bytes, an element has 12,000; the table "
        "of keys takes 1,600 (remove 192 synapses of this neuron, from sources of their own)"
    )
    fits = (
        ChipBuilder().input("x", 400).population("n", 3, "lif", threshold=1)
        .connect("x", "n", np.ones((3, 400)) * (np.arange(400) >= 192)).build()
    )  # fmt: skip
    assert len(compile_chip(fits, machine(bytes=12_000), events="binary").elements) == 5


def test_a_machine_that_is_too_small_says_what_would_fit() -> None:
    with pytest.raises(CapacityError) as error:
        compile_chip(line(1000), machine(elements=7))
    assert str(error.value) == (
        "board spinnaker2-chip: needs 8 processing elements, 7 available; x takes 4 of them, with "
        "250 neurons each (use a machine of 2 chips, or 250 neurons fewer in x)"
    )


def test_a_full_routing_table_is_named() -> None:
    rng = np.random.default_rng(0)
    weight = rng.random((60, 60)) < 0.1
    network = (
        ChipBuilder().input("x", 60).population("n", 60, "lif", threshold=1)
        .connect("x", "n", weight.astype(int)).build()
    )  # fmt: skip
    with pytest.raises(CapacityError, match=r"^routing table of chip 2,0: needs 13 entries after"):
        compile_chip(network, machine((4, 4), neurons=1, elements=20, entries=10))


def test_nested_entries_route_as_plain_ones() -> None:
    rng = np.random.default_rng(5)
    n = 120
    weight = np.repeat(rng.random((n, 40)) < 0.9, 3, axis=1)
    weight[:, rng.random(n) < 0.8] = True
    network = (
        ChipBuilder().input("x", n).population("n", n, "lif", threshold=1)
        .connect("x", "n", weight.astype(int)).build()
    )  # fmt: skip
    plain = compile_chip(network, machine((3, 3), neurons=3, elements=12))
    fullest = max(len(t.key) for t in plain.tables)
    nested = compile_chip(network, machine((3, 3), neurons=3, elements=12, entries=fullest - 1))
    assert max(len(t.key) for t in nested.tables) < fullest
    assert walked(nested) == walked(plain)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_synaptic_events_are_the_words_that_arriving_packets_meet(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, spikes = random_network(rng, steps=10)
    program = compile_chip(network, machine((6, 6), neurons=9))
    trace = emulate(program, spikes)
    sent = {network.input.name: spikes, **trace.spikes}
    packets = {
        e.number: sent[e.population].window(0, spikes.steps - 1).per_neuron()[:, e.neurons]
        for e in program.elements
        if e.population in sent
    }
    delayed = {c.target for c in program.network.connections if c.delay}
    for e in program.elements:
        lengths = np.diff(e.rows.starts.astype(np.int64)).tolist()
        keys = [divmod(key, 256) for key in e.rows.keys.tolist()]
        met = np.zeros(2, dtype=np.int64)
        for (sender, position), length in zip(keys, lengths, strict=True):
            met += packets[sender][:, position] * length
        counts = trace.counts[f"element {e.number}"]
        words = counts.synops - counts.other["macs"]
        if e.population in delayed:  # words whose weight arrives after the run are not counted
            assert (words <= met).all()
        else:
            np.testing.assert_array_equal(words, met)
