"""An exported step, run again and again by onnxruntime, is the step graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snnstack
from snnstack.cli import main
from snnstack.engine.steps import run_step_graph
from snnstack.errors import ModelError
from snnstack.frontends.onnx_export import run_onnx, to_model
from snnstack.ir.nodes import LIF, Affine
from snnstack.ir.step import StepGraph
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from snnstack.samples import as_data
from tests.conformance.networks import chain, events, spiking_graphs, steps_of


def mismatches(steps: StepGraph, spikes: Any, run: Any = run_steps) -> int:
    probes = [(n, "v") for n in steps.outputs if steps.population(n).threshold is None]
    trace = run(steps, spikes, probes)
    found = run_onnx(to_model(steps), steps, spikes.dense())
    wrong = 0
    for name in steps.outputs:
        if name in trace.spikes:
            flat = trace.spikes[name].dense().reshape(found[name].shape)
            wrong += int(np.count_nonzero(flat != found[name]))
        else:
            assert np.allclose(trace.states[name, "v"], found[name], rtol=1e-9, atol=1e-9)
    return wrong


@settings(max_examples=25)
@given(graph=spiking_graphs(), seed=st.integers(0, 1000))
def test_random_networks(graph: Any, seed: int) -> None:
    steps = steps_of(graph)
    assert mismatches(steps, events(steps.inputs[0], seed, batch=2, steps=12)) == 0


KINDS = [
    ("subtract", "now"), ("subtract", "next"), ("subtract", "recheck"), ("zero", "now"),
    ("zero", "next"), ("v_reset", "next_all"), ("none", "now"),
]  # fmt: skip


@pytest.mark.parametrize(("reset", "time"), KINDS)
@pytest.mark.parametrize("compare", ["gt", "ge"])
def test_resets(reset: Any, time: Any, compare: Any) -> None:
    rng, ones = np.random.default_rng(1), np.ones(6)
    neuron = LIF(
        tau=8.0 * ones, r=8.0 * ones, v_leak=0.1 * ones, v_reset=-0.2 * ones, v_threshold=ones,
        reset=reset, reset_time=time, compare=compare,
    )  # fmt: skip
    weight = Affine(rng.normal(0.2, 0.6, (6, 5)), rng.normal(0, 0.1, 6))
    steps = steps_of(chain(weight, neuron, shape=(5,)).with_(dt=1.0))
    spikes = events(steps.inputs[0], steps=60)
    assert mismatches(steps, spikes) == 0
    assert run_steps(steps, spikes).spikes[steps.outputs[0]].total > 50


def test_a_refractory_time() -> None:
    ones = np.ones(4)
    neuron = LIF(tau=5 * ones, r=5 * ones, v_leak=0 * ones, v_reset=0 * ones, v_threshold=ones,
                 refractory=3.0)  # fmt: skip
    steps = steps_of(
        chain(Affine(np.full((4, 3), 0.7), np.zeros(4)), neuron, shape=(3,)).with_(dt=1.0)
    )
    assert mismatches(steps, events(steps.inputs[0], steps=40)) == 0


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "reset"),
    [("braille_noDelay_bias_zero", "zero"), ("braille_noDelay_noBias_subtract", "subtract")],
)
def test_the_braille_networks(data_dir: Path, file: str, reset: Any) -> None:
    steps = discretised(load(data_dir / "nir" / f"{file}.nir", Options(dt=1e-4, reset=reset)))
    with np.load(data_dir / "braille" / "braille_validation.npz") as arrays:
        data = as_data({"x": arrays["x"][:200]}, steps.inputs[0])
    assert mismatches(steps, data.spikes, run_step_graph) == 0


@pytest.mark.data
def test_the_event_camera_network(data_dir: Path) -> None:
    model = data_dir / "nir" / "cnn_sinabs.nir"
    steps = discretised(load(model, Options(dt=1.0, reset="subtract")))
    text = f"tonic:NMNIST?path={data_dir}/nmnist&bin=1ms&steps=100"
    data = as_data(text, steps.inputs[0]).first(3)
    assert mismatches(steps, data.spikes, run_step_graph) == 0


def test_the_verb_export(examples_dir: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "digits.onnx"
    arguments = ["export", str(examples_dir / "digits.nir"), "-o", str(out), "--json"]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] == ["pixels", "lif1.v", "lif2.v"]
    assert found["outputs"] == ["lif2.out", "lif1.v.next", "lif2.v.next"]
    model = onnx.load(out)
    steps = discretised(load(examples_dir / "digits.nir"))
    with np.load(examples_dir / "digits_test.npz") as arrays:
        x = arrays["x"][:50]
    result = run_onnx(model, steps, x)["lif2"]
    expected = run_steps(steps, as_data({"x": x}, steps.inputs[0]).spikes).spikes["lif2"]
    assert np.array_equal(result, expected.dense())
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    assert "already exists" in capsys.readouterr().err


def test_two_inputs_are_refused() -> None:
    steps = discretised(snnstack.load(Path(__file__).parents[2] / "examples" / "digits.nir"))
    double = steps.with_(inputs=(*steps.inputs, steps.inputs[0]))
    with pytest.raises(ModelError) as error:
        snnstack.to_onnx(double)
    assert str(error.value) == "network: has 2 inputs, can export 1"
