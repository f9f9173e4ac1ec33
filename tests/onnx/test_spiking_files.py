"""One step of a spiking network in ONNX: read, compared with onnxruntime, or refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from torch import nn

import snnstack
from snnstack.agreement import proved
from snnstack.errors import ModelError
from snnstack.frontends.onnx import read
from snnstack.frontends.onnx_export import to_model
from snnstack.frontends.onnx_step import StepFile
from snnstack.ir.nodes import LIF, Affine, Conv2d
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from tests.conformance.networks import chain, events, spiking_graphs, steps_of

MODULE = "give the trained module itself: snnstack.load(module, sample)"
pytestmark = pytest.mark.filterwarnings("ignore")


def spikes(*shape: int) -> Any:
    return (np.random.default_rng(0).random((30, 4, *shape)) < 0.5).astype(np.float32)


def exported(path: Path, module: nn.Module, *shapes: tuple[int, ...], dynamo: bool = False) -> Path:
    arguments = tuple(torch.zeros(1, *shape) for shape in shapes)
    torch.onnx.export(module.eval(), arguments, path, dynamo=dynamo, verbose=False)
    return path


def agreement(graph: Any) -> tuple[int, int]:
    noted = graph.metadata["agreement"]
    assert noted["framework"] == "onnxruntime"
    return noted["slots"], noted["mismatches"]


# Our own files


@settings(max_examples=20)
@given(graph=spiking_graphs())
def test_what_was_exported_comes_back(tmp_path_factory: Any, graph: Any) -> None:
    steps = steps_of(graph)
    path = tmp_path_factory.mktemp("own") / "own.onnx"
    onnx.save(to_model(steps), path)
    assert agreement(load(path))[1] == 0


KINDS = [
    ("subtract", "now"), ("subtract", "next"), ("subtract", "recheck"), ("zero", "now"),
    ("zero", "next"), ("v_reset", "next_all"), ("none", "now"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reset", "time", "refractory"),
    [*((*kind, 0) for kind in KINDS), ("subtract", "now", 2), ("zero", "now", 2)],
)
def test_every_reset_comes_back(tmp_path: Path, reset: Any, time: Any, refractory: int) -> None:
    rng, ones = np.random.default_rng(1), np.ones(6)
    neuron = LIF(
        tau=8.0 * ones, r=8.0 * ones, v_leak=0.1 * ones, v_reset=-0.2 * ones, v_threshold=ones,
        reset=reset, reset_time=time, compare="ge", refractory=float(refractory),
    )  # fmt: skip
    weight = Affine(rng.normal(0.2, 0.6, (6, 5)), rng.normal(0, 0.1, 6))
    steps = steps_of(chain(weight, neuron, shape=(5,)).with_(dt=1.0))
    path = tmp_path / "own.onnx"
    onnx.save(to_model(steps), path)
    back = discretised(load(path))
    (found,) = back.populations
    (given,) = steps.populations
    assert (found.name, found.reset_time, found.compare) == (given.name, time, "ge")
    assert (found.reset, found.refractory, back.dt) == (given.reset, refractory, 1.0)
    data = events(steps.inputs[0], steps=60)
    one, other = (run_steps(s, data).spikes[s.outputs[0]].dense() for s in (steps, back))
    assert np.array_equal(one, other) and one.sum() > 20


def test_the_digits_network_comes_back(examples_dir: Path, tmp_path: Path) -> None:
    graph = load(examples_dir / "digits.nir")
    path = tmp_path / "digits.onnx"
    onnx.save(snnstack.to_onnx(graph), path)
    back = snnstack.load(path)
    assert list(back.inputs()) == ["pixels"]
    with np.load(examples_dir / "digits_test.npz") as arrays:
        x = np.moveaxis(arrays["x"][:40], 0, 1)
    assert agreement(snnstack.load(path, x))[1] == 0
    assert [p.name for p in discretised(back).populations] == ["lif1", "lif2"]


@pytest.mark.data
def test_the_event_camera_network_comes_back(data_dir: Path, tmp_path: Path) -> None:
    graph = load(data_dir / "nir" / "cnn_sinabs.nir", Options(dt=1.0, reset="subtract"))
    path = tmp_path / "cnn.onnx"
    onnx.save(snnstack.to_onnx(graph), path)
    back = load(path)
    assert agreement(back)[1] == 0
    shapes = [p.shape for p in discretised(back).populations]
    assert shapes == [p.shape for p in discretised(graph).populations]


# snnTorch's


class Net(nn.Module):
    """Two layers of one kind of neuron with explicit states."""

    def __init__(self, kind: str, reset: str, conv: bool, threshold: float, delay: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        said: Any = {"reset_mechanism": reset, "threshold": threshold, "reset_delay": delay}
        make: Any = snn.Leaky if kind == "Leaky" else lambda **k: snn.Synaptic(alpha=0.7, **k)
        pooled = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.AvgPool2d(2))
        self.first = pooled if conv else nn.Linear(16, 12)
        self.second = nn.Linear(12, 5)
        self.lif1 = make(beta=0.9, **said)
        self.lif2 = make(beta=torch.rand(5) * 0.5 + 0.4, **said)
        self.second.weight.data *= 3

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        half = len(states) // 2
        spk, *one = self.lif1(self.first(x), *states[:half])
        out, *two = self.lif2(self.second(spk.flatten(1)), *states[half:])
        return (out, *one, *two)


RESET_DELAYS = [(False, True), (False, False), (True, True)]  # dynamo cannot export the fourth


@pytest.mark.parametrize(("dynamo", "delay"), RESET_DELAYS)
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("conv", [False, True])
def test_snntorch(
    tmp_path: Path, kind: str, reset: str, conv: bool, dynamo: bool, delay: bool
) -> None:
    count = 1 if kind == "Leaky" else 2
    shape, first = ((1, 4, 4), (3, 2, 2)) if conv else ((16,), (12,))
    path = tmp_path / "step.onnx"
    threshold = 0.6 if conv else 1.0
    module = Net(kind, reset, conv, threshold, delay)
    exported(path, module, shape, *[first] * count, *[(5,)] * count, dynamo=dynamo)
    graph = snnstack.load(path, spikes(*shape))
    assert agreement(graph) == (30 * 4 * 17, 0)
    late = "now" if reset == "none" else "next" if delay else "recheck"
    if reset == "zero":
        late = "now" if not delay else "next" if kind == "Leaky" else "next_all"
    assert {p.reset_time for p in discretised(graph).populations} == {late}


class Recurrent(nn.Module):
    def __init__(self, everywhere: bool) -> None:
        super().__init__()
        said: Any = {"linear_features": 5} if everywhere else {"all_to_all": False}
        self.fc, self.lif = nn.Linear(6, 5), snn.RLeaky(beta=0.9, **said)

    def forward(self, x: Any, spk: Any, mem: Any) -> Any:
        return self.lif(self.fc(x) * 3, spk, mem)


@pytest.mark.parametrize("everywhere", [True, False])
def test_spikes_as_a_state_are_a_recurrence(tmp_path: Path, everywhere: bool) -> None:
    path = exported(tmp_path / "step.onnx", Recurrent(everywhere), (6,), (5,), (5,))
    graph = snnstack.load(path, spikes(6))
    assert agreement(graph)[1] == 0
    assert [q.delay for q in discretised(graph).projections if q.source == "lif"] == [1]


class Readout(nn.Module):
    """A batch normalisation, a dropout, a factor, and a last layer that does not fire."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3)
        self.lif, self.drop = snn.Leaky(beta=0.9, threshold=0.5), nn.Dropout()
        self.fc = nn.Linear(12, 3)
        self.out = snn.Leaky(beta=0.95, reset_mechanism="none")
        nn.init.uniform_(self.norm.running_var, 0.2, 1.0)
        nn.init.uniform_(self.norm.bias)

    def forward(self, x: Any, one: Any, two: Any) -> Any:
        spk, one = self.lif(self.norm(self.conv(x)), one)
        _, two = self.out(self.fc(self.drop(spk).flatten(1)) * 2, two)
        return two, one, two


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_membrane_as_the_result(tmp_path: Path, dynamo: bool) -> None:
    path = tmp_path / "step.onnx"
    exported(path, Readout(), (1, 4, 4), (3, 2, 2), (3,), dynamo=dynamo)
    graph = snnstack.load(path, spikes(1, 4, 4))
    assert agreement(graph) == (30 * 4 * 12, 0)
    steps = discretised(graph)
    assert steps.population(steps.outputs[0]).threshold is None


