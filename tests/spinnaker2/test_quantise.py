"""From a model to the chip: rules of import, fitted scales, applications, delays, constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.api import emulate
from snnstack.backends.spinnaker2.numerics import NUMERICS
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.board import load_board
from snnstack.building import build_steps
from snnstack.compilers.spinnaker2.network import settled, start_of
from snnstack.errors import ModelError, TargetError
from snnstack.ir.nodes import IF, LIF, Affine, Conv2d, CubaLIF, Delay, Linear
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.quant.network import quantized_lif
from snnstack.report.readout import accuracy, aligned, classes
from snnstack.samples import as_data
from snnstack.trace import Spikes
from tests.conformance.networks import _neuron, _weight, chain
from tests.strategies import DT

BOARD = load_board("spinnaker2-chip")
FILES = {"zero": "braille_noDelay_bias_zero", "subtract": "braille_noDelay_noBias_subtract"}


def built(
    graph: Any, granularity: Any = "neuron", calibrate: Any = None, board: Any = BOARD
) -> Any:
    graph = load(graph)
    return build_steps(graph, discretised(graph), board, calibrate, granularity)


def test_import_scales_by_the_largest_weight_of_all_and_truncates() -> None:
    forward = Affine(np.array([[0.5, -1.0], [0.25, 0.1]]), np.array([0.3, -0.3]))
    back = Linear(np.array([[0.0, -0.77], [2.0, 0.0]]))
    graph = chain(forward, _neuron(CubaLIF, (2,), compare="ge"), shape=(2,), events="binary",
                  rec=("n1", "n1", back))  # fmt: skip
    network = built(graph, "import").network
    weights = {p.source: p.synapses.weight for p in network.projections}
    np.testing.assert_array_equal(weights["x"], np.trunc(np.array(forward.weight) * 63.5))
    np.testing.assert_array_equal(weights["n1"], np.trunc(np.array(back.weight) * 63.5))
    p = built(graph, "import").program.network.population("n1")
    s = 63.5 / (DT / (8 * DT) * 1.0) / (DT / (4 * DT) * 2.0)
    np.testing.assert_allclose(p.threshold, np.full(2, s), rtol=1e-6)
    leak = DT / (8 * DT) * 0.02 * s
    offset = leak + np.array([0.3, -0.3]) * 2.0 * 63.5 / (DT / (4 * DT) * 2.0)
    np.testing.assert_allclose(p.i_offset, offset, rtol=1e-6)
    assert p.v_init is None
    assert p.application == "lif_curr_exp_no_delay"


def test_import_is_refused_where_there_is_no_importer() -> None:
    graph = chain(Linear(np.ones((2, 3))), _neuron(LIF, (2,)), shape=(3,))
    with pytest.raises(TargetError) as error:
        built(graph, "import", board=load_board("nucleo-l4r5zi"))
    assert str(error.value) == (
        "mcu: has no importer of its own whose rules could be followed "
        "(use --granularity neuron or population)"
    )


def test_a_strict_comparison_becomes_the_next_float() -> None:
    graph = chain(Linear(np.ones((1, 1))), _neuron(IF, (1,)), shape=(1,), events="binary")
    strict = built(graph).program.network.populations[0].threshold
    graph = chain(
        Linear(np.ones((1, 1))), _neuron(IF, (1,), compare="ge"), shape=(1,), events="binary"
    )
    equal = built(graph).program.network.populations[0].threshold
    np.testing.assert_array_equal(strict, np.nextafter(equal, np.float32(np.inf)))


@pytest.mark.parametrize(
    ("late", "events", "application", "relays"),
    [(0, "binary", "lif_no_delay", 0), (3, "binary", "lif_no_delay", 4), (3, "count", "lif", 0)],
)
def test_delays_are_relays_where_they_are_cheap_else_fields(
    late: int, events: str, application: str, relays: int
) -> None:
    graph = chain(
        Delay(np.full(4, late * DT)), Linear(_weight(1, 3, 4)), _neuron(LIF, (3,)),
        shape=(4,), events=events,
    )  # fmt: skip
    program = built(graph).program
    assert program.network.population("n2").application == application
    assert sum(program.settings.get("relay_neurons", {}).values()) == relays
    most = max(int(np.abs(c.synapses.weight).max()) for c in program.network.into("n2"))
    assert most <= (15 if application == "lif" else 127)
    assert most > (15 if application != "lif" else 7)


def test_kernels_are_shared_only_where_the_chip_can() -> None:
    plain = Conv2d(None, _weight(1, 3, 2, 3, 3), (1, 1), (1, 1), (1, 1), 1, np.zeros(3))
    dilated = Conv2d(None, _weight(1, 3, 2, 3, 3), (1, 1), (2, 2), (2, 2), 1, np.zeros(3))
    for conv, application in ((plain, "lif_conv2d"), (dilated, "lif_no_delay")):
        graph = chain(conv, _neuron(IF, (3, 6, 6)), shape=(2, 6, 6), events="binary")
        program = built(graph).program
        assert program.network.population("n1").application == application
        assert any(e.kernels for e in program.elements) == (application == "lif_conv2d")


def test_refractory_periods_are_refused() -> None:
    graph = chain(Linear(np.ones((2, 3))), _neuron(LIF, (2,), refractory=2 * DT), shape=(3,))
    with pytest.raises(ModelError) as error:
        built(graph)
    assert str(error.value) == (
        "n1: refractory period of 2 steps, the neuron applications have none "
        "(train without one, or compile for another target)"
    )


def test_constant_input_begins_with_the_first_spikes() -> None:
    """With v_init a silent neuron behind two layers is where the float neuron is."""
    n = 1
    zero = np.zeros(n)
    for alpha, lag in ((0.9, 2), (1.0, 3)):
        p = quantized_lif(
            "n", (n,), np.full(n, alpha), None, 0, np.full(n, 1.5), zero, None, zero, np.ones(n)
        )
        v = start_of(p, lag)
        assert v is not None
        for _ in range(lag):
            v = alpha * v + settled(p)
        np.testing.assert_allclose(v, 0, atol=1e-5)


def test_v_init_makes_up_for_the_current_that_builds_up() -> None:
    """Least squares: the sum of squared membrane errors is smaller than without, by far."""
    alpha, beta, bias = 0.95, 0.6, 1.0
    one = np.ones(1)
    p = quantized_lif(
        "n", (1,), alpha * one, beta * one, 0, bias * one, 0 * one, None, 0 * one, one
    )
    i = v = 0.0
    start = start_of(p, 0)
    assert start is not None
    ours, plain, errors = float(start[0]), 0.0, []
    for _ in range(100):
        i = beta * i + bias
        v = alpha * v + i
        ours, plain = (alpha * u + float(settled(p)[0]) for u in (ours, plain))
        errors.append(((ours - v) ** 2, (plain - v) ** 2))
    left, right = np.sum(errors, axis=0)
    assert left < 0.1 * right


@pytest.fixture(scope="module")
def samples(data_dir: Path) -> Any:
    return dict(np.load(data_dir / "braille" / "braille_validation.npz"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("reset", "granularity", "least"),
    [("zero", "neuron", 0.955), ("subtract", "neuron", 0.965),
     ("zero", "import", 0.905), ("subtract", "import", 0.965)],
)  # fmt: skip
def test_braille_keeps_its_accuracy(
    data_dir: Path, samples: Any, reset: Any, granularity: Any, least: float
) -> None:
    said = Options(dt=1e-4, integrator="euler", reset=reset, events="binary")
    graph = load(data_dir / "nir" / f"{FILES[reset]}.nir", said)
    steps = discretised(graph)
    data = as_data(samples, steps.inputs[0])
    program = build_steps(graph, steps, BOARD, data, granularity).program
    trace = aligned(emulate(program, data), data.spikes.steps)
    assert (accuracy(classes(trace, program.outputs), data.labels) or 0) >= least


@pytest.mark.recordings
def test_the_imported_braille_network_has_the_chips_spikes(data_dir: Path) -> None:
    """The whole way: NIR file, rules of import, compiler, emulator."""
    file = np.load(data_dir / "recordings" / "spinnaker2_braille_zero.npz")
    said = Options(dt=1e-4, integrator="euler", reset="zero", events="binary")
    graph = load(data_dir / "nir" / f"{FILES['zero']}.nir", said)
    program = build_steps(graph, discretised(graph), BOARD, None, "import").program
    spikes = Spikes.from_dense(file["input_spikes"][None].astype(np.uint8))
    hidden = program.network.populations[0].name
    trace = aligned(emulate(program, spikes), spikes.steps)
    chip = run_chip(program.network, spikes.window(0, spikes.steps + program.drain))
    expected = file["hidden_spikes"]
    lag = program.lag[hidden]
    np.testing.assert_array_equal(chip.spikes[hidden].dense()[0, : len(expected)], expected)
    np.testing.assert_array_equal(trace.spikes[hidden].dense()[0, :-lag], expected[lag:])


def test_numerics_hold_the_widest_weights() -> None:
    assert (NUMERICS.weight_min, NUMERICS.weight_max) == (-127, 127)
