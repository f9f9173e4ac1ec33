"""Read an ONNX file as plain data: nodes, constants, inputs, outputs; constants folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.errors import ModelError, ToolError, fail
from snnstack.ir.nodes import Array

LARGEST_FOLD = 2**26
"""Bytes of a constant that is worked out when a file is read."""
INSTALL = "pip install 'snnstack[onnx]'"
SHAPE_OPS = ("Shape", "Size")


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One operation; an input that is left out is ""."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """What is left to compute once everything constant is known.

    `shapes`: of inputs, outputs and whatever shape inference knows, without the batch axis
    (None: unknown). `nodes` are in the order of computation.
    """

    name: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...] | None]
    about: Mapping[str, str] = field(default_factory=dict)

    def producer(self, tensor: str) -> OnnxNode | None:
        """The node that computes `tensor` (None: an input or a constant)."""
        return next((n for n in self.nodes if tensor in n.outputs), None)

    def consumers(self, tensor: str) -> list[OnnxNode]:
        """The nodes that read `tensor`."""
        return [n for n in self.nodes if tensor in n.inputs]


def onnx_module() -> Any:
    """The onnx package, or ToolError with how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise fail(ToolError, "onnx", "is not installed", INSTALL) from error
    return onnx


def read_model(path: Path) -> Any:
    """The checked ModelProto in `path`, with the shapes that can be inferred."""
    onnx = onnx_module()
    if not path.is_file():
        raise fail(ModelError, str(path), "there is no such file")
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model)
    except Exception as error:
        # protobuf, the checker and shape inference each raise classes of their own.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise fail(ModelError, str(path), f"is no valid ONNX model: {reason}") from error


def parsed(model: Any, name: str) -> OnnxGraph:
    """A ModelProto as plain data."""
    onnx = onnx_module()
    graph = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    nodes = []
    for k, proto in enumerate(graph.node):
        attributes = {a.name: _attribute(onnx, a) for a in proto.attribute}
        if proto.op_type == "Constant":
            constants[proto.output[0]] = np.asarray(next(iter(attributes.values())))
            continue
        label = proto.name or f"{proto.op_type}_{k}"
        inputs, outputs = tuple(proto.input), tuple(proto.output)
        nodes.append(OnnxNode(proto.op_type, label, inputs, outputs, attributes))
    inputs = tuple(i.name for i in graph.input if i.name not in constants)
    infos = (*graph.input, *graph.output, *graph.value_info)
    shapes = {info.name: _shape(info) for info in infos}
    outputs = tuple(o.name for o in graph.output)
    about = {prop.key: prop.value for prop in model.metadata_props}
    read = OnnxGraph(name, tuple(nodes), constants, inputs, outputs, shapes, about)
    return _folded(onnx, read)


def _attribute(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _shape(info: Any) -> tuple[int, ...] | None:
    """Without the first axis, which is the batch; None where a length is not known."""
    kind = info.type.tensor_type
    if not kind.HasField("shape") or not len(kind.shape.dim):
        return None
    sizes = [d.dim_value for d in kind.shape.dim[1:]]
    return tuple(sizes) if all(sizes) or not sizes else None


def _folded(onnx: Any, graph: OnnxGraph) -> OnnxGraph:
    """Everything that depends on constants alone, worked out; copies of tensors left out."""
    constants, left = dict(graph.constants), []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(renamed.get(i, i) for i in node.inputs)
        node = OnnxNode(node.op, node.name, inputs, node.outputs, node.attributes)
        if inputs and all(i in constants or not i for i in inputs):
            constants |= _evaluated(onnx, node, constants)
        elif node.op in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs:
            renamed[node.outputs[0]] = inputs[0]
        else:
            left.append(node)
    return replace(graph, nodes=tuple(left), constants=constants)


def _evaluated(onnx: Any, node: OnnxNode, constants: Mapping[str, Array]) -> dict[str, Array]:
    from onnx.reference import ReferenceEvaluator

    made = onnx.helper.make_node(node.op, node.inputs, node.outputs, **_plain(node.attributes))
    feeds = {i: constants[i] for i in node.inputs if i}
    if sum(value.nbytes for value in feeds.values()) > LARGEST_FOLD:
        raise fail(ModelError, node.name, "works on constants that are too large to be folded")
    try:
        results = ReferenceEvaluator(made).run(None, feeds)
    except Exception as error:
        what = f"{node.op} of constants cannot be worked out: {error}"
        raise fail(ModelError, node.name, what.splitlines()[0]) from error
    return dict(zip(node.outputs, (np.asarray(r) for r in results), strict=True))


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attributes.items() if v is not None}
