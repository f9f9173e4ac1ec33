"""The exact machine is the integer reference; a drawn chip is its circuits, and reproducible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnstack.api import verify, verify_reference
from snnstack.backends.crossbar import emit, load, price, run
from snnstack.backends.crossbar.circuit import Array, Circuit
from snnstack.backends.crossbar.coding import channels, combined
from snnstack.backends.crossbar.instance import targets, wires_of
from snnstack.backends.crossbar.price import tile_breakdown
from snnstack.compilers.crossbar import compile
from snnstack.emulators.crossbar import emulate
from snnstack.emulators.crossbar.chip import drawn_chip
from snnstack.emulators.crossbar.emulate import _Job, _reads
from snnstack.emulators.crossbar.flat import flatten, ordered_tiles, room
from snnstack.emulators.crossbar.noise import normal_pair
from snnstack.emulators.crossbar.reads import drive, finish
from snnstack.errors import TargetError
from snnstack.integers import quantise_for
from snnstack.reference import run_quantized
from snnstack.report.equality import compare
from snnstack.trace import Trace
from tests.conformance.networks import EXAMPLES, equal, events, spiking_graphs, steps_of
from tests.crossbar.networks import QUIET, WAYS, board, changed, program

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
every_way = pytest.mark.parametrize("way", WAYS)


def same(left: Trace, right: Trace) -> bool:
    found = compare(left, right, "")
    return not found.mismatches and found.spikes_compared + found.states_compared > 0


@every_way
@pytest.mark.parametrize("example", EXAMPLES)
def test_exact_machine_execution_and_reference_agree(example: str, way: str) -> None:
    steps = steps_of(EXAMPLES[example]())
    network, made = program(steps, board(way))
    spikes = events(made.port, batch=2, steps=12)
    assert equal(load(emit(made)), made)
    emulated = emulate(made, spikes, probes=made.variables)
    assert same(emulated, run_quantized(network, spikes, made.variables))
    assert same(emulated, run(made, spikes, probes=made.variables))


@pytest.mark.needs_ngspice
@pytest.mark.parametrize("way", ["pairs", "gated", "gated rows"])
def test_verify_says_how_far_the_circuits_are_from_ngspice(way: str) -> None:
    network, made = program(steps_of(EXAMPLES["dense"]()), board(way))
    spikes = events(made.port, batch=2, steps=12)
    found = verify(made, spikes)
    assert found.mismatches == 0
    assert len(found.agreements) == min(3, len(made.tiles))
    for agreement in found.agreements:
        assert agreement.against == "ngspice"
        assert agreement.compared > 0
        assert agreement.worst <= agreement.tolerance == 1e-9
    assert verify_reference(made, network, spikes).differences == ()


@settings(max_examples=25, suppress_health_check=SLOW)
@given(spiking_graphs(), st.integers(0, 99), st.sampled_from(sorted(WAYS)))
def test_random_networks_are_exact(graph: Any, seed: int, way: str) -> None:
    steps = steps_of(graph)
    network, made = program(steps, board(way))
    spikes = events(made.port, seed, batch=2, steps=8)
    reference = run_quantized(network, spikes, made.variables)
    assert compare(emulate(made, spikes, probes=made.variables), reference, "").differences == ()


@every_way
def test_a_chip_without_deviations_is_the_exact_machine(way: str) -> None:
    """Through the conductances and converters of a drawn chip, not through the exact mode."""
    steps = steps_of(EXAMPLES["recurrent"]())
    _, made = program(steps, changed(board(way), **QUIET, adc_bits=0, drift_s=0.0))
    spikes = events(made.port, batch=2, steps=12)
    exact = emulate(made, spikes, probes=made.variables)
    assert same(emulate(made, spikes, seed=5, probes=made.variables), exact)


def test_a_seed_is_one_chip_on_any_number_of_threads_in_any_batch() -> None:
    _, made = program(steps_of(EXAMPLES["conv"]()), board("pairs"))
    spikes = events(made.port, batch=5, steps=10)
    runs = [
        emulate(made, spikes, seed=3, probes=made.variables, threads=threads)
        for threads in (1, 2, 5)
    ]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    alone = emulate(made, spikes.samples(3, 4), seed=3, probes=made.variables)
    for probe, values in alone.states.items():
        np.testing.assert_array_equal(values[0], runs[0].states[probe][3])
    drawn_chip.cache_clear()
    assert same(emulate(made, spikes, seed=3, probes=made.variables), runs[0])
    assert not same(emulate(made, spikes, seed=4, probes=made.variables), runs[0])


def currents_of(made: Any, number: int, digits: Any) -> tuple[Any, float]:
    """(levels in every channel, watts) of one read of a tile of chip 1, by the kernels."""
    flat = flatten(made)
    chip = drawn_chip(made, 1)
    job: Any = _Job(made, flat, chip, room(flat), None, None, 0, None, None, ())  # type: ignore[arg-type]
    reads = _reads(job)
    for row in np.flatnonzero(digits):
        drive(flat, chip, reads, number, 0, row, int(digits[row]))
    watts = finish(flat, chip, reads, number, 0)
    return reads.currents, watts


@pytest.mark.parametrize(
    ("way", "tolerance"),
    [("pairs", 1e-9), ("counts as voltages", 1e-9), ("offset, digital, sliced", 1e-9),
     ("gated", 1e-9), ("gated rows", 3e-3)],
)  # fmt: skip
def test_reads_are_the_currents_of_the_whole_circuit(way: str, tolerance: float) -> None:
    quiet = {k: v for k, v in QUIET.items() if k != "wires"}
    _, made = program(steps_of(EXAMPLES["dense"]()), changed(board(way), **quiet, drift_s=0.0))
    tiles, random = ordered_tiles(made), np.random.default_rng(7)
    for number in (0, len(tiles) - 1):
        block, top = tiles[number].block, tiles[number].route.top
        digits = random.integers(0, top + 1, block.rows)
        digits[0] = top
        volt = made.board.coefficients["read_v"].typical / top
        g = targets(made)[block.array]
        drives = np.zeros((1, len(g)))
        drives[0, block.row : block.row + block.rows] = digits * volt
        circuit = Circuit(Array(g, board(way).hardware["topology"], wires_of(made.board)))
        solved = circuit.solve(drives)
        amperes = solved.currents[0, : block.columns]
        found = channels(made.coding, block.scatter.shape[1])
        expected = combined(amperes, found) / (volt * made.cell.step_us * 1e-6)
        seen, watts = currents_of(made, number, digits)
        scale = np.abs(amperes).max() / (volt * made.cell.step_us * 1e-6)
        np.testing.assert_allclose(seen[: len(expected)], expected, atol=tolerance * scale)
        if way != "gated rows":
            total = float((amperes * volt * top).sum())
            if board(way).hardware["topology"] == "passive":
                assert watts >= total * (1 - 1e-9) or top > 1
            else:
                assert watts <= float(solved.currents[0].sum()) * volt * (1 + 1e-9)


def test_noise_has_the_variance_of_the_cells_and_is_normal() -> None:
    pairs = np.array([normal_pair(np.uint64(9), k) for k in range(20_000)])
    assert abs(pairs.mean()) < 0.02
    assert abs(pairs.std() - 1) < 0.02
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.03
    assert abs(float((np.abs(pairs) < 1.96).mean()) - 0.95) < 0.005


def test_read_noise_changes_from_read_to_read() -> None:
    quiet = {**QUIET, "read_noise": True, "drift_s": 3600.0, "device": "pcm", "adc_bits": 0}
    _, made = program(steps_of(EXAMPLES["dense"]()), changed(board("pairs"), **quiet))
    spikes = events(made.port, batch=3, steps=10)
    exact, drawn = (emulate(made, spikes, seed=s, probes=made.variables) for s in (None, 0))
    assert not same(exact, drawn)


def test_coarse_converters_and_wires_cost_more_than_fine_ones() -> None:
    """Distance of the membranes from the exact machine's, for one deviation at a time."""
    steps = steps_of(EXAMPLES["dense"]())

    def distance(**hardware: Any) -> float:
        base = changed(board("pairs"), **{**QUIET, "drift_s": 0.0, "adc_bits": 0, **hardware})
        _, made = program(steps, base)
        spikes, last = events(made.port, batch=2, steps=10), made.populations[-1].name
        exact, drawn = (emulate(made, spikes, seed=s, probes=[(last, "v")]) for s in (None, 0))
        difference = drawn.states[last, "v"].astype(float) - exact.states[last, "v"]
        return float(np.abs(difference).mean())

    assert distance() == 0
    assert distance(adc_bits=10) < distance(adc_bits=3)
    assert distance(programming=True) > 0
    assert distance(wires=True) > 0


