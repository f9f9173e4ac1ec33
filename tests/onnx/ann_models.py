"""Small ANNs as ONNX files, made with onnx itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(
    path: Path,
    nodes: list[Any],
    weights: dict[str, Any],
    shape: list[Any],
    outputs: list[tuple[str, list[Any]]],
    inputs: list[tuple[str, list[Any]]] | None = None,
) -> Path:
    """A checked model with the input `x` [batch, *shape]."""
    given = inputs or [("x", ["batch", *shape])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in given],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def mlp(path: Path, layers: list[tuple[Any, Any]], last: str = "") -> Path:
    """Gemm and Relu in turn; `layers` (W [in, out], b), as scikit-learn has them."""
    nodes, weights, name = [], {}, "x"
    for k, (w, b) in enumerate(layers):
        weights |= {f"w{k}": w.astype(np.float32), f"b{k}": b.astype(np.float32)}
        nodes.append(helper.make_node("Gemm", [name, f"w{k}", f"b{k}"], [f"z{k}"], f"fc{k}"))
        name = f"z{k}"
        if k + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [name], [f"a{k}"], f"relu{k}"))
            name = f"a{k}"
    if last:
        nodes.append(helper.make_node(last, [name], ["p"], last.lower()))
        name = "p"
    out = layers[-1][0].shape[1]
    return save(path, nodes, weights, [len(layers[0][0])], [(name, ["batch", out])])