# SpikingJelly's


@pytest.mark.parametrize("v_reset", [0.0, None, -0.2])
@pytest.mark.parametrize("kind", ["IF", "LIF", "LIF, input decays"])
def test_spikingjelly(tmp_path: Path, kind: str, v_reset: float | None) -> None:
    from spikingjelly.activation_based import neuron

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.node = nn.Linear(6, 5), neuron.IFNode(v_reset=v_reset)
            if kind != "IF":
                decays = kind.endswith("decays")
                self.node = neuron.LIFNode(tau=3.0, v_reset=v_reset, decay_input=decays)

        def forward(self, x: Any, v: Any) -> Any:
            self.node.v = v
            return self.node(self.fc(x) * 4), self.node.v

    path = exported(tmp_path / "step.onnx", Step(), (6,), (5,), dynamo=True)
    graph = snnstack.load(path, spikes(6))
    assert agreement(graph) == (30 * 4 * 5, 0)
    assert discretised(graph).populations[0].compare == "ge"


class Jelly(nn.Module):
    """A layer and one of SpikingJelly's neurons, its states handed in and out."""

    def __init__(self, node: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self.fc, self.node, self.names = nn.Linear(6, 5), node, names

    def forward(self, x: Any, *states: Any) -> Any:
        for name, state in zip(self.names, states, strict=True):
            setattr(self.node, name, state)
        return self.node(self.fc(x) * 4), *(getattr(self.node, name) for name in self.names)


@pytest.mark.parametrize("v_reset", [0.0, None, -0.2])
@pytest.mark.parametrize("kind", ["PLIF", "PLIF, input does not decay", "CUBA"])
def test_learned_and_synaptic_decays_of_spikingjelly(
    tmp_path: Path, kind: str, v_reset: float | None
) -> None:
    from spikingjelly.activation_based import neuron

    torch.manual_seed(0)
    node: Any = neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_reset=v_reset)
    names: tuple[str, ...] = ("c", "v")
    if kind != "CUBA":
        decays = not kind.endswith("does not decay")
        node = neuron.ParametricLIFNode(init_tau=3.0, v_reset=v_reset, decay_input=decays)
        names = ("v",)
    shapes = [(6,), *[(5,) for _ in names]]
    path = exported(tmp_path / "step.onnx", Jelly(node, names), *shapes, dynamo=True)
    graph = snnstack.load(path, spikes(6))
    assert agreement(graph) == (30 * 4 * 5, 0)
    (found,) = discretised(graph).populations
    assert (found.compare, found.beta is None) == ("ge", kind != "CUBA")