def test_energy_is_broken_down_by_tile_and_counts_agree() -> None:
    """Emulator and execution count the same reads, rows and power, each in its own way."""
    for way in ("pairs", "counts as voltages"):
        _, made = program(steps_of(EXAMPLES["conv"]()), changed(board(way), wires=False))
        spikes = events(made.port, batch=2, steps=10)
        emulated, executed = emulate(made, spikes), run(made, spikes)
        for tile in made.tiles:
            one, other = emulated.counts[tile.name].other, executed.counts[tile.name].other
            np.testing.assert_array_equal(one["reads"], other["reads"])
            np.testing.assert_array_equal(one["rows"], other["rows"])
            np.testing.assert_allclose(one["array_pw"], other["array_pw"], rtol=1e-6, atol=2e3)
        cost = price(made, emulated)
        rows = tile_breakdown(made, emulated)
        assert len(rows) == len(made.tiles)
        parts = {c.name: c.band.typical for c in cost.energy.components}
        for name in ("arrays", "row drivers", "converters", "shift and add"):
            total = sum(row["energy_uj"][name] for row in rows)
            assert parts[name] == pytest.approx(total, rel=1e-9)
        assert any("writing the cells once" in note for note in cost.energy.notes)


@pytest.mark.parametrize("bits", [2, 4, 9])
def test_weights_of_other_widths_use_the_whole_range_of_a_cell(bits: int) -> None:
    steps = steps_of(EXAMPLES["dense"]())
    network = quantise_for(steps, board("pairs"), None, weight_bits=bits)
    made = compile(network, board("pairs"))
    assert made.coding.weight_max == 2 ** (bits - 1) - 1
    assert made.cell.levels == min(2**7, 2 ** (bits - 1))
    highest = max(int(tile.block.levels.max()) for tile in made.tiles)
    assert highest == made.cell.levels - 1
    spikes = events(made.port, batch=2, steps=10)
    reference = run_quantized(network, spikes, made.variables)
    assert same(emulate(made, spikes, probes=made.variables), reference)


