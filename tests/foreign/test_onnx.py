"""A foreign ONNX model keeps its tensors beside it at most, and works out what fits the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import ModelError
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
