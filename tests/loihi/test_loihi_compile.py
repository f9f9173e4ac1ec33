"""Compiling for Loihi: timing is kept, limits are respected, the network's answer survives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnstack.backends.loihi import emit, load, quantise, reference, utilization, views
from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba
from snnstack.board import load_board
from snnstack.compilers.loihi import compile, compile_chip
from snnstack.errors import CapacityError, ModelError
from snnstack.frontends.data import make_data
from snnstack.ir.step import Conv, Dense, Projection, Sparse
from snnstack.loading import discretised
from snnstack.loading import load as load_graph
from snnstack.mapping.retime import retime
from snnstack.passes.options import Options
from snnstack.reference import run_quantized
from snnstack.report.readout import accuracy, aligned, classes
from snnstack.samples import run_float
from snnstack.trace import Spikes
from tests.loihi.test_quantise import graph, population

LOIHI_1, LOIHI_2 = load_board("loihi1"), load_board("oheo-gulch")
ONE = Dense(np.ones((1, 1)))


def cuba(name, shape=(4,), **changes):
    n = int(np.prod(shape))
    one = np.ones(n, dtype=np.int64)
    made = Cuba(name, shape, one * 4096, one * 128, one * 0, one * 6400)
    return replace(made, **changes)


def chip(populations, connections, generation=1, inputs=4):
    return ChipNetwork(
        generation, ChipInput("x", (inputs,)), populations, connections, (populations[-1].name,)
    )


def edges(*rows):
    return [Projection(source, target, ONE, delay) for source, target, delay in rows]


def test_parallel_paths_keep_their_relative_timing():
    found = retime(
        ["x"], ["a", "b"], edges(("x", "a", 0), ("a", "b", 0), ("x", "b", 0), ("b", "b", 1))
    )
    assert found.lag == {"a": 1, "b": 2}
    assert found.delay == (0, 0, 1, 0)
    assert found.late == (0, 0, 0, 0)


def test_a_loop_that_is_too_short_comes_late_and_is_recorded():
    found = retime(["x"], ["a", "b"], edges(("x", "a", 0), ("a", "b", 0), ("b", "a", 1)))
    assert found.lag == {"a": 1, "b": 2}
    assert found.delay == (0, 0, 0)
    assert found.late == (0, 0, 1)


def test_a_long_feedback_keeps_its_delay():
    found = retime(["x"], ["a", "b"], edges(("x", "a", 0), ("a", "b", 0), ("b", "a", 5)))
    assert found.delay == (0, 0, 3) and found.late == (0, 0, 0)


def test_a_network_that_keeps_its_timing_equals_the_integer_network():
    net = quantise(graph(population(beta=0.5, bias=0.15)), LOIHI_2)
    program = compile(net, LOIHI_2)
    x = (np.random.default_rng(1).random((3, 60, 5)) < 0.3).astype(np.uint8)
    spikes = Spikes.from_dense(x)
    found = aligned(reference(program, net, spikes), 60)
    expected = run_quantized(net, spikes)
    assert expected.spikes["p"].total > 0
    assert np.array_equal(found.spikes["p"].dense(), expected.spikes["p"].dense())


def test_constant_currents_come_from_one_neuron_with_the_input():
    program = compile(quantise(graph(population(beta=0.5, bias=0.15)), LOIHI_2), LOIHI_2)
    names = [p.name for p in program.network.populations]
    assert names == ["constant", "p"]
    total = sum(c.synapses.weight for c in program.network.into("p") if c.source == "constant")
    unit = program.network.population("p").threshold[0] / 64
    assert np.allclose(total / unit, 0.15, atol=1e-3)


def test_a_program_survives_its_directory():
    program = compile(quantise(graph(population(bias=0.1)), LOIHI_2), LOIHI_2)
    files = emit(program)
    assert emit(load(files)) == files


def test_thresholds_outside_the_register_are_refused_by_name():
    network = chip((cuba("lif", threshold=np.full(4, 200_000 << 6)),), ())
    with pytest.raises(ModelError) as error:
        compile_chip(network, LOIHI_1)
    assert str(error.value) == "lif: vth_mant is 200000, outside 0..131071 (17 bits, unsigned)"


def test_generation_1_refuses_what_only_generation_2_has():
    with pytest.raises(ModelError) as error:
        compile_chip(chip((cuba("lif", reset="subtract"),), ()), LOIHI_1)
    assert str(error.value) == "lif: reset by subtraction needs generation 2"


def test_every_limit_of_a_core_is_respected():
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 255, (3000, 2000))
    network = chip(
        (cuba("a", (2000,)), cuba("b", (3000,))),
        (
            Connection("x", "a", Dense(rng.integers(1, 255, (2000, 900))), signs="excitatory"),
            Connection("a", "b", Dense(weight), signs="excitatory"),
        ),
        inputs=900,
    )
    program = compile_chip(network, LOIHI_1)
    for used, available in utilization(program).values():
        assert used <= available
    assert sum(sum(core.neurons.values()) for core in program.cores) == 5000
    place = program.placement["b"]
    counted = np.bincount(place.core, minlength=len(program.cores))
    assert counted.tolist() == [core.neurons.get("b", 0) for core in program.cores]
    synapses = sum(core.used["synaptic_memory_bytes"] for core in program.cores)
    assert synapses >= weight.size + 2000 * 900


def test_a_board_that_is_too_small_says_what_limits_the_largest_population():
    weight = np.ones((20_000, 1000), dtype=np.int64)
    network = chip((cuba("big", (20_000,)),), (Connection("x", "big", Dense(weight)),), 1, 1000)
    with pytest.raises(CapacityError) as error:
        compile_chip(network, LOIHI_1)
    text = str(error.value)
    assert text.startswith("board loihi1: needs ") and "128 available; big takes " in text
    assert text.endswith("limited by synaptic memory bytes (choose a larger board)")


def test_a_neuron_with_too_many_axons_is_named():
    n = 5000
    synapses = Sparse(np.arange(n + 1), np.zeros(n, dtype=np.int32), np.ones(n, dtype=np.int64))
    network = chip((cuba("lif", (1,)),), (Connection("x", "lif", synapses),), 1, n)
    with pytest.raises(CapacityError) as error:
        compile_chip(network, LOIHI_1)
    assert str(error.value) == (
        "lif: block 0 of 1 neurons needs 5,000 input axons, a core has 4,096 "
        "(a single neuron cannot be divided: reduce its connections)"
    )


def test_generation_2_stores_a_kernel_once():
    conv = Conv(
        np.ones((8, 2, 3, 3), dtype=np.int64), (2, 32, 32), (8, 32, 32), (1, 1), (1, 1), (1, 1), 1
    )
    used = {}
    for board in (LOIHI_1, LOIHI_2):
        network = ChipNetwork(
            board.hardware["generation"],
            ChipInput("x", (2, 32, 32)),
            (cuba("map", (8, 32, 32)),),
            (Connection("x", "map", conv, signs="excitatory"),),
            ("map",),
        )
        program = compile_chip(network, board)
        used[board.name] = sum(core.used["synaptic_memory_bytes"] for core in program.cores)
    assert used["oheo-gulch"] < 200 < 130_000 < used["loihi1"]


@pytest.mark.slow
def test_a_million_neurons_are_placed():
    rng = np.random.default_rng(0)
    shape = (16, 125, 125)
    populations, connections, source = [], [], "x"
    for name in ("a", "b", "c", "d"):
        weight = 2 * rng.integers(-100, 100, (16, 16, 3, 3))
        conv = Conv(weight, shape, shape, (1, 1), (1, 1), (1, 1), 1)
        populations.append(cuba(name, shape))
        connections.append(Connection(source, name, conv))
        source = name
    network = ChipNetwork(
        1, ChipInput("x", shape), tuple(populations), tuple(connections), (source,)
    )
    program = compile_chip(network, load_board("nahuku-32"))
    assert sum(len(program.placement[p.name].core) for p in populations) == 1_000_000
    assert program.placement["b"].hops_x.mean() < 10


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "reset", "wanted"),
    [
        ("braille_noDelay_bias_zero", None, 0.955),
        ("braille_noDelay_noBias_subtract", "subtract", 0.965),
    ],
)
@pytest.mark.parametrize("calibrated", [True, False])
def test_braille_networks_keep_their_accuracy(data_dir, name, reset, wanted, calibrated):
    from snnstack.quant.calibration import measured

    steps = discretised(load_graph(data_dir / "nir" / f"{name}.nir", Options(reset=reset)))
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        data = make_data(file["x"], file["y"], steps.inputs[0], "braille")
    first = data.first(128)
    activity = measured(steps, first.spikes, run_float(steps, first)) if calibrated else None
    net = quantise(steps, LOIHI_2, activity)
    trace = aligned(reference(compile(net, LOIHI_2), net, data.spikes), data.spikes.steps)
    assert accuracy(classes(trace, net.outputs), data.labels) >= wanted


def test_cores_are_drawn_where_they_are_and_as_full_as_they_are():
    rng = np.random.default_rng(0)
    program = compile_chip(
        chip(
            (cuba("a", (3000,)), cuba("b", (10,))),
            (
                Connection("x", "a", Dense(rng.integers(1, 9, (3000, 4)))),
                Connection("a", "b", Dense(rng.integers(1, 9, (10, 3000)))),
            ),
        ),
        LOIHI_1,
    )
    (picture,) = views(program)
    assert (picture.columns, picture.rows) == (16, 8)
    assert [c.holds for c in picture.cores] == [dict(c.neurons) for c in program.cores]
    assert len({(c.chip, c.x, c.y) for c in picture.cores}) == len(program.cores) == 3
    assert all(0 <= c.x < 16 and 0 <= c.y < 8 and 0 < c.load <= 1 for c in picture.cores)
    used, most = picture.cores[0].used["compartments"]
    assert (used, most) == (program.cores[0].used["compartments"], 1024)
