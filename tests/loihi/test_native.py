"""Files in Loihi's own units through the verbs: exact on Loihi, the same equations elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack import api
from snnstack.backends.loihi import as_graph, reference, wiring
from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.netx import read_netx
from snnstack.backends.loihi.netx_write import write_netx
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.errors import ModelError
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from snnstack.report.equality import compare
from snnstack.report.operations import OperationCounter, Operations
from snnstack.report.readout import aligned
from snnstack.trace import Spikes, Trace
from tests.loihi.test_netx import chain

RNG = np.random.default_rng


@pytest.fixture
def netx(tmp_path: Path) -> Path:
    write_netx(chain(), tmp_path / "chain.net")
    return tmp_path / "chain.net"


def events(seed: int, *shape: int) -> Spikes:
    return Spikes.from_dense((RNG(seed).random(shape) < 0.4).astype(np.uint8))


def test_a_netx_file_is_compiled_with_its_own_registers(netx: Path) -> None:
    built = api.build(netx, "oheo-gulch")
    program, spikes = built.program, events(1, 3, 30, 2, 7, 7)
    assert built.network is None
    assert dict(program.lag) == {"c": 1, "d": 2, "e": 3}
    trace = api.emulate(program, spikes, probes=program.variables)
    assert compare(trace, reference(program, None, spikes, program.variables), "x").mismatches == 0
    assert trace.spikes["e"].total > 0
    assert trace.spikes["e"].steps == 33


def test_a_program_from_a_file_survives_its_directory(netx: Path, tmp_path: Path) -> None:
    api.save(api.build(netx, "loihi1"), tmp_path / "out")
    program, network = api.open_program(tmp_path / "out")
    assert network is None
    assert program.settings["registers"]["d"]["refractory"] == 4
    assert program.settings["registers"]["e"]["weights"] == {"d -> e": "mixed x 2^0, 5 bits"}


def test_its_graph_computes_the_same_where_nothing_is_rounded() -> None:
    """Decays of 0 and 4096 lose nothing, so real numbers and the chip agree to the spike."""
    rng = RNG(3)
    exact = {"convention": "chip", "bias_mant": 3, "bias_exp": 4}
    net = (
        ChipBuilder()
        .input("x", (2, 6, 6))
        .population("a", (3, 4, 4), du=4096, dv=0, vth_mant=201, refractory=3, **exact)
        .population("b", 5, du=4096, dv=4096, vth_mant=61, reset="subtract", **exact)
        .conv("x", "a", 2 * rng.integers(-60, 90, (3, 2, 3, 3)))
        .connect("a", "b", 2 * rng.integers(-60, 90, (5, 12)), pool=2, delay=2)
        .connect("b", "b", 2 * rng.integers(-60, 60, (5, 5)), delay=1)
        .build()
    )
    program = compile_chip(net.with_(lag={"a": 1, "b": 2}), load_board("oheo-gulch"))
    spikes = events(4, 2, 40, 2, 6, 6)
    steps = discretised(load(as_graph(net)))
    # a bias acts from the first step of the run on, not from that of a layer's first input
    quiet = tuple(p.with_lif(leak=p.leak * 0, bias=p.bias * 0) for p in steps.populations)
    silent = tuple(replace(p, bias=p.bias * 0) for p in net.populations)  # type: ignore[arg-type]
    program = replace(program, network=program.network.with_(populations=silent))
    found = aligned(api.emulate(program, spikes), spikes.steps)
    expected = run_steps(steps.with_(populations=quiet), spikes)
    for name in ("a", "b"):
        assert expected.spikes[name].total > 50
        assert (found.spikes[name].dense() == expected.spikes[name].dense()).all(), name
    assert (steps.populations[0].leak == 48).all()


def test_what_would_change_its_integers_is_refused(netx: Path) -> None:
    with pytest.raises(ModelError) as told:
        api.build(netx, "oheo-gulch", {"x": np.zeros((1, 1, 98))}, Options(reset="zero"))
    hint = "(leave the option out, or compile for another target)"
    assert str(told.value).splitlines() == [
        f"{netx}: holds its registers, --reset cannot change them {hint}",
        f"{netx}: holds its registers, --calibrate cannot change them {hint}",
    ]


def sigma_delta(path: Path) -> Path:
    rng = RNG(5)
    net = (
        ChipBuilder()
        .input("input", 4)
        .sigma_delta("a", 5, vth=0, spike_exp=6)
        .sigma_delta("b", 3, vth=0, spike_exp=6, bias=1)
        .connect("input", "a", 2 * rng.integers(-60, 61, (5, 4)))
        .connect("a", "b", 2 * rng.integers(-60, 61, (3, 5)))
        .build()
    )
    write_netx(net, path / "sdnn.net")
    return path / "sdnn.net"


def test_sigma_delta_files_are_emulated_but_are_no_graph(tmp_path: Path) -> None:
    path = sigma_delta(tmp_path)
    assert read_netx(path).generation == 2
    data = {"x": RNG(6).integers(0, 2, (4, 9, 4)), "y": np.zeros(4, int)}
    program = api.compile(path, "oheo-gulch")
    trace = api.emulate(program, data, probes=program.variables)
    assert np.abs(trace.states["b", "s"]).max() > 0
    with pytest.raises(ModelError) as told:
        load(path)
    hint = "(compile it for a board with Loihi 2)"
    assert str(told.value).splitlines() == [
        f"a: sigma-delta neurons have no place in a graph {hint}",
        f"b: sigma-delta neurons have no place in a graph {hint}",
    ]
    with pytest.raises(ModelError, match="a: sigma-delta neurons need generation 2"):
        api.compile(path, "loihi1")


@pytest.mark.needs_lava
def test_a_sigma_delta_file_can_be_measured(tmp_path: Path) -> None:
    path = sigma_delta(tmp_path)
    data = {"x": RNG(8).integers(0, 2, (2, 9, 4)), "y": np.zeros(2, int)}
    (row,) = api.bench(path, ["oheo-gulch"], data, verify_samples=2)
    assert row.bit_exact
    assert row.accuracy is not None
    assert row.accuracy_float is None
    assert row.spike_agreement is None
    assert row.operations is not None and row.operations.effective_macs > 0


def counted(path: Path, spikes: Spikes) -> tuple[Operations, Trace, Any]:
    """Operations of a file's program, with its trace on the input's clock."""
    program = api.compile(path, "oheo-gulch")
    run = api.emulate(program, spikes, probes=program.variables)
    trace = aligned(run, spikes.steps)
    counter = OperationCounter(wiring(program))
    counter.add(trace, {program.port.name: spikes})
    return counter.total(), trace, program


def test_operations_of_a_file_are_those_of_its_graph(netx: Path) -> None:
    """Synapses, delays and spikes are the same, so a matrix of either gives the same sums."""
    spikes = events(2, 2, 20, 2, 7, 7)
    found, trace, program = counted(netx, spikes)
    steps = discretised(load(netx))
    given = {program.port.name: spikes, **trace.spikes}
    total = 0
    for p in steps.projections:
        fan = matrix(p.synapses, steps.population(p.target).n)
        events_of = given[p.source].dense().reshape(2, 20, -1)[:, : 20 - p.delay].sum((0, 1))
        if p.pool is not None:
            events_of = pool_matrix(p.pool).T @ events_of
        total += int(np.diff((fan != 0).tocsc().indptr) @ events_of)
    assert total > 0
    assert (found.effective_acs + found.effective_macs) * 2 == total
    assert found.membrane_updates == 20 * sum(p.n for p in steps.populations)
    assert found.activation_sparsity is not None and 0 < found.activation_sparsity < 1
    bits = sum(-(-c.synapses.weight.size * c.bits // 8) for c in program.network.connections)
    assert found.footprint_bytes > bits


def test_values_that_are_sent_multiply(tmp_path: Path) -> None:
    path = sigma_delta(tmp_path)
    spikes = Spikes.from_dense(RNG(6).integers(0, 2, (4, 9, 4)).astype(np.uint8))
    found, trace, program = counted(path, spikes)
    fans = [
        np.count_nonzero(c.synapses.weight, axis=0)  # type: ignore[union-attr]
        for c in program.network.connections
    ]
    sent = trace.states["a", "s"]
    large = (np.abs(sent) > 1).any(axis=2)
    assert large.any()
    into_b = ((sent != 0) * fans[1]).sum(axis=2)
    into_a = int(spikes.per_neuron().sum(axis=0) @ fans[0])
    assert found.effective_macs * 4 == into_b[large].sum()
    assert found.effective_acs * 4 == into_a + into_b[~large].sum()
    slots = sum(trace.states[name, "s"].size for name in "ab")
    active = sum(np.count_nonzero(trace.states[name, "s"]) for name in "ab")
    assert found.activation_sparsity == 1 - active / slots
