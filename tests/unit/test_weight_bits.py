"""Weights of few bits: what the quantiser chooses from, and what it leaves alone."""

from __future__ import annotations

from inspect import signature
from types import ModuleType

import numpy as np
import pytest

from snnstack.backends.mcu import numerics
from snnstack.backends.mcu.numerics import WEIGHT_BITS
from snnstack.board import all_boards, load_board
from snnstack.compilers.mcu import compile
from snnstack.errors import TargetError
from snnstack.integers import numerics_of, quantise_for
from snnstack.ir.step import Dense, Projection, StepGraph, StepInput, lif
from snnstack.quant.quantise import quantise
from snnstack.target import Quantiser, backend, offered, target_names


def graph(zeros: float = 0.0, n: int = 200) -> StepGraph:
    """input [n] -> a [12], weights normal with a share of exact zeros."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.1, (12, n)) * (rng.random((12, n)) >= zeros)
    one = np.ones(12)
    a = lif("a", (12,), 0.9 * one, None, one, one, 0 * one, 0 * one, one, 0 * one)
    port = StepInput("input", (n,), "binary")
    return StepGraph((port,), (a,), (Projection("input", "a", Dense(weight)),), ("a",), 1e-3)


@pytest.mark.parametrize("bits", WEIGHT_BITS)
def test_weights_are_those_of_the_width(bits: int) -> None:
    weight = quantise(graph(), numerics(bits)).projections[0].synapses.weight
    most = {8: 127, 4: 7, 2: 1, 1: 1}[bits]
    assert np.abs(weight).max() <= most
    assert (bits > 1) == bool((weight == 0).any())


@pytest.mark.parametrize("bits", WEIGHT_BITS)
def test_a_synapse_that_is_not_there_stays_away(bits: int) -> None:
    real = graph(zeros=0.5)
    weight = quantise(real, numerics(bits)).projections[0].synapses.weight
    assert not weight[real.projections[0].synapses.weight == 0].any()


def test_the_input_keeps_its_size_on_average() -> None:
    """One bit: a scale near the mean magnitude, so that the sums are of the same size."""
    real = graph()
    network = quantise(real, numerics(1))
    synapses = network.projections[0].synapses
    scale = network.populations[0].scale / 2.0 ** network.populations[0].shift
    magnitude = np.abs(real.projections[0].synapses.weight).mean(axis=1)
    assert np.allclose(np.abs(synapses.weight).mean(axis=1) / scale, magnitude, rtol=0.2)


@pytest.mark.parametrize(
    ("zeros", "kind", "stored"),
    [(0.0, "DenseTable", 1), (0.3, "DenseTable", 2), (0.8, "SparseTable", 1)],
)
def test_one_bit_with_missing_synapses_takes_the_smallest_table_that_holds_them(
    zeros: float, kind: str, stored: int
) -> None:
    program = compile(quantise(graph(zeros), numerics(1)), load_board("nucleo-l4r5zi"))
    table = program.layers[0].routes[0].table
    assert (type(table).__name__, table.bits) == (kind, stored)


def test_fewer_bits_take_less_flash() -> None:
    board = load_board("nucleo-l4r5zi")
    sizes = [compile(quantise(graph(), numerics(b)), board).memory["weights"] for b in WEIGHT_BITS]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("target", target_names())
def test_every_target_takes_a_width_or_says_that_it_cannot(target: str) -> None:
    board = next(board for board in all_boards() if board.target == target)
    levels = {}
    for bits in range(17):
        try:
            network = quantise_for(graph(), board, None, "population", weight_bits=bits)
        except TargetError as error:
            assert f": weights of {bits} bits, " in f"{error} ".replace(" (", ", ")
            continue
        levels[bits] = len(np.unique(network.projections[0].synapses.weight))
        assert levels[bits] <= 2 ** (bits + 1)  # Loihi keeps the sign of a synapse group apart
    assert {2, 4, 8} <= levels.keys() and 16 not in levels
    assert list(levels.values()) == sorted(set(levels.values()))
    usual = quantise_for(graph(), board, None, "population")
    assert len(np.unique(usual.projections[0].synapses.weight)) in levels.values()


@pytest.mark.parametrize("target", target_names())
def test_own_quantisers_take_what_the_seam_says(target: str) -> None:
    own = offered(backend(target), "quantise")
    wanted = list(signature(Quantiser.__call__).parameters)[1:]
    assert own is None or list(signature(own).parameters) == wanted


def test_a_file_named_like_a_function_is_no_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target package with `numerics.py` and `quantise.py` that offers neither function."""
    folder = ModuleType("folder")
    for name in ("numerics", "quantise"):
        setattr(folder, name, ModuleType(f"folder.{name}"))
    folder.NUMERICS = numerics(8)  # type: ignore[attr-defined]
    monkeypatch.setattr("snnstack.integers.backend", lambda target: folder)
    board = load_board("nucleo-l4r5zi")
    assert quantise_for(graph(), board, None, weight_bits=8).numerics == numerics(8)
    with pytest.raises(TargetError) as error:
        quantise_for(graph(), board, None, weight_bits=4)
    assert str(error.value) == "mcu: weights of 4 bits, it has 8 (leave the width out)"


def test_rules_of_import_know_no_width() -> None:
    with pytest.raises(TargetError) as error:
        quantise_for(graph(), load_board("spinnaker2-chip"), None, "import", weight_bits=4)
    assert str(error.value) == (
        "spinnaker2: weights of 4 bits, the rules of import know no width "
        "(leave out the width or the rules of import)"
    )


def test_other_widths_are_refused() -> None:
    with pytest.raises(TargetError) as error:
        numerics_of("mcu", 3)
    assert str(error.value) == "mcu: weights of 3 bits (one of 8, 4, 2, 1)"
    assert numerics_of("mcu").weight_bits == numerics_of("mcu", 8).weight_bits == 8
