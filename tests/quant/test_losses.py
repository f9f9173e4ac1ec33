"""What small weights and slow neurons lose: kept where the machine can, said where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import snnstack
from snnstack.errors import ModelError
from snnstack.passes.options import Options
from snnstack.quant.losses import from_settings, warnings_of
from snnstack.quant.steady import rounded

BOARDS = ("nucleo-l4r5zi", "microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")
OWN_ARITHMETIC = ("nucleo-l4r5zi", "neurram")
DT = 1e-3


def write(path: Path, weight: Any, **kinds: Any) -> Path:
    """A dense layer of `nir.LIF` (or of `nir.CubaLIF`, with `tau_syn`)."""
    n, sources = weight.shape
    zero, one = np.zeros(n), np.ones(n)
    cuba = "tau_syn" in kinds
    common = {"r": one, "v_leak": zero, "v_threshold": one, "v_reset": zero, **kinds}
    tau = common.pop("tau")
    neurons = nir.CubaLIF(tau_mem=tau, **common) if cuba else nir.LIF(tau=tau, **common)
    nodes = {
        "input": nir.Input(input_type={"input": np.array([sources])}),
        "fc": nir.Linear(weight=weight),
        "lif": neurons,
        "output": nir.Output(output_type={"output": np.array([n])}),
    }
    nir.write(path, nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")]))
    return path


def counts(program: Any, x: Any) -> list[int]:
    trace = snnstack.emulate(program, {"x": x})
    return [int(k) for k in trace.spikes["lif"].per_neuron()[0]]


def massive(path: Path) -> tuple[Path, Any, list[int]]:
    """One huge weight beside an ordinary one: the file, input, and spikes of a plain loop."""
    n, weight = 2, np.array([[9e3], [0.62]])
    kinds = {"tau": np.full(n, 20e-3), "tau_syn": np.full(n, 5e-3), "w_in": np.full(n, 5.0)}
    write(path, weight, **kinds, r=np.full(n, 20.0))
    x = np.zeros((1, 160, 1), np.uint8)
    x[0, ::32] = 1
    v, i, fired = np.zeros(n), np.zeros(n), np.zeros(n, int)
    for t in range(160):
        i = i * 0.8 + 0.2 * 5 * weight[:, 0] * x[0, t, 0]
        v = v * 0.95 + 0.05 * 20 * i
        fired, v = fired + (v > 1), np.where(v > 1, 0.0, v)
    return path, x, fired.tolist()


@pytest.mark.parametrize("granularity", ["neuron", "population"])
@pytest.mark.parametrize("board", BOARDS)
def test_a_neuron_beside_a_massive_weight_still_fires(
    tmp_path: Path, board: str, granularity: Any
) -> None:
    file, x, wanted = massive(tmp_path / "n.nir")
    options = Options(dt=DT, reset="zero")
    program = snnstack.compile(file, board, options=options, granularity=granularity)
    assert wanted[1] > 0 and counts(program, x) == wanted
    (layer,) = from_settings(program.settings)
    assert (layer.weights, layer.weights_lost, layer.unreachable) == (2, 0, 0)


def test_a_row_with_an_outlier_keeps_its_small_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0.02, 0.06, (6, 60))
    weight[::2, 3] = 500.0
    file = write(tmp_path / "n.nir", weight, tau=np.full(6, 20e-3), r=np.full(6, 20.0))
    lost = {}
    for board in ("nucleo-l4r5zi", "oheo-gulch", "spinnaker2-chip", "neurram"):
        (layer,) = from_settings(snnstack.compile(file, board, options=Options(dt=DT)).settings)
        lost[board] = layer.weights_lost
        assert layer.apart == (0 if board == "neurram" else 3)
    assert lost["nucleo-l4r5zi"] < 5 < lost["spinnaker2-chip"] < lost["neurram"]


def test_what_a_machine_cannot_keep_is_said_and_refused_if_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weight = np.full((4, 40), 0.05)
    weight[0, 0] = 900.0
    file = write(tmp_path / "n.nir", weight, tau=np.full(4, 20e-3), r=np.full(4, 20.0))
    options = Options(dt=DT, events="binary")
    program = snnstack.compile(file, "neurram", options=options)
    (layer,) = from_settings(program.settings)
    assert (layer.weights_lost, layer.deaf) == (39, 1)
    (said,) = warnings_of(program.settings)
    # of that row 39 * 0.05 of 39 * 0.05 + 16 * 0.05: an outlier counts as 16 medians
    assert str(said) == (
        "lif: 39 of 160 weights become 0, 22.3% of the expected drive; 1 of 4 neurons lose up to "
        "71%, a weight of up to 0.05 thresholds (largest and smallest weights are too far apart)"
    )
    assert str(said) in caplog.messages
    with pytest.raises(ModelError) as refused:
        snnstack.compile(file, "neurram", options=options, strict=True)
    assert refused.value.problems == (said,)


def test_strict_takes_what_loses_nothing(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).normal(0.1, 0.2, (5, 20))
    file = write(tmp_path / "n.nir", weight, tau=np.full(5, 20e-3), r=np.full(5, 20.0))
    for board in BOARDS:
        assert snnstack.compile(file, board, options=Options(dt=DT), strict=True)


def slow(path: Path, taus: Any, drive: float, steps: int) -> tuple[Path, Any, list[int]]:
    """Constant input a little above the threshold; the spikes of a plain loop."""
    file = write(path, np.full((len(taus), 1), drive), tau=taus)
    v, fired = np.zeros(len(taus)), np.zeros(len(taus), int)
    for _ in range(steps):
        v = v + DT / taus * (drive - v)
        fired, v = fired + (v > 1), np.where(v > 1, 0.0, v)
    return file, np.ones((1, steps, 1), np.uint8), fired.tolist()


@pytest.mark.parametrize("board", [*OWN_ARITHMETIC, "spinnaker2-chip"])
def test_slow_neurons_keep_their_spikes(tmp_path: Path, board: str) -> None:
    taus = np.array([0.1, 0.4, 1.0, 3.0, 7.0])
    file, x, wanted = slow(tmp_path / "n.nir", taus, 1.2, 20000)
    program = snnstack.compile(file, board, options=Options(dt=DT, events="binary"))
    assert min(wanted) > 0 and counts(program, x) == wanted
    assert warnings_of(program.settings) == ()


def test_loihi_keeps_the_steady_state_and_says_what_it_changes(tmp_path: Path) -> None:
    """Its decays have 12 bits: 6 s becomes 4.096 s. What stays below in float stays below."""
    taus = np.array([0.5, 6.0])
    options = Options(dt=DT, events="binary")
    for drive, fires in ((0.97, False), (1.05, True)):
        file, x, wanted = slow(tmp_path / f"{fires}.nir", taus, drive, 25000)
        program = snnstack.compile(file, "oheo-gulch", options=options)
        assert [k > 0 for k in wanted] == [k > 0 for k in counts(program, x)] == [fires] * 2
    (layer,) = from_settings(program.settings)
    assert abs(layer.steady_state_error) < 1e-9
    assert layer.time_constant_error == pytest.approx(4.096 / 6.0 - 1.0)
    said = [str(problem) for problem in warnings_of(program.settings)]
    assert said == [
        "lif: a time constant changes by -32% (the decay is rounded: use a larger time step)"
    ]


def test_a_decay_that_is_not_one_never_becomes_one() -> None:
    factor = np.array([1.0, 1.0 - 1e-12, 0.5])
    assert rounded(factor, 16).tolist() == [65536, 65535, 32768]


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", ["microbit-v1", "nucleo-l4r5zi", "mps3-an547"])
def test_firmware_computes_fine_decays_and_wide_weights(tmp_path: Path, board: str) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0.4, 1.0, (9, 12))
    weight[2, 5], weight[7, 1] = 4e3, -2e5
    tau, syn = np.geomspace(0.05, 20.0, 9), np.geomspace(2.0, 0.02, 9)
    kinds = {"tau": tau, "tau_syn": syn, "w_in": np.full(9, 3.0)}
    file = write(tmp_path / "layer.nir", weight, **kinds)
    program = snnstack.compile(file, board, options=Options(dt=DT))
    (layer,) = from_settings(program.settings)
    assert layer.apart == 2 and program.layers[0].alpha_bits == 32
    x = (rng.random((2, 120, 12)) < 0.3).astype(np.uint8)
    assert snnstack.verify(program, {"x": x}).mismatches == 0


@pytest.mark.parametrize("board", OWN_ARITHMETIC)
def test_strict_takes_a_neuron_whose_every_spike_is_thousands_of_thresholds(
    tmp_path: Path, board: str
) -> None:
    """Its dead band is more than half a threshold, and nothing beside what it is driven by."""
    file, x, fired = massive(tmp_path / "n.nir")
    program = snnstack.compile(file, board, options=Options(dt=DT), strict=True)
    assert counts(program, x) == fired


@pytest.mark.parametrize("board", OWN_ARITHMETIC)
def test_weights_that_a_neuron_cannot_notice_are_no_loss(tmp_path: Path, board: str) -> None:
    """Beside a constant input; with weights a million times as large they are one."""
    n, steps = 3, 4000
    tau, bias = np.array([20e-3, 20e-3, 1.0]), np.array([1.02, 0.98, 1.02])
    v, fired = np.zeros(n), np.zeros(n, int)
    for _ in range(steps):
        v = v + DT / tau * (bias - v)
        fired, v = fired + (v > 1), np.where(v > 1, 0.0, v)
    for weight, lost in ((1e-9, False), (1e-3, True)):
        nodes = {
            "input": nir.Input(input_type={"input": np.array([1])}),
            "fc": nir.Affine(weight=np.full((n, 1), weight), bias=bias),
            "lif": nir.LIF(tau, np.ones(n), np.zeros(n), np.ones(n), np.zeros(n)),
            "output": nir.Output(output_type={"output": np.array([n])}),
        }
        edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
        nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, edges))
        program = snnstack.compile(tmp_path / "n.nir", board, options=Options(dt=DT))
        (layer,) = from_settings(program.settings)
        assert counts(program, np.zeros((1, steps, 1), np.uint8)) == fired.tolist()
        assert not lost or layer.weights_lost == 0 or list(layer.warnings())
        if not lost:
            snnstack.compile(tmp_path / "n.nir", board, options=Options(dt=DT), strict=True)


@pytest.mark.parametrize("board", ["oheo-gulch", "loihi1"])
@pytest.mark.parametrize("scale", [1e5, 1e7])
def test_weights_beyond_every_register_are_refused_by_name(
    tmp_path: Path, board: str, scale: float
) -> None:
    """Computed as the plain loop says, or named with their size and what to do."""
    n, weight = 2, np.array([[scale], [0.62]])
    kinds = {"tau": np.full(n, 20e-3), "tau_syn": np.full(n, 5e-3), "w_in": np.full(n, 5.0)}
    write(tmp_path / "n.nir", weight, **kinds, r=np.full(n, 20.0))
    with pytest.raises(ModelError) as error:
        snnstack.compile(tmp_path / "n.nir", board, options=Options(dt=DT))
    (problem,) = error.value.problems
    assert problem.where == "lif" and problem.hint == "rescale the layer"
    assert problem.what.startswith(f"weights up to {scale:.6g} ")


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "spinnaker2-chip", "neurram"])
def test_weights_that_are_a_few_units_are_said(tmp_path: Path, board: str) -> None:
    """0.6 beside 100 in 127 steps is 0.787: 31 % more, where one scale is for all."""
    kinds = {"tau": np.full(2, 20e-3), "tau_syn": np.full(2, 5e-3), "w_in": np.full(2, 5.0)}
    file = write(tmp_path / "net.nir", np.array([[100.0], [0.6]]), **kinds, r=np.full(2, 20.0))
    said, expected = Options(dt=DT), round(0.6 * 127 / 100) * 100 / 127 / 0.6 - 1
    one = snnstack.build(file, board, None, said, granularity="population").network
    (layer,) = from_settings(one.settings)
    assert layer.misread == 1 and layer.drive_changed == pytest.approx(expected, abs=0.01)
    text = [str(problem) for problem in warnings_of(one.settings)]
    assert any("change the expected input of 1 of 2 neurons, by up to 31%" in t for t in text)
    (layer,) = from_settings(snnstack.build(file, board, None, said).network.settings)
    assert layer.misread == 0 and layer.drive_changed < 0.01