# What is refused


@pytest.mark.parametrize(
    ("kind", "names", "what"),
    [("QIFNode", ("v",), "node_mul_2: Mul"), ("EIFNode", ("v",), "node_exp: Exp"),
     ("IzhikevichNode", ("v", "w"), "node_mul_2: Mul")],
)  # fmt: skip
def test_membranes_that_are_not_linear(
    tmp_path: Path, kind: str, names: tuple[str, ...], what: str
) -> None:
    from spikingjelly.activation_based import neuron

    module = Jelly(getattr(neuron, kind)(), names)
    shapes = [(6,), *[(5,) for _ in names]]
    text = refused(exported(tmp_path / "step.onnx", module, *shapes, dynamo=True))
    assert text.startswith(f"{what} is no operation of a neuron or layer that is read (")
    assert text.endswith(f"{MODULE})")


def refused(path: Path, sample: Any = None) -> str:
    with pytest.raises(ModelError) as error:
        snnstack.load(path, sample)
    return str(error.value)


class Step(nn.Module):
    """One layer; `change` does something to the membrane that is handed on."""

    def __init__(self, change: Any = None, state: bool = True) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 5), snn.Leaky(beta=0.9)
        self.change, self.state = change, state

    def forward(self, x: Any, mem: Any) -> Any:
        spk, mem = self.lif(self.fc(x), mem)
        mem = mem if self.change is None else self.change(mem)
        return (spk, mem) if self.state else (spk.sum(1), mem.sum(1))


