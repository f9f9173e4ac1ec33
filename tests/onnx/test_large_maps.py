"""Sizes in an ONNX file that nothing can hold are refused before anything of them is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snnstack.errors import ModelError
from snnstack.frontends.onnx_ann import converted
from snnstack.frontends.onnx_convert import read_ann
from snnstack.frontends.onnx_tensors import InputRange

MANY = 10**8
HUGE: dict[str, tuple[str, list[str], dict[str, Any], Any]] = {
    "Resize to a size": ("Resize", ["x", "", "", "c"], {}, np.array([1, 2, 10**6, 10**6])),
    "Resize by factors": ("Resize", ["x", "", "c"], {}, np.array([1, 1, 1e9, 1e9], np.float32)),
    "Pad": ("Pad", ["x", "c"], {}, np.array([0, 0, MANY, 0, 0, 0, 0, MANY])),
    "Pad, reflected": ("Pad", ["x", "c"], {"mode": "reflect"}, np.array([0, 0, MANY] + [0] * 5)),
    "AveragePool": (
        "AveragePool", ["x"], {"kernel_shape": [2, 2], "pads": [MANY, 0, MANY, 0]}, None),
    "ConvTranspose": (
        "ConvTranspose", ["x", "c"], {"strides": [MANY, 1]}, np.ones((2, 1, 2, 2), np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE)
def test_huge_maps_are_refused_by_name(case: str, tmp_path: Path) -> None:
    op, inputs, said, held = HUGE[case]
    nodes = [helper.make_node(op, inputs, ["u"], name="large", **said)]
    nodes += [helper.make_node("Relu", ["u"], ["r"]), helper.make_node("Flatten", ["r"], ["y"])]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 6, 6])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b"])
    kept = [] if held is None else [numpy_helper.from_array(held, "c")]
    model = helper.make_model(
        helper.make_graph(nodes, "huge", [given], [out], kept),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    model.ir_version = 8
    onnx.save(model, tmp_path / "a.onnx")
    ann = read_ann(tmp_path / "a.onnx")
    limits = {node.name: 1.0 for node in ann.graph.nodes}
    with pytest.raises(ModelError, match=r"large: maps \d+ places to \d+, at most 67108864 pairs"):
        converted(ann.graph, ann.shape, limits, InputRange(), 8)