def test_a_width_that_no_cell_holds_is_refused() -> None:
    with pytest.raises(TargetError, match="weights of 12 bits, expected 2 to 9"):
        quantise_for(steps_of(EXAMPLES["dense"]()), board("pairs"), None, weight_bits=12)


DAMAGED: dict[str, Any] = {
    "reads outside": lambda b: replace(b, gather=b.gather + 1000),
    "writes outside": lambda b: replace(b, scatter=b.scatter + 1000),
    "do not belong to its cells": lambda b: replace(b, levels=b.levels[:, :-1]),
    "is no place": lambda b: replace(b, array=99),
    "is empty": lambda b: replace(b, gather=b.gather[:0]),
    "converter settings": lambda b: replace(b, converter=replace(b.converter, gain=-b.levels[0])),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_program_is_refused_before_it_runs(what: str) -> None:
    _, made = program(steps_of(EXAMPLES["dense"]()), board("pairs"))
    first = made.routes[0]
    blocks = (DAMAGED[what](first.blocks[0]), *first.blocks[1:])
    wrong = replace(made, routes=(replace(first, blocks=blocks), *made.routes[1:]))
    with pytest.raises(TargetError, match=f"tile 0: .*{what}"):
        emulate(wrong, events(made.port, batch=1, steps=3))


def test_a_route_to_nowhere_is_refused() -> None:
    _, made = program(steps_of(EXAMPLES["recurrent"]()), board("pairs"))
    wrong = replace(made, routes=(replace(made.routes[0], source="gone"), *made.routes[1:]))
    with pytest.raises(TargetError, match="gone -> "):
        emulate(wrong, events(made.port, batch=1, steps=3))
    late = next(r for r in made.routes if r.delay)
    early = replace(late, delay=0)
    wrong = replace(made, routes=tuple(early if r is late else r for r in made.routes))
    with pytest.raises(TargetError, match="reads a later population"):
        emulate(wrong, events(made.port, batch=1, steps=3))
