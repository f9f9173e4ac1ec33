"""ANNs as converters of Keras write them: channels last outside, `auto_pad` with strides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import snnstack

SAME: dict[str, Any] = {"auto_pad": "SAME_UPPER", "strides": [2, 2]}
MIDDLE: dict[str, tuple[str, Any, int]] = {
    "transposed": (
        "SAME_UPPER",
        lambda: helper.make_node("ConvTranspose", ["q", "w2"], ["u"], kernel_shape=[2, 2], **SAME),
        500,
    ),
    "resized": (
        "SAME_LOWER",
        lambda: helper.make_node(
            "Resize", ["q", "", "sc"], ["u"], mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        400,
    ),
    "pooled": (
        "VALID",
        lambda: helper.make_node("AveragePool", ["q"], ["u"], kernel_shape=[3, 3], **SAME),
        16,
    ),
    "depth to space": (
        "SAME_UPPER", lambda: helper.make_node("DepthToSpace", ["q"], ["u"], blocksize=2), 100
    ),
}  # fmt: skip


def written(path: Path, case: str, x: Any) -> Any:
    """The network of a case, whose classes are about as frequent, and its results."""
    auto, middle, width = MIDDLE[case]
    rng = np.random.default_rng(0)
    shapes = {"w1": (4, 3, 3, 3), "w2": (4, 5, 2, 2), "w3": (width, 5)}
    held = {k: rng.normal(size=s) / np.sqrt(np.prod(s[1:])) * 1.5 for k, s in shapes.items()}
    held = {k: v.astype(np.float32) for k, v in held.items()} | {"b3": np.zeros(5, np.float32)}
    held |= {"sh": np.array([-1, width]), "sc": np.array([1, 1, 2, 2], np.float32)}
    make: Any = helper.make_node
    nodes = [
        make("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        make("Conv", ["t", "w1"], ["c"], auto_pad=auto, strides=[2, 2], kernel_shape=[3, 3]),
        make("Relu", ["c"], ["q"]),
        middle(),
        make("Relu", ["u"], ["q2"]),
        make("Transpose", ["q2"], ["t2"], perm=[0, 2, 3, 1]),
        make("Reshape", ["t2", "sh"], ["fl"]),
        make("MatMul", ["fl", "w3"], ["m"]),
        make("Add", ["m", "b3"], ["y"]),
    ]
    used = {name for node in nodes for name in node.input}
    found = np.zeros((len(x), 5))
    for _ in range(2):
        held["b3"] = (held["b3"] - found.mean(0)).astype(np.float32)
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
            for name, shape in (("x", ["n", 9, 9, 3]), ("y", ["n", 5]))
        ]
        kept = [numpy_helper.from_array(v, k) for k, v in held.items() if k in used]
        model = helper.make_model(
            helper.make_graph(nodes, "keras", *ends, kept),
            opset_imports=[helper.make_opsetid("", 18)],
        )
        model.ir_version = 8
        onnx.save(model, path)
        found = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("case", MIDDLE)
def test_channels_last_with_several_channels(case: str, tmp_path: Path) -> None:
    x = np.random.default_rng(1).random((96, 9, 9, 3)).astype(np.float32)
    found = written(tmp_path / "a.onnx", case, x)
    data = {"x": x, "y": found.argmax(1)}
    curve = snnstack.accuracy_curve(tmp_path / "a.onnx", data, steps=(512,))
    assert curve.accuracy_ann == 1.0
    assert curve.points[0].agreement >= 0.95
