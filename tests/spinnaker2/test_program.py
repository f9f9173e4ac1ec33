"""The form of a program: synapse words, keys, files and the walk through routing tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.backends.spinnaker2 import words
from snnstack.backends.spinnaker2.element_route import Router
from snnstack.backends.spinnaker2.network import (
    Application,
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.backends.spinnaker2.program import Element, Program, RoutingTable, Rows
from snnstack.backends.spinnaker2.store import emit, load, utilization
from snnstack.board import load_board
from snnstack.errors import ModelError
from snnstack.ir.step import Dense
from tests.conformance.networks import equal


@given(
    st.sampled_from(["lif", "lif_curr_exp", "lif_no_delay", "lif_curr_exp_no_delay"]),
    st.integers(0, 2**32 - 1),
)
def test_words_keep_what_they_encode(application: Application, seed: int) -> None:
    random, most = np.random.default_rng(seed), words.weight_limit(application)
    weight, index = random.integers(-most, most + 1, 50), random.integers(0, 256, 50)
    delay = random.integers(0, words.slots(application), 50)
    word = words.encode(application, weight, delay, index)
    assert word.dtype == np.uint16
    for made, given_ in zip(words.decode(application, word), (weight, delay, index), strict=True):
        np.testing.assert_array_equal(made, given_)


def row(*values: int, dtype: type = np.int32) -> np.ndarray:
    return np.array(values, dtype=dtype)


def element(number: int, chip: tuple[int, int], population: str, sources: list[int]) -> Element:
    rows = Rows(
        row(*(s << 8 for s in sources), dtype=np.uint32),
        np.arange(len(sources) + 1, dtype=np.uint16),
        words.encode("lif", np.ones(len(sources)), 0, np.zeros(len(sources))),
    )
    return Element(number, chip, number, population, row(0), row(*sources), rows, (), False, {})


def table(chip: tuple[int, int], *entries: tuple[int, int, int, int]) -> RoutingTable:
    """Entries (key, mask, links, bits of elements)."""
    keys, masks, links, elements = zip(*entries, strict=True) if entries else ((),) * 4
    bits = np.zeros((len(entries), 3), np.uint64)
    bits[:, 0] = elements
    return RoutingTable(
        chip, row(*keys, dtype=np.uint32), row(*masks, dtype=np.uint32),
        row(*links, dtype=np.uint8), bits,
    )  # fmt: skip


def small_program() -> Program:
    one = np.ones(1, np.float32)
    population = ChipPopulation("n", (1,), "lif", one, one, one, 0 * one)
    network = ChipNetwork(
        ChipInput("x", (1,)), (population,),
        (Connection("x", "n", Dense(np.ones((1, 1), np.int64))),), ("n",),
    )  # fmt: skip
    elements = (element(0, (0, 0), "x", []), element(1, (2, 0), "n", [0]))
    tables = (
        table((0, 0), (0, 0xFFFFFF00, 1, 0)),
        table((1, 0)),
        table((2, 0), (0, 0xFFFFFF00, 0, 2)),
    )
    return Program(
        "small", load_board("spinnaker2-chip"), network, elements, tables, 1e-3, {"n": one}
    )


def test_a_program_comes_back_from_its_files() -> None:
    program = small_program()
    files = emit(program)
    assert emit(program) == files
    assert equal(load(files), program)
    assert utilization(program)["processing_elements"] == (2, 148)


def test_a_packet_without_an_entry_goes_straight_on_or_is_dropped_at_its_start() -> None:
    program = small_program()
    router = Router(program.tables, program.elements)
    assert router.reached(0, (0, 0)) == (1,)
    assert router.reached(256, (0, 0)) == ()


def test_a_circle_and_an_unused_element_are_errors() -> None:
    program = small_program()
    loop = (table((0, 0), (0, 0, 1, 0)), table((1, 0), (0, 0, 8, 0)))
    with pytest.raises(ModelError, match="packet 0x00000000: comes to chip 0,0 twice"):
        Router(loop, program.elements).reached(0, (0, 0))
    with pytest.raises(ModelError, match="is delivered to element 5 of chip 0,0, which is not"):
        Router((table((0, 0), (0, 0, 0, 32)),), program.elements).reached(0, (0, 0))
