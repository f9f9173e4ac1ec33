"""Any neuron model on Loihi 2: definition, emulator and a generated Lava process are equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snnstack
from snnstack.backends.loihi import lava
from snnstack.backends.loihi.lava_job import matrix
from snnstack.backends.loihi.network import Programmed
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.quantise import quantise
from snnstack.backends.loihi.reference import run_chip
from snnstack.backends.loihi.run_reference import reference
from snnstack.board import load_board
from snnstack.cell_ranges import cell_ranges
from snnstack.compilers.loihi import compile
from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.run_numpy import evaluated
from snnstack.dynamics.trace import traced
from snnstack.emulators.loihi import emulate
from snnstack.engine.steps import run_step_graph
from snnstack.errors import ModelError, TargetError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Affine, Cells, CubaLIF, Input, Linear, Output
from snnstack.ir.step import StepGraph
from snnstack.quant.calibration import measured
from snnstack.reference.run import run_quantized
from snnstack.report.equality import compare
from snnstack.report.readout import aligned
from snnstack.trace import Spikes, Trace
from tests.conformance.test_any_model import MODEL, NUMBERS, samples
from tests.conformance.test_any_model import network as own_network
from tests.conformance.test_library_on_mcu import network as library_network
from tests.dynamics.test_library import CASES
from tests.values.test_integers import given as given_values
from tests.values.test_integers import valued_network

BOARD = load_board("oheo-gulch")
UNBOUNDED = ("resonate", {"balanced": False, "resets": False})


def programmed(program: Program) -> list[Programmed]:
    return [p for p in program.network.populations if isinstance(p, Programmed)]


def definition(network: Any, program: Program, x: Spikes) -> Trace:
    """The integer network, whose states the chip has some steps later."""
    probes = [(p.name, s) for p in network.populations if not p.is_lif for s in p.model.states]
    kept = [probe for probe in probes if probe in program.variables]
    return run_quantized(network, x, probes=kept)


def check_definition(network: Any, program: Program, x: Spikes) -> None:
    """Every event and state of the integer network stands in the emulation."""
    expected = definition(network, program, x)
    found = aligned(emulate(program, x, probes=[*expected.states]), x.steps)
    assert set(found.spikes) >= set(expected.spikes)
    kept = {name: found.spikes[name] for name in expected.spikes}
    result = compare(replace(found, spikes=kept), expected, "definition")
    assert not result.differences


def test_every_model_of_the_library_is_the_integer_network() -> None:
    for name, options in CASES:
        if (name, options) == UNBOUNDED or name in ("cuba_lif", "loihi_cuba", "spinnaker2_lif"):
            continue
        graph, data = library_network(name, options)
        built = snnstack.build(graph, BOARD, data)
        assert [p.name for p in programmed(built.program)] == ["h"]
        check_definition(built.network, built.program, Spikes.from_dense(data["x"]))
        check_widths(built.program, data["x"].astype(np.int64))


def check_widths(program: Program, x: Any) -> None:
    """States within 24 bits, numbers within 32, products within 48, on this data."""
    (p,) = programmed(program)
    step = traced(p.neurons)
    products = [e for e in ordered(step.roots.values()) if e.op == "mulshift"]
    numbers = [e for e in ordered(step.roots.values()) if e.op in OPS and not OPS[e.op].truth]
    watched = {f"product {k}": E("mul", e.args[:2]) for k, e in enumerate(products)}
    watched |= {f"number {k}": e for k, e in enumerate(numbers)}
    step = replace(step, roots={**step.roots, **watched})
    state = {name: np.broadcast_to(p.neurons.start(name), (len(x), p.n)) for name in p.model.states}
    limit = {"product": 2**47, "number": 2**31, "state": 2**23}
    for t in range(x.shape[1]):
        sums = {port: np.zeros((len(x), p.n), dtype=np.int64) for port in p.ports}
        for c in program.network.into(p.name):
            weight = matrix(c.synapses, p.n, x.shape[2], c.pool)
            sums[c.port] = sums[c.port] + x[:, t] @ weight.T
        found = evaluated(step, state, sums, np.dtype(np.int64))
        for name, value in found.items():
            most = limit.get(name.split()[0], 2**31)
            assert np.abs(np.asarray(value, dtype=np.int64)).max() <= most, (p.model.name, name)
        state |= {name: np.broadcast_to(found[f"state {name}"], (len(x), p.n))
                  for name in step.of("state")}  # fmt: skip


@pytest.mark.needs_lava
@pytest.mark.slow
def test_every_model_of_the_library_is_its_generated_lava_process() -> None:
    chips, given_to = [], []
    for name, options in CASES:
        if (name, options) != UNBOUNDED:
            graph, data = library_network(name, options)
            program = snnstack.build(graph, BOARD, data).program
            chips.append(program.network)
            given_to.append(data["x"].reshape(*data["x"].shape[:2], -1).astype(np.int64))
    theirs = lava.run_models(chips, given_to)
    wrong, states = [], 0
    for network, x, other in zip(chips, given_to, theirs, strict=True):
        ours = run_chip(network, x, lava.every_probe(network))
        result = compare(ours, other, "Lava")
        wrong += [str(d) for d in result.differences]
        states += result.states_compared
    assert not wrong and states > 100_000


@pytest.mark.needs_lava
def test_recurrent_network_of_ones_own_model_in_lavas_runtime(tmp_path: Path) -> None:
    built = snnstack.build(own_network(), BOARD, samples(7))
    x = {key: value[:2, :60] if key == "x" else value[:2] for key, value in samples().items()}
    result = snnstack.verify(built.program, x)
    assert not result.differences and result.states_compared > 5000
    assert "Lava" in result.against
    snnstack.save(built, tmp_path / "p")
    texts = sorted((tmp_path / "p" / "lava").iterdir())
    assert [t.name for t in texts] == ["population0.py", "population1.py"]
    again, _ = snnstack.open_program(tmp_path / "p")
    check_definition(built.network, again, Spikes.from_dense(samples()["x"]))


def mixed(seed: int) -> Graph:
    """Fixed compartments with constants before and behind neurons of one's own, and a loop."""
    rng = np.random.default_rng(seed)
    common = {"v_leak": 0.02, "v_threshold": 1.0, "v_reset": 0.0, "r": 9.0}

    def of(n: int, **more: float) -> dict[str, Any]:
        return {key: np.full(n, value) for key, value in {**common, **more}.items()}

    nodes: dict[str, Any] = {
        "in": Input((7,)),
        "w": Affine(rng.normal(0.2, 0.5, (12, 7)), rng.normal(0, 0.2, 12)),
        "cuba": CubaLIF(**of(12, tau_syn=4e-3, tau_mem=9e-3, w_in=2.0)),
        "w2": Affine(rng.normal(0.1, 0.5, (10, 12)), rng.normal(0, 0.1, 10)),
        "own": Cells((10,), MODEL, NUMBERS),
        "back": Linear(rng.normal(0, 0.3, (12, 10))),
        "w3": Affine(rng.normal(0.1, 0.5, (5, 10)), rng.normal(0.1, 0.1, 5)),
        "lif": LIF(**of(5, tau=9e-3)),
        "skip": Linear(rng.normal(0.1, 0.5, (5, 7))),
        "out": Output((5,)),
    }
    pairs = ["in w", "w cuba", "cuba w2", "w2 own", "own back", "own w3", "w3 lif", "in skip",
             "skip lif", "lif out"]  # fmt: skip
    edges = (*(Edge(*pair.split()) for pair in pairs), Edge("back", "cuba", 2))
    return Graph(nodes, edges, dt=1e-3, integrator="euler")


