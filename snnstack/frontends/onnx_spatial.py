"""ONNX operations over the places of a map, as matrices or as convolutions.

Pools over uneven windows, Resize, Pad, transposed convolutions, DepthToSpace, and the zeros that
`auto_pad` asks for. Equations: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends import spatial
from snnstack.frontends.onnx_file import OnnxNode, onnx_module
from snnstack.ir.nodes import Array, Shape

Constant = Callable[[OnnxNode, int], Any]
"""The constant input of a node at a position, None where there is none."""
Sides = tuple[tuple[int, ...], tuple[int, ...]]


def sides(node: OnnxNode, space: Shape, kernel: Any, stride: Any, dilation: Any) -> Sides:
    """Zeros (before, after) the axes of a convolution or pool, `auto_pad` worked out."""
    auto, axes = node.attributes.get("auto_pad", "NOTSET"), len(space)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(node.attributes.get("pads", [0] * (2 * axes)))
        return pads[:axes], pads[axes:]
    each = zip(space, kernel, stride, dilation, strict=True)
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in each]
    less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def average(node: OnnxNode, space: Shape) -> tuple[Array, Shape]:
    """(matrix, output places) of AveragePool, whatever its windows."""
    said, axes = node.attributes, len(space)
    kernel = said.get("kernel_shape", space)
    stride, dilation = said.get("strides", [1] * axes), said.get("dilations", [1] * axes)
    before, after = sides(node, space, kernel, stride, dilation)
    ceil, counted = said.get("ceil_mode", 0), said.get("count_include_pad", 0)
    if min(*kernel, *stride, *dilation) < 1 or min(*before, *after) < 0:
        what = f"kernel {list(kernel)}, strides {list(stride)}, dilations {list(dilation)}"
        raise fail(ModelError, node.name, what, "1 or more each, and pads of 0 or more")
    parts, shares = [], []
    for n, k, s, d, b, a in zip(space, kernel, stride, dilation, before, after, strict=True):
        room = n + b + a - (k - 1) * d - 1
        out = (-(-room // s) if ceil else room // s) + 1
        if ceil and (out - 1) * s >= n + b:  # a window has to begin inside, or in front
            out -= 1
        inside = spatial.windows(n, out, k, s, b, d)
        parts.append(inside)
        own = spatial.windows(n + b + a, out, k, s, 0, d).sum(axis=1) if counted else None
        shares.append(inside.sum(axis=1) if own is None else own)
    scaled = [p / np.maximum(w, 1.0)[:, None] for p, w in zip(parts, shares, strict=True)]
    return spatial.along_axes(scaled), tuple(len(p) for p in parts)


def resize(node: OnnxNode, constant: Constant, space: Shape) -> tuple[Array, Shape]:
    """(matrix, output places) of Resize and Upsample, as onnxruntime does it to single ones."""
    given: dict[str, Any] = {}
    names = ["x"]
    for position in range(1, len(node.inputs)):
        value = constant(node, position)
        names.append("")
        if value is None or not value.size:
            continue
        names[-1] = f"c{position}"
        given[names[-1]] = np.array(value)
    count = int(np.prod(space))
    if "scales" in node.attributes:
        _keeps(node, node.attributes["scales"][:2], (1.0, 1.0))
    for name, values in given.items():
        if name == "c3" and len(values) == len(space) + 2:
            values[:2] = (count, 1)
            given[name] = values.astype(np.int64)
        else:
            given[name] = values.astype(np.float32)
            if name == ("c1" if len(node.inputs) == 2 else "c2") and len(values) > len(space):
                _keeps(node, values[:2], (1.0, 1.0))
    _check_result(given, space, len(node.inputs) == 2)
    return _measured(node, names, given, space)


def _check_result(given: dict[str, Any], space: Shape, only: bool) -> None:
    """ValueError where more would come out than a matrix can hold."""
    axes, count = len(space), int(np.prod(space))
    factors = given.get("c1" if only else "c2", np.ones(axes))[-axes:]
    sizes = given.get("c3", np.array(space, dtype=np.float64) * factors)[-axes:]
    out = float(np.prod(np.maximum(np.asarray(sizes, dtype=np.float64), 1.0)))
    spatial.check_size(count, max(count, int(min(out, 2.0**62))))


def _keeps(node: OnnxNode, found: Any, wanted: Any) -> None:
    if not np.allclose(found, wanted):
        what = f"resizes batch and channels by {[float(v) for v in found]}"
        raise fail(ModelError, node.name, what, "resize the axes of the map only")


def _measured(
    node: OnnxNode, names: list[str], given: dict[str, Any], space: Shape
) -> tuple[Array, Shape]:
    """What onnxruntime makes of maps with a single 1."""
    import onnxruntime

    onnx = onnx_module()
    helper, count = onnx.helper, int(np.prod(space))
    made = helper.make_node(node.op, names, ["y"], **dict(node.attributes))
    float_ = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [made],
        "one",
        [helper.make_tensor_value_info("x", float_, [count, 1, *space])],
        [helper.make_tensor_value_info("y", float_, None)],
        [onnx.numpy_helper.from_array(v, k) for k, v in given.items()],
    )
    version = 9 if node.op == "Upsample" else 18
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    model.ir_version = 8
    ones = np.eye(count, dtype=np.float32).reshape(count, 1, *space)
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is said by us
        held = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found = held.run(None, {"x": ones})[0]
    except Exception as error:  # onnxruntime's classes are not public
        reason = str(error).splitlines()[0]
        raise fail(ModelError, node.name, f"{node.op} cannot be worked out: {reason}") from error
    spatial.check_size(count, int(np.prod(found.shape[2:])))
    return found.reshape(count, -1).T.astype(np.float64), tuple(found.shape[2:])


def pad(node: OnnxNode, constant: Constant, space: Shape) -> tuple[Array, Shape]:
    """(matrix, output places) of Pad; ModelError for other values than zeros at the edge."""
    axes = len(space)
    pads = node.attributes.get("pads")
    sizes = [int(n) for n in np.ravel(constant(node, 1) if pads is None else pads)]
    named = constant(node, 3) if len(node.inputs) > 3 else None
    sizes = _all_axes(node, sizes, named, axes + 2)
    before, after = sizes[: axes + 2], sizes[axes + 2 :]
    if any((*before[:2], *after[:2])):
        raise fail(ModelError, node.name, f"pads {sizes}", "pad the axes of a map only")
    mode = node.attributes.get("mode", "constant")
    fill = constant(node, 2) if len(node.inputs) > 2 else node.attributes.get("value", 0.0)
    if mode != "constant":
        sizes_of = list(zip(before[2:], after[2:], strict=True))
        out = [n + b + a for n, (b, a) in zip(space, sizes_of, strict=True)]
        spatial.check_size(int(np.prod(space)), abs(int(np.prod(out, dtype=object))))
        numbers = np.pad(np.arange(int(np.prod(space))).reshape(space), sizes_of, mode=mode)
        spatial.check_size(int(np.prod(space)), numbers.size)
        return np.eye(int(np.prod(space)))[numbers.ravel()], numbers.shape
    if fill is not None and np.any(np.asarray(fill) != 0):
        what = f"pads with {np.ravel(fill)[0]:g}"
        raise fail(ModelError, node.name, what, "only padding with zeros exists")
    return spatial.padded(space, before[2:], after[2:])


def _all_axes(node: OnnxNode, sizes: list[int], named: Any, rank: int) -> list[int]:
    if named is None:
        if len(sizes) != 2 * rank:
            raise fail(ModelError, node.name, f"pads {sizes} on a map", "name all axes")
        return sizes
    full = [0] * (2 * rank)
    axes = [int(a) % rank for a in np.ravel(named)]
    for k, axis in enumerate(axes):
        full[axis], full[rank + axis] = sizes[k], sizes[len(axes) + k]
    return full


def transposed(node: OnnxNode, weight: Array, space: Shape) -> Any:
    """`spatial.transposed` of a ConvTranspose of a map of `space`."""
    said, axes = node.attributes, len(space)
    ones = [1] * axes
    stride, dilation = said.get("strides", ones), said.get("dilations", ones)
    more = list(said.get("output_padding", [0] * axes))
    pads = list(said.get("pads", [0] * (2 * axes)))
    auto, wanted = said.get("auto_pad", "NOTSET"), list(said.get("output_shape", []))
    if not wanted and auto.startswith("SAME"):
        wanted = [n * s for n, s in zip(space, stride, strict=True)]
    for k in range(axes if wanted else 0):
        reach = (weight.shape[2 + k] - 1) * dilation[k] + 1
        total = stride[k] * (space[k] - 1) + more[k] + reach - wanted[k - axes]
        less = total // 2
        pads[k], pads[axes + k] = (
            (less, total - less) if auto == "SAME_UPPER" else (total - less, less)
        )
    if min(*stride, *dilation) < 1 or len(pads) != 2 * axes:
        what = f"strides {list(stride)}, dilations {list(dilation)}, pads {pads}"
        raise fail(ModelError, node.name, what, "strides and dilations of 1 or more")
    ends = [pads[k] - pads[axes + k] + more[k] for k in range(axes)]
    groups = int(said.get("group", 1))
    return spatial.transposed(weight, groups, space, stride, pads[:axes], ends, dilation)


def order(node: OnnxNode, shape: Shape) -> Array:
    """For each element of DepthToSpace, SpaceToDepth or a Transpose its number in the input."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    if node.op == "Transpose":
        axes = [int(a) for a in node.attributes.get("perm", range(len(shape) + 1)[::-1])]
        if axes[0] != 0:
            raise fail(ModelError, node.name, "transposes the batch", "keep it in front")
        return numbers.transpose([a - 1 for a in axes[1:]])
    block, (c, h, w) = int(node.attributes["blocksize"]), shape
    if block < 1:
        raise fail(ModelError, node.name, f"blocksize is {block}", "1 or more")
    if node.op == "SpaceToDepth":
        parts = numbers.reshape(c, h // block, block, w // block, block)
        return parts.transpose(2, 4, 0, 1, 3).reshape(-1, h // block, w // block)
    if node.attributes.get("mode", "DCR") == "DCR":
        turned = numbers.reshape(block, block, -1, h, w).transpose(2, 3, 0, 4, 1)
    else:
        turned = numbers.reshape(-1, block, block, h, w).transpose(0, 3, 1, 4, 2)
    return turned.reshape(-1, h * block, w * block)
