"""Read an ONNX file as plain data: nodes, constants, inputs, outputs; constants folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.door import shown
from snnstack.errors import ModelError, Problem, ToolError, fail, raise_if_any
from snnstack.foreign import ForeignFile, prepare, trusted
from snnstack.foreign.worker import reason
from snnstack.ir.nodes import Array

LARGEST_FOLD = 2**26
"""Bytes of a constant that is worked out when a file is read."""
DAMAGED = "the file is damaged"
INSTALL = "pip install 'snnstack[onnx]'"


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


def read_model(path: Path) -> tuple[Any, OnnxGraph]:
    """(the checked ModelProto in `path` with the shapes that can be inferred, as plain data)."""
    if path.is_file() and not trusted():
        prepare("onnx")  # it starts while this process loads the same
    onnx = onnx_module()
    if not path.is_file():
        raise fail(ModelError, str(path), "there is no such file")
    held = ForeignFile(path, ModelError).read(model_of)
    nodes = tuple(OnnxNode(*parts) for parts in held.pop("nodes"))
    content = held.pop("model")
    return onnx.load_model_from_string(content), OnnxGraph(path.stem, nodes, **held)


def model_of(path: str) -> dict[str, Any]:
    """`read_model` in the process that reads: {"model": bytes, and the fields of OnnxGraph}."""
    model = _checked(path)
    graph = parsed(model, Path(path).stem)
    return {
        "model": model.SerializeToString(),
        "nodes": [(n.op, n.name, n.inputs, n.outputs, dict(n.attributes)) for n in graph.nodes],
        "constants": dict(graph.constants),
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "shapes": dict(graph.shapes),
        "about": dict(graph.about),
    }


def _checked(path: str) -> Any:
    """The ModelProto in `path`; its large tensors may lie in a file beside it."""
    onnx = onnx_module()
    try:
        model = onnx.load(path, load_external_data=False)
        raise_if_any(ModelError, (Problem(path, text, DAMAGED) for text in unreadable(model)))
        raise_if_any(ModelError, _outside(onnx, model, path))
        onnx.external_data_helper.load_external_data_for_model(model, str(Path(path).parent))
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model)
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        # protobuf, the checker and shape inference each raise classes of their own.
        what = f"is no valid ONNX model: {reason(error)}"
        raise fail(ModelError, path, what) from error


def unreadable(message: Any) -> Iterator[str]:
    """Names and texts in a message that are no UTF-8; protobuf hands out their bytes."""
    for kind, value in message.ListFields():
        if kind.type not in (kind.TYPE_STRING, kind.TYPE_MESSAGE):
            continue
        one = isinstance(value, str | bytes) or hasattr(value, "DESCRIPTOR")
        for part in (value,) if one else value:
            if kind.type == kind.TYPE_MESSAGE:
                yield from unreadable(part)
            elif isinstance(part, bytes):
                yield f"{kind.name} is {shown(part)}, which is no text"


def _outside(onnx: Any, model: Any, path: str) -> Iterator[Problem]:
    """Tensors that are kept in anything but a plain file in the model's own folder."""
    helper, folder = onnx.external_data_helper, Path(path).parent
    places = {
        helper.ExternalDataInfo(tensor).location: tensor.name
        for tensor in helper._get_all_tensors(model)
        if helper.uses_external_data(tensor)
    }
    for place, name in places.items():
        file = folder / place
        if Path(place).name != place or file.is_symlink() or not file.is_file():
            what = f"{name!r} is kept in {place!r}, which is no file beside the model"
            yield Problem(path, what, "store the data in the model, or beside it")


def parsed(model: Any, name: str) -> OnnxGraph:
    """A ModelProto as plain data."""
    onnx = onnx_module()
    model = _of_one_sample(onnx, model)
    read, left = _parsed(onnx, model, name), -1
    while (open_ := sum(node.op == "Shape" for node in read.nodes)) and open_ != left:
        left = open_  # what is known now may tell the shape that is asked for
        read = _parsed(onnx, _with_known(onnx, model, read.constants), name)
    return read