@pytest.mark.parametrize("seed", [0, 1])
def test_fixed_compartments_and_programs_keep_each_others_time(seed: int) -> None:
    x = (np.random.default_rng(seed).random((3, 80, 7)) < 0.3).astype(np.uint8)
    built = snnstack.build(mixed(seed), BOARD, {"x": x, "y": np.arange(3)})
    assert built.program.lag["own"] == 2 and built.program.lag["lif"] == 3
    check_definition(built.network, built.program, Spikes.from_dense(x))


def test_integers_spike_as_the_float_network_does() -> None:
    built = snnstack.build(own_network(), BOARD, samples())
    assert built.conversion is not None
    hidden = built.conversion.layers[0]
    assert hidden.spikes_float > 2000
    assert abs(hidden.spikes - hidden.spikes_float) < 0.02 * hidden.spikes_float


def test_a_changed_text_is_refused_and_never_run(tmp_path: Path) -> None:
    built = snnstack.build(own_network(), BOARD, samples(7))
    snnstack.save(built, tmp_path / "p")
    text = tmp_path / "p" / "lava" / "population0.py"
    text.write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n")
    with pytest.raises(TargetError):
        snnstack.open_program(tmp_path / "p")
    assert not (tmp_path / "made").exists()


def test_generation_1_says_what_its_neurons_cannot_do() -> None:
    with pytest.raises(ModelError) as told:
        snnstack.build(own_network(), "loihi1", samples(7))
    message = str(told.value)
    assert (
        "h: is of the model adaptive_with_bias, which computes add, gt, mul, sub, where" in message
    )
    assert "use LIF or CubaLIF with a reset to zero, or a Loihi 2 board" in message


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_random_networks_with_values_are_the_integer_network(seed: int) -> None:
    network, program, x = random_program(seed)
    check_definition(network, program, x)
    probes = program.variables
    ours = reference(program, network, x, probes)
    assert not compare(emulate(program, x, probes=probes), ours, "definition").differences


@pytest.mark.parametrize("seed", [0, 2])
def test_values_that_wait_longer_than_a_synapse_can_are_relayed_whole(seed: int) -> None:
    graph, x = valued_network(seed, valued=True), given_values(seed, valued=True)
    late = tuple(replace(p, delay=p.delay + 70 + 9 * k) for k, p in enumerate(graph.projections))
    x = x.window(0, x.steps + 250)
    network, program = of_graph(graph.with_(projections=late), x)
    relays = [p for p in programmed(program) if p.model.name == "relay"]
    trace = emulate(program, x)
    assert relays and all(trace.spikes[p.name].total for p in relays)
    check_definition(network, program, x)


@pytest.mark.needs_lava
@pytest.mark.slow
def test_random_networks_with_values_in_lava() -> None:
    found = [random_program(seed) for seed in range(8)]
    chips = [program.network for _, program, _ in found]
    dense = [x.dense().reshape(x.batch, x.steps, -1).astype(np.int64) for _, _, x in found]
    for network, x, other in zip(chips, dense, lava.run_models(chips, dense), strict=True):
        result = compare(run_chip(network, x, lava.every_probe(network)), other, "Lava")
        assert not result.differences and result.states_compared


def random_program(seed: int) -> tuple[Any, Program, Spikes]:
    """A network whose populations send values or spikes, and samples it was not fitted to."""
    valued = seed % 2 == 0
    network, program = of_graph(valued_network(seed, valued), given_values(seed, valued))
    return network, program, given_values(seed + 1, valued)


def of_graph(graph: StepGraph, fitted: Spikes) -> tuple[Any, Program]:
    """Integers and program of a network, fitted to these samples."""
    trace = run_step_graph(graph, fitted)
    known = replace(measured(graph, fitted, trace), ranges=cell_ranges(graph, fitted, trace))
    network = quantise(graph, BOARD, known, "neuron")
    return network, compile(network, BOARD)
