"""An ANN and the spiking network made of it agree, the better the longer it runs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import snnstack
from snnstack.api import emulate, verify_reference
from snnstack.building import build
from snnstack.cli import main
from snnstack.errors import DataError, ModelError
from snnstack.frontends.onnx_convert import ann_data, read_ann
from snnstack.frontends.onnx_session import Session
from snnstack.frontends.sigma_delta import SigmaDelta
from snnstack.loading import discretised, load
from snnstack.report.readout import accuracy, classes, output_probes, scores
from snnstack.samples import real_as_spikes, run_float
from tests.conftest import needed
from tests.onnx.ann_models import mlp, save

BOARD = "nucleo-l4r5zi"


@pytest.fixture(scope="session")
def digits() -> tuple[Any, Any, Any, Any]:
    """Training and test images 0..1, labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=450, random_state=3, stratify=y)
    train, test, train_y, test_y = parts
    return train.astype(np.float32), test.astype(np.float32), train_y, test_y


@pytest.fixture(scope="session")
def digits_ann(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could be trained longer
        ann = MLPClassifier((64, 32), max_iter=60, random_state=0).fit(digits[0], digits[2])
    layers = list(zip(ann.coefs_, ann.intercepts_, strict=True))
    return mlp(tmp_path_factory.mktemp("ann") / "digits.onnx", layers, "Softmax")


def test_accuracy_comes_within_a_point_at_16_steps(digits: Any, digits_ann: Path) -> None:
    calibrate, test = {"x": digits[0], "y": digits[2]}, {"x": digits[1], "y": digits[3]}
    found = snnstack.accuracy_curve(digits_ann, calibrate, test, steps=(1, 4, 16, 64))
    assert found.samples == 450
    assert found.accuracy_ann is not None and found.accuracy_ann > 0.95
    by_steps = {p.steps: p for p in found.points}
    assert by_steps[16].accuracy is not None
    assert by_steps[16].accuracy >= found.accuracy_ann - 0.01
    assert by_steps[64].agreement >= 0.99
    assert by_steps[1].agreement < by_steps[4].agreement <= by_steps[64].agreement


def test_a_converted_network_reaches_a_board(digits: Any, digits_ann: Path) -> None:
    calibrate, test = {"x": digits[0], "y": digits[2]}, {"x": digits[1], "y": digits[3]}
    built = build(digits_ann, BOARD, calibrate)
    assert built.steps is not None and built.graph is not None
    data = real_as_spikes(built.graph, built.steps, test)
    assert data is not None
    probes = output_probes(built.program.outputs, built.program.fires)
    trace = emulate(built.program, data, probes=probes)
    found = accuracy(classes(trace, built.program.outputs), digits[3])
    assert found is not None and found > 0.94
    assert built.network is not None
    assert verify_reference(built.program, built.network, data, samples=3).mismatches == 0
    rows = snnstack.bench(
        digits_ann, [BOARD], test, calibrate=calibrate, samples=40, verify_samples=1
    )
    assert rows[0].bit_exact
    assert rows[0].steps == 32


def logits(path: Path, x: Any, steps: int, **range_: float) -> tuple[Any, Any]:
    """(of the ANN, of the spiking network per step), on evenly spread spikes."""
    data = ann_data({"x": x}).with_steps(steps)
    ann = read_ann(path)
    graph = snnstack.convert(path, data)
    running = Session(ann.model)
    expected = running.run(None, {ann.graph.inputs[0]: x})[0].reshape(len(x), -1)
    network = discretised(load(graph))
    trace = run_float(network, data.stream(network.inputs[0]).read())
    return expected, scores(trace, network.outputs[0]) / steps


def close(path: Path, x: Any, steps: int = 400, tolerance: float = 0.03) -> None:
    expected, found = logits(path, x, steps)
    assert found.shape == expected.shape
    spread = np.abs(expected).max()
    assert np.abs(found - expected).max() < tolerance * spread, np.abs(found - expected).max()
    by_changes = logits_by_changes(path, x)
    assert np.abs(by_changes - expected).max() < 0.03 * spread, np.abs(by_changes - expected).max()


def logits_by_changes(path: Path, x: Any) -> Any:
    """Of the network whose layers send changes, finely, after one step; inputs have 256 levels."""
    graph = snnstack.convert(path, {"x": x}, percentile=100, sigma_delta=SigmaDelta(4095))
    network = discretised(graph)
    data = ann_data({"x": x}).in_levels()
    trace = run_float(network, data.stream(network.inputs[0]).read())
    return scores(trace, network.outputs[0])


RNG = np.random.default_rng(5)


def normal(*shape: int, scale: float = 1.0) -> Any:
    return (scale * RNG.normal(size=shape)).astype(np.float32)


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(op, inputs, [output], f"{op.lower()}_{output}", **attributes)


def test_dense_layers_with_values_of_both_signs(tmp_path: Path) -> None:
    layers = [
        (normal(10, 20), normal(20)),
        (normal(20, 15), normal(15)),
        (normal(15, 4), normal(4)),
    ]
    close(mlp(tmp_path / "a.onnx", layers), normal(30, 10))


def test_matmul_add_and_batch_norm(tmp_path: Path) -> None:
    weights = {
        "w": normal(6, 12), "b": normal(12), "s": normal(12) ** 2 + 0.5, "t": normal(12),
        "m": normal(12), "v": normal(12) ** 2 + 0.2, "w2": normal(12, 3),
    }  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w"], "z"), node("Add", ["b", "z"], "zb"),
        node("BatchNormalization", ["zb", "s", "t", "m", "v"], "n"),
        node("Relu", ["n"], "a"), node("MatMul", ["a", "w2"], "y"),
    ]  # fmt: skip
    close(save(tmp_path / "a.onnx", nodes, weights, [6], [("y", ["batch", 3])]), normal(20, 6))


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_pools_and_normalised_input(tmp_path: Path, groups: int) -> None:
    weights = {
        "mean": np.float32(0.4), "std": np.float32(0.3),
        "w": normal(4, 2 // groups, 3, 3), "b": normal(4),
        "s": normal(4) ** 2 + 0.5, "t": normal(4), "m": normal(4), "v": normal(4) ** 2 + 0.2,
        "w2": normal(6, 4, 2, 2), "b2": normal(6),
        "w3": normal(3, 6 * 3 * 3), "b3": normal(3),
    }  # fmt: skip
    nodes = [
        node("Sub", ["x", "mean"], "x0"), node("Div", ["x0", "std"], "x1"),
        node("Conv", ["x1", "w", "b"], "z", pads=[1, 1, 1, 1], group=groups),
        node("BatchNormalization", ["z", "s", "t", "m", "v"], "n"),
        node("Relu", ["n"], "a"),
        node("AveragePool", ["a"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w2", "b2"], "z2"), node("Relu", ["z2"], "a2"),
        node("Flatten", ["a2"], "f"),
        node("Gemm", ["f", "w3", "b3"], "y", transB=1),
    ]  # fmt: skip
    path = save(tmp_path / "a.onnx", nodes, weights, [2, 8, 8], [("y", ["batch", 3])])
    x = RNG.random((12, 2, 8, 8)).astype(np.float32)
    close(path, x, tolerance=0.05)
    kinds = [
        type(p.synapses).__name__ for p in discretised(snnstack.convert(path, {"x": x})).projections
    ]
    assert kinds == ["Conv", "Conv", "Dense"]


def test_residual_connections_and_global_pools(tmp_path: Path) -> None:
    weights = {
        "w": normal(4, 1, 3, 3), "b": normal(4), "w2": normal(4, 4, 3, 3, scale=0.3),
        "b2": normal(4), "w3": normal(4, 3), "b3": normal(3),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w", "b"], "z", pads=[1, 1, 1, 1]), node("Relu", ["z"], "a"),
        node("Conv", ["a", "w2", "b2"], "z2", pads=[1, 1, 1, 1]),
        node("Add", ["z2", "a"], "r"), node("Relu", ["r"], "a2"),
        node("GlobalAveragePool", ["a2"], "g"), node("Flatten", ["g"], "f"),
        node("Gemm", ["f", "w3", "b3"], "y"),
    ]  # fmt: skip
    path = save(tmp_path / "a.onnx", nodes, weights, [1, 6, 6], [("y", ["batch", 3])])
    close(path, RNG.random((12, 1, 6, 6)).astype(np.float32), tolerance=0.05)


def test_relu6_saturates(tmp_path: Path) -> None:
    weights = {"w": normal(5, 8, scale=4), "zero": np.float32(0), "six": np.float32(6),
               "w2": normal(8, 2)}  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w"], "z"), node("Clip", ["z", "zero", "six"], "a"),
        node("MatMul", ["a", "w2"], "y"),
    ]  # fmt: skip
    path = save(tmp_path / "a.onnx", nodes, weights, [5], [("y", ["batch", 2])])
    close(path, RNG.random((30, 5)).astype(np.float32), tolerance=0.06)


def test_counts_as_input_need_fewer_steps(digits: Any, digits_ann: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=digits[1], y=digits[3])
    text = f"{tmp_path}/d.npz?encode=repeat&levels=15&steps=4&max=1"
    graph = snnstack.convert(digits_ann, text)
    network = discretised(graph)
    assert network.inputs[0].events == "count"
    trace = run_float(network, ann_data(text).stream(network.inputs[0]).read())
    found = accuracy(classes(trace, network.outputs), digits[3])
    assert found is not None and found > 0.93


def refused(path: Path, x: Any) -> str:
    with pytest.raises((ModelError, DataError)) as error:
        snnstack.convert(path, {"x": x})
    return str(error.value)


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("MaxPool", {"kernel_shape": [2, 2]},
         "op: MaxPool cannot be converted (train with average pooling instead: spikes have no "
         "maximum)"),
        ("LeakyRelu", {}, "op: LeakyRelu cannot be converted (train with ReLU: a spiking neuron "
         "sends nothing negative)"),
        ("Tanh", {}, "op: Tanh cannot be converted (train with ReLU)"),
        ("Sigmoid", {}, "op: Sigmoid cannot be converted (train with ReLU; a sigmoid can only be "
         "the last operation)"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, op: str, attributes: Any, message: str
) -> None:
    nodes = [
        helper.make_node(op, ["x"], ["m"], "op", **attributes),
        node("Flatten", ["m"], "f"), node("Relu", ["f"], "y"),
    ]  # fmt: skip
    path = save(tmp_path / "a.onnx", nodes, {}, [1, 4, 4], [("y", ["batch", None])])
    assert refused(path, RNG.random((3, 1, 4, 4)).astype(np.float32)) == message


def test_all_operations_that_cannot_be_converted_are_named_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"], "one"),
        helper.make_node("Elu", ["a"], ["y"], "two"),
    ]
    path = save(tmp_path / "a.onnx", nodes, {}, [4], [("y", ["batch", 4])])
    assert refused(path, normal(2, 4)).count("cannot be converted") == 2


def test_other_refusals(tmp_path: Path) -> None:
    good = mlp(tmp_path / "good.onnx", [(normal(4, 3), normal(3))])
    assert refused(good, normal(5, 7)) == (
        "data: x has the shape [5, 7], good takes [4] a sample "
        "(give the real samples that the ANN takes, not spikes)"
    )
    with pytest.raises(ModelError) as error:
        load(good)
    assert str(error.value) == (
        f"{good}: is an ANN: its thresholds are balanced on samples "
        "(--calibrate DATA, or calibrate=: real samples that the ANN takes)"
    )
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="is no valid ONNX model"):
        load(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="there is no such file"):
        load(tmp_path / "none.onnx")


