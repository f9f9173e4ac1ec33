"""Real networks, all three ways: definition, emulator, firmware of all elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from snnstack.api import verify, verify_reference
from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.run_reference import reference
from snnstack.board import load_board
from snnstack.building import Build, build_steps
from snnstack.compilers.spinnaker2 import compile_chip
from snnstack.emulators.spinnaker2 import emulate
from snnstack.errors import ModelError
from snnstack.ir.graph import Graph
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.report.equality import compare
from snnstack.samples import as_data
from tests.conformance.networks import accepted, events, spiking_graphs, steps_of
from tests.recordings.test_nmnist import binned
from tests.spinnaker2.interpreter import interpret

BOARD = load_board("spinnaker2-chip")


def build(file: Path, data: Any, **said: Any) -> tuple[Build, Any]:
    graph = load(file, Options(**said))
    steps = discretised(graph)
    samples = as_data(data, steps.inputs[0])
    return build_steps(graph, steps, BOARD, samples), samples


def assert_all_equal(made: Build, samples: Any, number: int, reference: int = 2) -> None:
    assert made.network is not None
    found = verify(made.program, samples, samples=number)
    assert (found.differences, found.samples) == ((), number)
    assert verify_reference(made.program, made.network, samples, samples=reference).mismatches == 0


@pytest.mark.needs_unicorn
def test_the_demo_network(examples_dir: Path) -> None:
    made, samples = build(examples_dir / "digits.nir", examples_dir / "digits_test.npz")
    assert_all_equal(made, samples, 5)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.needs_unicorn
@pytest.mark.parametrize(
    ("name", "reset"),
    [("bias_zero", "zero"), ("noBias_subtract", "subtract")],
)
def test_the_braille_networks(data_dir: Path, name: str, reset: str) -> None:
    x = np.load(data_dir / "braille" / "braille_validation.npz")["x"][:50]
    file = data_dir / "nir" / f"braille_noDelay_{name}.nir"
    made, samples = build(file, {"x": x}, dt=1e-4, reset=reset, events="binary")
    assert_all_equal(made, samples, 50, 10)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.needs_unicorn
def test_the_convolutional_network(data_dir: Path) -> None:
    files = sorted((data_dir / "nmnist" / "train").glob("*/*.bin"))[::120]
    x = np.stack([binned(file) for file in files])
    made, samples = build(data_dir / "nir" / "cnn_sinabs.nir", {"x": x}, dt=1.0, reset="subtract")
    assert_all_equal(made, samples, 5, 2)


@pytest.mark.slow
def test_a_million_neurons_are_mapped_to_boards() -> None:
    """Connections to neighbours and at random; every key is delivered, or compiling fails."""
    n, each = 10**6, 8
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(n), each)
    source = (target + rng.normal(0, 2000, n * each).astype(int)) % n
    far = rng.random(n * each) < 0.02
    source[far] = rng.integers(0, n, int(far.sum()))
    weight = sparse.csc_matrix((np.ones(n * each, np.int8), (target, source)), (n, n))
    start = sparse.csc_matrix((np.ones(9, np.int8), (np.arange(9) * 111_111, np.arange(9))), (n, 9))
    network = (
        ChipBuilder().input("x", 9)
        .population("n", n, "lif_curr_exp", threshold=4, alpha=0.9, exc_decay=0.5, inh_decay=0.5)
        .connect("x", "n", start).connect("n", "n", weight, delay=3).build()
    )  # fmt: skip
    program = compile_chip(network, load_board("spinnaker2-48"), events="binary")
    limits = limits_of(program.board)
    assert sum(e.n for e in program.elements) == n + 9
    assert sum(int(e.rows.starts[-1]) for e in program.elements) == weight.nnz + 9
    assert max(e.data_bytes for e in program.elements) <= limits.data_bytes
    assert max(len(t.key) for t in program.tables) <= limits.entries


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(spiking_graphs(), st.sampled_from(["neuron", "population", "import"]))
def test_random_networks_are_right_or_refused_with_a_reason(graph: Graph, kind: Any) -> None:
    graph = accepted(graph, BOARD)
    try:
        made = build_steps(graph, steps_of(graph), BOARD, None, kind)
    except ModelError as error:
        assert all(problem.hint for problem in error.problems), str(error)
        return
    program, spikes = made.program, events(made.program.port, batch=2, steps=8)
    probes = program.variables
    trace = emulate(program, spikes, probes=probes)
    assert made.network is not None
    expected = reference(program, made.network, spikes, probes)
    assert compare(trace, expected, "definition").differences == ()
    assert compare(trace, interpret(program, spikes, probes=probes), "tables").differences == ()