def _parsed(onnx: Any, model: Any, name: str) -> OnnxGraph:
    graph = model.graph
    constants = {c.name: _numbers(onnx, c) for c in graph.initializer}
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
    """Numbers, text, arrays or lists of them; of a graph inside a node only that there is one."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _numbers(onnx, value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, Sequence):
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in value]
    return f"a {type(value).__name__}"


def _numbers(onnx: Any, tensor: Any) -> Array:
    """The tensor's values; kinds of numbers that numpy does not have become single precision."""
    found: Array = onnx.numpy_helper.to_array(tensor)
    if found.dtype.kind == "O":
        return np.array([str(v) for v in found.ravel()]).reshape(found.shape)
    found = found if found.dtype.kind in "biufcSU" else found.astype(np.float32)
    if found.dtype.kind != "f":
        return found
    with np.errstate(invalid="ignore"):  # a NaN of other bits would warn whenever it is read
        unknown = np.isnan(found)
    return np.where(unknown, found.dtype.type(np.nan), found) if unknown.any() else found


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
        known = graph.shapes.get(inputs[0]) if node.op == "Shape" else None
        if known is not None:
            constants[node.outputs[0]] = _part(np.array([1, *known], np.int64), node)
        elif inputs and all(i in constants or not i for i in inputs):
            constants |= _evaluated(onnx, node, constants)
        elif node.op in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs:
            renamed[node.outputs[0]] = inputs[0]
        else:
            left.append(node)
    return replace(graph, nodes=tuple(left), constants=constants)


def _of_one_sample(onnx: Any, model: Any) -> Any:
    """The model for a batch of one, so that shapes worked out inside it are constants.

    `x.view(x.size(0), -1)` is Shape, Gather, Concat and Reshape in a file whose batch is open.
    """
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    held = {c.name for c in twin.graph.initializer}
    opened = []
    for given in twin.graph.input:
        dims = given.type.tensor_type.shape.dim
        if given.name not in held and dims and dims[0].WhichOneof("value") != "dim_value":
            opened.append(given.name)
            dims[0].dim_value = 1
    if not opened or all(node.op_type != "Shape" for node in twin.graph.node):
        return model
    for info in (*twin.graph.output, *twin.graph.value_info):
        info.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(twin, data_prop=True)


def _with_known(onnx: Any, model: Any, known: Mapping[str, Array]) -> Any:
    """The model with constants in the place of nodes that make nothing else, and its shapes."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    left = [node for node in twin.graph.node if not all(o in known for o in node.output)]
    made = [o for node in twin.graph.node for o in node.output if o in known]
    del twin.graph.node[:]
    twin.graph.node.extend(left)
    twin.graph.initializer.extend(onnx.numpy_helper.from_array(known[o], o) for o in made)
    return onnx.shape_inference.infer_shapes(twin, data_prop=True)


def _part(shape: Array, node: OnnxNode) -> Array:
    """What a Shape node with `start` and `end` returns."""
    return shape[node.attributes.get("start", 0) : node.attributes.get("end")]


def _evaluated(onnx: Any, node: OnnxNode, constants: Mapping[str, Array]) -> dict[str, Array]:
    from onnx.reference import ReferenceEvaluator

    made = onnx.helper.make_node(
        node.op, node.inputs, node.outputs, **_plain(onnx, node.attributes)
    )
    feeds = {i: constants[i] for i in node.inputs if i}
    if sum(value.nbytes for value in feeds.values()) > LARGEST_FOLD:
        raise fail(ModelError, node.name, "works on constants that are too large to be folded")
    try:
        results = ReferenceEvaluator(made).run(None, feeds)
    except Exception as error:
        what = f"{node.op} of constants cannot be worked out: {error}"
        raise fail(ModelError, node.name, what.splitlines()[0]) from error
    return dict(zip(node.outputs, (np.asarray(r) for r in results), strict=True))


def _plain(onnx: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """As a node is made of; an array is a tensor of the file again."""
    return {
        k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v
        for k, v in attributes.items()
        if v is not None
    }