def test_a_state_that_the_export_lost(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Linear(6, 5), snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(5, 3), snn.Leaky(beta=0.8, init_hidden=True, output=False),
    )  # fmt: skip
    path = exported(tmp_path / "lost.onnx", module, (6,))
    text = refused(path)
    assert text.startswith(f"{path}: has neurons that fire (")
    assert text.endswith(
        ") but no state as input: exporting lost it, so every step starts anew "
        f"(export one step with explicit state (init_hidden=False); better, {MODULE})"
    )


def test_an_operation_that_no_neuron_has(tmp_path: Path) -> None:
    text = refused(exported(tmp_path / "step.onnx", Step(torch.tanh), (6,), (5,)))
    assert text.startswith("/Tanh: Tanh is no operation of a neuron or layer that is read")
    assert text.endswith(f"{MODULE})")


def test_a_membrane_that_changes_otherwise(tmp_path: Path) -> None:
    text = refused(exported(tmp_path / "step.onnx", Step(lambda m: 0.5 * m), (6,), (5,)))
    assert text.startswith(
        "/lif/Greater: is a comparison of no neuron that is known (a step is read"
    )


def test_a_state_that_is_not_returned(tmp_path: Path) -> None:
    text = refused(exported(tmp_path / "step.onnx", Step(state=False), (6,), (5,)))
    assert text == (
        "mem: is a state without an output that could be it (return every state after the step, "
        "with the shape of its input; call it <state>.next)"
    )


def test_a_sample_of_another_shape(tmp_path: Path) -> None:
    path = exported(tmp_path / "step.onnx", Step(), (6,), (5,))
    text = refused(path, spikes(7))
    assert text.startswith("step: takes [6] in a step, the sample has the shape [30, 4, 7]")


def test_a_convolution_that_is_not_what_was_noted(tmp_path: Path) -> None:
    """The metadata of our own files only helps: what it says is checked against the constants."""
    conv = Conv2d((4, 4), np.ones((2, 1, 3, 3)), (1, 1), (0, 0), (1, 1), 1, np.zeros(2))
    ones = np.ones((2, 2, 2))
    neuron = LIF(8 * ones, 8 * ones, 0 * ones, 0 * ones, ones)
    model = to_model(steps_of(chain(conv, neuron, shape=(1, 4, 4)).with_(dt=1.0)))
    path = tmp_path / "own.onnx"
    onnx.save(model, path)
    assert agreement(load(path))[1] == 0
    for found, put in (('"stride": [1, 1]', '"stride": [2, 2]'), ('"stride"', '"strides"')):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        for said in changed.metadata_props:
            said.value = said.value.replace(found, put)
        onnx.save(changed, path)
        assert "MatMul is no operation of a neuron or layer that is read" in refused(path)


def test_a_graph_that_is_not_what_the_file_computes(tmp_path: Path) -> None:
    """The comparison with onnxruntime finds a wrong import."""
    module = Net("Leaky", "subtract", False, 0.6, True)
    path = exported(tmp_path / "step.onnx", module, (16,), (12,), (5,))
    file = read(path, Options())
    assert isinstance(file, StepFile)
    right = file.graph
    assert agreement(proved(file, discretised(right), spikes(16)))[1] == 0
    now = replace(right.nodes["lif1"], reset_time="now")  # type: ignore[type-var]
    wrong = right.with_(nodes={**right.nodes, "lif1": now})
    with pytest.raises(ModelError, match=r"lif\d\[\d+\], sample \d, step \d+: "):
        proved(file, discretised(wrong), spikes(16))
