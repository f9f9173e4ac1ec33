"""A foreign ONNX model keeps its tensors beside it at most, and works out what fits the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import ModelError
from snnstack.foreign import client
from snnstack.frontends import onnx_session
from snnstack.frontends.onnx_file import read_model

onnx = pytest.importorskip("onnx")
WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)


def model(*extra: Any, location: str = "") -> Any:
    """A matrix product whose weights lie at `location`, if that is said."""
    helper = onnx.helper
    weight = onnx.numpy_helper.from_array(WEIGHT, "w")
    if location:
        onnx.external_data_helper.set_external_data(weight, location)
    kind = onnx.TensorProto.FLOAT
    x = helper.make_tensor_value_info("x", kind, ["batch", 3])
    y = helper.make_tensor_value_info("y", kind, ["batch", 4])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "product"), *extra]
    made = helper.make_model(helper.make_graph(nodes, "net", [x], [y], [weight]))
    if location:
        made.graph.initializer[0].ClearField("raw_data")
        made.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    return made


def stored(path: Path, made: Any) -> Path:
    (path / "a.onnx").write_bytes(made.SerializeToString())
    return path / "a.onnx"


def test_a_model_is_read_as_it_is(tmp_path: Path) -> None:
    made, graph = read_model(stored(tmp_path, model()))
    assert np.array_equal(graph.constants["w"], WEIGHT)
    assert [(n.op, n.name, n.inputs) for n in graph.nodes] == [("MatMul", "product", ("x", "w"))]
    assert (graph.inputs, graph.outputs, graph.shapes["x"]) == (("x",), ("y",), (3,))
    assert made.graph.node[0].name == "product"


def test_tensors_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.onnx.data").write_bytes(WEIGHT.tobytes())
    _, graph = read_model(stored(tmp_path, model(location="a.onnx.data")))
    assert np.array_equal(graph.constants["w"], WEIGHT)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link", "sub/secret", "missing"])
def test_tensors_elsewhere_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "sub" / "secret").write_bytes(WEIGHT.tobytes())
    path = stored(folder, model(location=location))
    with pytest.raises(ModelError) as told:
        read_model(path)
    what = f"'w' is kept in '{location}', which is no file beside the model"
    assert str(told.value) == f"{path}: {what} (store the data in the model, or beside it)"


def test_a_constant_of_terabytes_is_not_worked_out(tmp_path: Path) -> None:
    size = onnx.helper.make_tensor("n", onnx.TensorProto.INT64, [1], [10**13])
    nodes = [
        onnx.helper.make_node("Constant", [], ["n"], value=size),
        onnx.helper.make_node("ConstantOfShape", ["n"], ["huge"], "zeros"),
    ]
    with pytest.raises(ModelError, match="zeros: ConstantOfShape of constants cannot be worked"):
        read_model(stored(tmp_path, model(*nodes)))


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    whole = model().SerializeToString()
    for content in (b"", b"onnx", whole[:40], whole.replace(b"MatMul", b"NoneOp")):
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(ModelError, match="is no valid ONNX model: "):
            read_model(tmp_path / "a.onnx")


def looping(path: Path) -> Path:
    """x [1, 3] times 1, 2^62 times."""
    helper, kinds = onnx.helper, onnx.TensorProto
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Abs", ["v"], ["w"])],
        "body",
        [value("k", kinds.INT64, []), value("go", kinds.BOOL, []),
         value("v", kinds.FLOAT, [1, 3])],
        [value("on", kinds.BOOL, []), value("w", kinds.FLOAT, [1, 3])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["count", "yes", "x"], ["y"], body=body)
    constants = [
        onnx.numpy_helper.from_array(np.array(2**62), "count"),
        onnx.numpy_helper.from_array(np.array(True), "yes"),
    ]
    ends = [value("x", kinds.FLOAT, [1, 3])], [value("y", kinds.FLOAT, [1, 3])]
    graph = helper.make_graph([loop], "net", *ends, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, path)
    return path


def test_a_model_that_loops_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_session, "SECONDS", 1)
    running = onnx_session.Session(onnx.load(looping(tmp_path / "a.onnx")))
    with pytest.raises(ModelError) as told:
        running.run(None, {"x": np.ones((1, 3), np.float32)})
    assert str(told.value) == "model: cannot be used (running it did not end in 1 s)"


def test_a_model_is_sent_again_to_a_new_process(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "a.onnx")
    running = onnx_session.Session(onnx.load(tmp_path / "a.onnx"))
    feeds = {"x": np.array([[1, 2, 3]], np.float32)}
    first = running.run(None, feeds)
    client._CURRENT.end()
    again = running.run(None, feeds)
    assert np.array_equal(first[0], feeds["x"] @ WEIGHT) and np.array_equal(again[0], first[0])