def test_the_verb_convert(digits: Any, digits_ann: Path, tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "d.npz", x=digits[1][:100], y=digits[3][:100])
    out, figure = tmp_path / "d.nir", tmp_path / "d.svg"
    arguments = ["convert", str(digits_ann), "--calibrate", f"{tmp_path}/d.npz", "--steps", "4,16"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "-o", str(out), "--json"])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["steps"] for p in found["points"]] == [4, 16]
    assert found["accuracy_ann"] > 0.9
    again = load(out)
    assert again.metadata["encoding"]["kind"] == "even"
    needed("matplotlib")
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--plot", str(figure)])
    assert stop.value.code == 0
    assert figure.read_bytes().startswith(b"<?xml")
    assert "accuracy as an ANN" in capsys.readouterr().out


@pytest.mark.data
@pytest.mark.slow
def test_mnist_through_onnx(data_dir: Path, tmp_path: Path) -> None:
    """A dense network trained on 8,000 images of the test set, judged on the other 2,000."""
    import torch
    from torch import nn

    from snnstack.frontends.arrays import open_arrays

    arrays = open_arrays(data_dir / "mnist" / "t10k-images-idx3-ubyte.gz")
    x, y = np.concatenate(list(arrays.rows(1000))), np.asarray(arrays.labels).astype(np.int64)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    images, labels = torch.from_numpy(x / 255.0).float().reshape(-1, 784), torch.from_numpy(y)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(4):
        for rows in torch.randperm(8000).split(64):
            loss = nn.functional.cross_entropy(net(images[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    layers = [(m.weight.detach().numpy().T, m.bias.detach().numpy()) for m in (net[0], net[2])]
    path = mlp(tmp_path / "mnist.onnx", layers)
    fit, test = {"x": x[:500], "y": y[:500]}, {"x": x[8000:9000], "y": y[8000:9000]}
    found = snnstack.accuracy_curve(path, fit, test, steps=(4, 16, 32))
    assert found.accuracy_ann is not None and found.accuracy_ann > 0.92
    by_steps = {p.steps: p.accuracy or 0 for p in found.points}
    assert by_steps[16] >= found.accuracy_ann - 0.005
    rows = snnstack.bench(path, [BOARD], test, calibrate=fit, samples=200, verify_samples=1)
    assert rows[0].bit_exact
    assert rows[0].accuracy is not None and rows[0].accuracy_float is not None
    assert rows[0].accuracy >= rows[0].accuracy_float - 0.01


@pytest.mark.needs_torch
def test_a_converted_network_trains_on_the_samples_of_its_ann(
    digits: Any, digits_ann: Path
) -> None:
    images = {"x": digits[0][:60], "y": digits[2][:60]}
    module = snnstack.qat(digits_ann, target="mcu", weight_bits=4, calibrate=images)
    built = snnstack.fit(module, images, snnstack.Recipe(epochs=1, rate=1e-3))
    graph = load(digits_ann, calibrate=images)
    spikes = real_as_spikes(graph, discretised(graph), images)
    assert spikes is not None
    assert verify_reference(built.program, built.network, spikes, samples=2).mismatches == 0
